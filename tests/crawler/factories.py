"""A listing, and the run that it belongs to, for tests that need no crawl."""

from datetime import UTC, datetime
from typing import Any, Final

from xianyu.items import Listing, PriceStatus

NOW: Final = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
RUN_ID: Final = "20261122T120030Z-xianyu_file-0a1b"


def make_listing(item_id: str = "1", **fields: Any) -> Listing:
    """A listing fetched half a minute before `NOW`, with some fields changed."""
    return Listing(
        **{
            "item_id": item_id,
            "url": f"https://www.goofish.com/item?id={item_id}",
            "title": "富士 X100V 😀",
            "price_fen": 564250,
            "price_raw": "¥5642.50",
            "price_status": PriceStatus.OK,
            "fetched_at": "2026-11-22T12:00:00Z",
            "run_id": RUN_ID,
            **fields,
        }
    )
