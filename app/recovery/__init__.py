"""Ways back into an account whose password is forgotten: verified addresses, one-time codes, and staff."""
