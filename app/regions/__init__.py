"""Provinces, cities and districts: what there are, and what an address needs of them."""
