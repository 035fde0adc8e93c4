"""Twenty runs are killed by kill -9, each at another moment; then a normal run, and the import of all of them.

The moments are spread over the start of a run, its pages, and its end. Each is a random time after an event that can
be seen from outside. Between two runs goods are added, and some of the newest get another price.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random

from flask import Flask
from sqlalchemy import func, select

from app.db.database import db
from app.listings.importer import ImportOutcome, import_manifest
from app.listings.models import Listing, ListingPrice
from tests.crawler.crawls import Operator, Running, found_listings, lines_of
from tests.crawler.goofish.generated_market import Market
from tests.crawler.goofish.process import Site
from tests.money.sandbox_server import eventually

KEYWORD = "杀"
FIRST_ITEMS = 150
NEW_ITEMS = (0, 15, 50)
NEW_PRICES = 5
PRICES_CHANGE = 0.4
"""How likely between two runs."""
KILLS = 20
PAUSE = 0.015
"""Seconds before each answer."""
SETTINGS = {"BATCH": "25", "PAGE_LIMIT": "100"}


@dataclass(frozen=True)
class Moment:
    """Some seconds after a condition became true, or after the run ended by itself."""

    reached: Callable[[Running], bool]
    seconds: float

    def wait(self, run: Running) -> None:
        """Wait for the moment. The condition is checked often, as the end of a run takes only milliseconds."""
        deadline = time.monotonic() + 30
        while run.process.poll() is None and not self.reached(run):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(self.seconds)


def _begun(run: Running) -> bool:
    return bool(run.folders())


def _pages(number: int) -> Callable[[Running], bool]:
    return lambda run: run.pages() >= number


def _last_page(run: Running) -> bool:
    """The last page was requested; its answer is on the way."""
    return any(request["answer"] == "page" and request["last"] for request in run.requests())


def _moments(rng: Random) -> list[Moment]:
    """Three at the start, eleven among the pages, six at the end; shuffled."""
    start = [Moment(lambda _: True, rng.uniform(0.02, 0.1)), *(Moment(_begun, rng.uniform(0, 0.2)) for _ in range(2))]
    pages = [Moment(_pages(number % 6 + 1), rng.uniform(0, 0.04)) for number in range(11)]
    end = [Moment(_last_page, rng.uniform(PAUSE, PAUSE + 0.04)) for _ in range(6)]
    moments = [*start, *pages, *end]
    rng.shuffle(moments)
    return moments


def _next_second() -> None:
    """Wait for it. Times of sightings are whole seconds, so two prices of a good must be seen in different ones."""
    second = int(time.time())
    eventually(lambda: int(time.time()) > second, what="the next second")


def test_kills_lose_nothing_and_repeat_nothing(operator: Operator, site: Site, context: Flask) -> None:
    rng = Random(20261122)
    items, revisions, killed = FIRST_ITEMS, dict[int, int](), 0
    moments = cycle(_moments(rng))
    runs: list[Path] = []  # in the order of time, which the names of the same second do not show
    while killed < KILLS:  # a kill that comes too late, when the run has ended, does not count
        moment = next(moments)
        market = Market(keyword=KEYWORD, items=items, revisions=dict(revisions))
        site.open(market, pause=PAUSE)
        with operator.running(KEYWORD, **SETTINGS) as run:
            moment.wait(run)
            run.process.kill()
            killed += run.process.wait() == -9
        runs += run.folders()
        if rng.random() < PRICES_CHANGE:
            _next_second()
            for number in range(items, items - NEW_PRICES, -1):
                revisions[number] = revisions.get(number, 0) + 1
        items += rng.choice(NEW_ITEMS)

    market = site.open(Market(keyword=KEYWORD, items=items, revisions=revisions))
    last = operator.crawl(KEYWORD, **SETTINGS)

    assert (last.code, last.outcome) == (0, "finished"), last.complaints
    expected = market.listings()
    assert found_listings(last).items() <= expected.items()
    assert list(operator.data.rglob("*.part")) == []
    runs = [folder for folder in runs if folder.exists()]  # without those that were killed before their manifest
    assert last.folder is not None
    runs.append(last.folder)
    assert set(runs) == operator.runs()
    lines = [line for run_folder in runs for line in lines_of(run_folder)]
    # Nothing twice in all runs together: an item is written again only with another price.
    assert max(Counter((line["item_id"], line["price_fen"]) for line in lines).values()) == 1
    assert {line["item_id"] for line in lines} == set(expected)

    manifests = [folder / "manifest.json" for folder in runs]
    outcomes = sum((import_manifest(path).outcomes for path in manifests), Counter[ImportOutcome]())
    assert outcomes[ImportOutcome.CREATED] == len(expected)
    assert outcomes.total() == len(lines)
    _check_database(market, lines)
    again = sum((import_manifest(path).outcomes for path in manifests), Counter[ImportOutcome]())
    assert again[ImportOutcome.CREATED] == again[ImportOutcome.UPDATED] == 0
    _check_database(market, lines)


def _check_database(market: Market, lines: list[dict[str, object]]) -> None:
    """The database holds exactly what the market holds, and each price once: what the seller asks, without coupons."""
    names = {
        "url": "url",
        "title": "title",
        "price": "price_fen",
        "original_price": "orig_price_fen",
        "coupon_off": "coupon_off_fen",
        "source_condition": "condition",
        "brand": "brand",
        "free_shipping": "free_shipping",
        "source_category": "category_id",
        "area": "area",
        "want_count": "want_count",
    }
    stored = {
        listing.item_id: {
            **{theirs: getattr(listing, ours) for ours, theirs in names.items()},
            "published_at": f"{listing.published_at:%Y-%m-%dT%H:%M:%SZ}",
        }
        for listing in db.session.scalars(select(Listing))
    }
    wanted = (*names.values(), "published_at")
    expected = {item_id: {name: fields[name] for name in wanted} for item_id, fields in market.listings().items()}
    for fields in expected.values():
        if fields["coupon_off_fen"] is not None:
            fields["price_fen"] += fields["coupon_off_fen"]
    assert stored == expected
    prices = db.session.scalar(select(func.count()).select_from(ListingPrice))
    assert prices == sum(line["price_fen"] is not None for line in lines)
