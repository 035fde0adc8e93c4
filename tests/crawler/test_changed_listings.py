"""Which listings the filter passes on to the feed, and what it counts and records of the others."""

from typing import Any

import orjson
import pytest
from scrapy.crawler import Crawler
from scrapy.exceptions import NotConfigured
from scrapy.statscollectors import MemoryStatsCollector
from scrapy.utils.test import get_crawler
from xianyu.changed_listings import ChangedListingsFilter
from xianyu.items import Listing, PriceStatus
from xianyu.outcomes import Outcome
from xianyu.parsing import Reject
from xianyu.run_folder import RUN_FOLDERS, RunFolder, fingerprint, record_of
from xianyu.state import STATES, State

from tests.crawler.factories import NOW, make_listing


class Filter:
    """The filter as Scrapy makes it, and the crawler whose statistics it counts in."""

    def __init__(self, run_folder: RunFolder, state: State) -> None:
        self.crawler: Crawler = get_crawler(settings_dict={"XIANYU_REFRESH_DAYS": 7})
        self.crawler.stats = MemoryStatsCollector(self.crawler)
        STATES[self.crawler] = state
        RUN_FOLDERS[self.crawler] = run_folder
        self.middleware = ChangedListingsFilter.from_crawler(self.crawler)

    def passes(self, found: Listing | Reject) -> bool:
        result = self.middleware.get_processed_item(found, None)
        assert result is None or result is found
        return result is not None

    def counted(self) -> dict[str, int]:
        return {key.removeprefix("xianyu/"): count for key, count in self.crawler.stats.get_stats().items()}


def make_known(state: State, listing: Listing) -> None:
    state.commit_batch([record_of(listing)])


def test_each_listing_is_written_once_a_run(run_folder: RunFolder, state: State) -> None:
    changed = Filter(run_folder, state)
    assert [changed.passes(make_listing(item_id)) for item_id in ("1", "2", "1")] == [True, True, False]
    assert changed.passes(make_listing("1", price_fen=1)) is False
    assert changed.counted() == {"duplicates": 2}


def test_a_hit_is_written_after_a_recommendation_and_not_the_other_way_round(
    run_folder: RunFolder, state: State
) -> None:
    hit = {"keyword": "相机"}
    recommended = {"flags": ["recommended"]}
    changed = Filter(run_folder, state)
    seen = [("1", recommended), ("1", recommended), ("1", hit), ("1", hit), ("2", hit), ("2", recommended)]
    assert [changed.passes(make_listing(item_id, **fields)) for item_id, fields in seen] == [
        *(True, False, True, False),
        *(True, False),
    ]
    assert changed.counted() == {"recommended": 3, "duplicates": 3}


@pytest.mark.parametrize(
    ("fields", "is_written"),
    [
        ({}, False),
        ({"fetched_at": "2026-11-29T11:59:59Z"}, False),
        ({"fetched_at": "2026-11-29T12:00:00Z"}, True),  # seven days
        ({"price_fen": 1}, True),
        ({"price_fen": 1, "fetched_at": "2026-11-22T11:59:59Z"}, False),  # fetched before the known one
        ({"want_count": 9}, False),
    ],
)
def test_a_known_listing_is_written_if_it_changed_or_was_last_written_long_ago(
    run_folder: RunFolder, state: State, fields: dict[str, Any], is_written: bool
) -> None:
    make_known(state, make_listing())
    changed = Filter(run_folder, state)
    assert changed.passes(make_listing(**fields)) is is_written
    assert changed.counted() == ({} if is_written else {"unchanged": 1})


def test_rejects_are_recorded_in_their_file(run_folder: RunFolder, state: State) -> None:
    changed = Filter(run_folder, state)
    assert changed.passes(Reject("5", "no title", "data.resultList[3]")) is False
    assert changed.counted() == {"rejected": 1}
    run_folder.close(outcome=Outcome.FINISHED, exit_code=0, detail="", now=NOW)
    manifest = orjson.loads(run_folder.manifest_path.read_bytes())
    assert manifest["rejects"] == {"file": "rejects.jsonl", "rows": 1}


def test_without_the_runner_there_is_no_filter() -> None:
    with pytest.raises(NotConfigured):
        ChangedListingsFilter.from_crawler(get_crawler())


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "富士 X100F"},
        {"description": "带盒"},
        {"price_fen": 564251},
        {"price_status": PriceStatus.NEGOTIABLE},
        {"orig_price_fen": 1},
        {"coupon_off_fen": 1},
        {"condition": "几乎全新"},
        {"brand": "Apple/苹果"},
        {"free_shipping": True},
        {"area": "上海"},
        {"category_id": "1512"},
        {"flags": ["auction"]},
    ],
)
def test_the_fingerprint_changes_with_what_the_seller_writes(fields: dict[str, Any]) -> None:
    assert fingerprint(make_listing(**fields)) != fingerprint(make_listing())


def test_the_fingerprint_does_not_depend_on_who_wants_or_who_found_the_item() -> None:
    other = make_listing(
        want_count=5, keyword="相机", category="相机", fetched_at="2026-11-23T00:00:00Z", pictures=["a.jpg"], run_id="x"
    )
    assert fingerprint(other) == fingerprint(make_listing())
    # The same in every version of the crawler, or else all known listings would look changed.
    assert fingerprint(make_listing()).hex() == "5c68da1732540a6f"
