"""Signed webhooks: each step of an order, sent to an operator's URL."""
