"""The error for what goes wrong before the product runs. Its messages are for the person at the terminal."""


class StartError(Exception):
    """Something keeps the product from starting; the message says what and, where known, the remedy."""
