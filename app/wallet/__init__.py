"""What a user has: balances, their entries, and withdrawals to his own account."""
