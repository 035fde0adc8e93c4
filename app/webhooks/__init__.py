"""Signed webhooks: each step of an order is sent to the operator's URL (docs/webhooks.md)."""
