"""Money: payments and refunds through the gateway; escrow."""
