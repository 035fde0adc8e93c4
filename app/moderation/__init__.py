"""Moderation: text and picture checks, verdicts, the review of a good."""
