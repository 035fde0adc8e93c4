"""A user's balances, their entries, and withdrawals to the user's Alipay account."""
