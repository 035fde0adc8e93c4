"""Clients that others' programs generate from docs/openapi.json: that nothing is left out, and that they work."""
