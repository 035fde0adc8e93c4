"""After-commit work that survives a crash: messages added in the transaction of a change, given out by the relay."""
