"""The cashier: the page where a buyer pays, and the URL of the gateway's notifications."""
