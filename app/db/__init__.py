"""What the domains share of the database: transactions and reads, column types, tables that only grow."""
