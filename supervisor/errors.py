"""What can go wrong before the product runs; each message is a sentence for the person at the terminal."""


class StartError(Exception):
    """Something keeps the product from starting; the message says what and, where known, the remedy."""
