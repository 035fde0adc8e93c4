"""Search: one normaliser, a Whoosh index, the `/test/` view."""
