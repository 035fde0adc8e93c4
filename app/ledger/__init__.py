"""The double-entry ledger: where every fen is, how it came there, and the audit that proves it."""
