"""The gate: search must not become worse at finding what people mean, with either engine.

10,000 goods and queries of every kind, the held-out half apart, and a small market made by hand. The floors in
`tests/data/search/floors.toml` are a little under what was reached when they were written; `python -m
tests.search.floors` writes them anew. Who raises quality raises the floors; who lowers one says why in the commit.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest

from app.search.evaluation import Find, figures, figures_by_kind, judge
from app.search.temporary import temporary_postgres, temporary_whoosh
from tests.search.floors import FLOORS, Market, generated, handmade

MARKETS: Final = {"generated": generated, "handmade": handmade}


@pytest.fixture(scope="module", params=list(MARKETS))
def market(request: pytest.FixtureRequest) -> Market:
    return MARKETS[request.param]()


@pytest.fixture(scope="module", params=["whoosh", "postgres"])
def find(request: pytest.FixtureRequest, market: Market) -> Iterator[Find]:
    engine: AbstractContextManager[Find]
    if request.param == "postgres":
        engine = temporary_postgres(request.getfixturevalue("stores")[0], market.documents)
    else:
        engine = temporary_whoosh(market.documents)
    with engine as found:
        yield found


def below(reached: Mapping[str, float | None], floors: Mapping[str, float]) -> dict[str, tuple[float | None, float]]:
    """What is below its floor: the figure and the floor."""
    return {name: (reached[name], floor) for name, floor in floors.items() if (reached[name] or 0.0) < floor}


def test_what_was_meant_is_found(market: Market, find: Find) -> None:
    floors: dict[str, Any] = tomllib.loads(FLOORS.read_text("utf-8"))[market.name]
    for half, queries in market.halves.items():
        outcomes = list(judge(queries, find))
        whole = figures(outcomes)
        of_all = {"ndcg10": whole.ndcg10, "recall50": whole.recall50, "found": 1 - whole.zero}
        assert below(of_all, floors[half]["all"]) == {}, half
        kinds = {kind: each.ndcg10 for kind, each in figures_by_kind(outcomes).items()}
        assert kinds.keys() == floors[half]["kinds"].keys()
        assert below(kinds, floors[half]["kinds"]) == {}, half
