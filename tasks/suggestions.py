"""Periodic jobs about what people search for, and whose goods are found."""

from app.sellers.service import count_standings
from app.suggestions import service


def count_up_searches() -> None:
    """Periodic: write down what was searched for, and work out what is hot."""
    service.count_up()


def rebuild_completions() -> None:
    """Periodic: make the completions of what is being typed anew."""
    service.rebuild_completions()


def count_seller_standings() -> None:
    """Periodic: count how sellers stand, for the order of what is found."""
    count_standings()
