"""Periodic jobs about what people search for."""

from app.suggestions import service


def count_up_searches() -> None:
    """Periodic: write down what was searched for, and work out what is hot."""
    service.count_up()


def rebuild_completions() -> None:
    """Periodic: make the completions of what is being typed anew."""
    service.rebuild_completions()
