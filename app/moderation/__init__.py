"""Moderation: the review of a good by text and picture checks."""
