"""Periodic jobs about saved searches."""

from app.saved_searches import service


def match_saved_searches() -> None:
    """Periodic: find the saved searches that new goods fit, and tell their users."""
    service.match_new_goods()
    service.tell_of_finds()
