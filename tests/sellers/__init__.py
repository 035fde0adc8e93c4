"""How sellers stand."""
