"""The job that keeps the search index up to date with the outbox."""

from app.search import service as search


def drain_search_outbox() -> None:
    """Update the index for every good that has a SEARCH_INDEX message. Runs in the one search worker only."""
    search.drain_outbox()
