"""Database helpers that the domains share: transactions and reads, column types, append-only tables."""
