"""Goods and pictures."""
