"""The search index follows the outbox."""

from app.search import service as search


def drain_search_outbox() -> None:
    """Bring every good that the outbox names up to date in the index. Runs in the one search worker only."""
    search.drain_outbox()
