"""Full-text search for goods: a Whoosh index that follows the outbox, the search engine, and the view `/test/`."""
