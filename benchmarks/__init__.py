"""What the product costs, measured beside bare frameworks on the same machine in the same minute."""
