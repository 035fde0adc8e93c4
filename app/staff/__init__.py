"""Staff: decide disputes, look at orders, payments and the ledger. Everything they do is recorded with its reason."""
