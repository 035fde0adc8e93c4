"""The cashier: the page where a buyer pays, and where the gateway calls back."""
