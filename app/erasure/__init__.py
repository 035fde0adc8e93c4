"""Erasing what people wrote, wherever it stands: histories keep their proof, not the words."""
