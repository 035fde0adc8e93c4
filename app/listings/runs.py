"""Reads of crawl runs."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from app.db.transactions import rows
from app.listings.models import CrawlRun


def last_runs(*, limit: int) -> Sequence[Row[Any]]:
    """The crawl runs that began last, newest first; the columns are those of `CrawlRun`."""
    statement = select(CrawlRun.__table__).order_by(CrawlRun.started_at.desc(), CrawlRun.run_id.desc()).limit(limit)
    return rows(statement)
