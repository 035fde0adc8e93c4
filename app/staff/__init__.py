"""Staff: deciding disputes, and reading orders, payments and the ledger. Every action is recorded with its reason."""
