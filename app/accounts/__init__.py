"""Accounts: registration, login, tokens, profiles, delivery addresses."""
