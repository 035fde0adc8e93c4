"""Backups of a whole market, and their restoration: database, pictures, the sandbox gateway's store."""
