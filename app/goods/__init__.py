"""Goods and their pictures: release, read, edit, delete, browse."""
