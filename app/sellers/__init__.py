"""How sellers stand: what became of their orders and goods, in one number for the search."""
