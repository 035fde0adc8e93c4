"""Reference data: what a crawler saw elsewhere, and the prices that sellers can learn from it. Never for sale here."""
