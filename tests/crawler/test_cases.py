"""Answers and archives as they are really met: the files in `cases/`, each as `cases/expectations.txt` says."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.processes import ForkedPython

CASES: Final = Path(__file__).parent / "cases"
REFUSED: Final = ("34_ret_timeout.json", "35_ret_flowlimit.json")
"""Answers without data: they are named, and the run is partial."""


class Run(NamedTuple):
    """What one run over saved files left."""

    code: int | None
    manifest: dict[str, Any]
    listings: dict[str, dict[str, Any]]
    rejects: list[dict[str, Any]]
    complaints: list[str]


def run(data: Path, files: list[Path]) -> Run:
    """Run `xianyu_file` over these files."""
    words = ["-m", "crawler", "run", "xianyu_file", "--category", "键盘", *map(str, files)]
    with ForkedPython(words, environ={"PATH": os.defpath, "XIANYU_DATA": str(data)}) as process:
        process.communicate(timeout=60)
        code = process.returncode
    (path,) = data.glob("runs/*/manifest.json")
    manifest = json.loads(path.read_bytes())
    lines = [line for batch in manifest["batches"] for line in (path.parent / batch["file"]).read_bytes().splitlines()]
    listings = [json.loads(line) for line in lines]
    rejects = path.parent / "rejects.jsonl"
    (log,) = (data / "logs").iterdir()
    return Run(
        code=code,
        manifest=manifest,
        listings={listing["item_id"]: listing for listing in listings},
        rejects=[json.loads(line) for line in rejects.read_bytes().splitlines()] if rejects.exists() else [],
        complaints=re.findall(r"Not complete: (.*)", log.read_text("utf-8")),
    )


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run over all cases."""
    return run(tmp_path_factory.mktemp("cases") / "data", sorted({*CASES.glob("*.json"), *CASES.glob("har/*")}))


def expectations() -> Iterator[tuple[str, str]]:
    """Each file of `cases/` and what is expected of it."""
    for line in (CASES / "expectations.txt").read_text("utf-8").splitlines():
        name, _, expected = line.partition(": ")
        yield name, expected


FIELDS: Final = [
    (name, item_id, fields)
    for name, expected in expectations()
    if expected.startswith("{")
    for item_id, fields in json.loads(expected).items()
    if item_id != "_"
]


@pytest.mark.parametrize(("name", "item_id", "fields"), FIELDS, ids=[f"{name}-{each}" for name, each, _ in FIELDS])
def test_a_field_is_read_as_expected(everything: Run, name: str, item_id: str, fields: dict[str, Any]) -> None:
    listing = everything.listings[item_id]
    expected = {key: value for key, value in fields.items() if not key.startswith("_")}

    assert {key: listing[key] for key in expected} == expected, name


def test_every_case_is_there_and_all_but_refusals_are_read(everything: Run) -> None:
    files = {path.relative_to(CASES).as_posix() for path in (*CASES.glob("*.json"), *CASES.glob("har/*"))}
    assert {name for name, _ in expectations()} == files
    assert (everything.code, everything.manifest["outcome"]) == (4, "partial")
    assert everything.complaints == [
        "34_ret_timeout.json: the site did not answer with data: passing (TIMEOUT)",
        "35_ret_flowlimit.json: the site did not answer with data: limited (FAIL_SYS_FLOWLIMIT)",
    ]
    # 07 has two cards without an item; 32 is deleted.
    assert [(row["place"], row["reason"], row["item_id"]) for row in everything.rejects] == [
        ("07_only_foreign_cards.json data.resultList[0]", "no id", None),
        ("07_only_foreign_cards.json data.resultList[1]", "no item", None),
        ("32_detail_gone.json ret", "gone", None),
    ]
    counts = everything.manifest["counts"]
    assert (counts["duplicates"], counts["recommended"], counts["rejected"]) == (1, 5, 3)  # 46; 16 and 17
    assert counts["listings"] == len(everything.listings) == len(FIELDS) + 5 + 2 + 10  # and 47, and the archives


@pytest.mark.parametrize(
    ("name", "pages"), [("07_only_foreign_cards", 1), ("19_empty_numFound0", 1), ("20_empty_beyond_last_page", 1)]
)
def test_a_page_without_a_listing_is_no_failure(tmp_path: Path, name: str, pages: int) -> None:
    found = run(tmp_path / "data", [CASES / f"{name}.json"])

    assert (found.code, found.manifest["outcome"], found.manifest["detail"]) == (0, "finished", "")
    assert (found.listings, found.manifest["counts"]["pages"]) == ({}, pages)


def test_without_the_refusals_the_run_is_complete(tmp_path: Path) -> None:
    files = sorted(path for path in CASES.glob("[0-3]*.json") if path.name not in REFUSED)

    found = run(tmp_path / "data", [*files, *sorted(CASES.glob("har/*"))])

    assert (found.code, found.manifest["outcome"], found.complaints) == (0, "finished", [])


def test_what_was_not_found_with_the_keyword_is_no_hit_of_it(everything: Run) -> None:
    recommended = {
        item_id: (listing["keyword"], listing["category"], listing["flags"])
        for item_id, listing in everything.listings.items()
        if "recommended" in listing["flags"]
    }

    assert recommended == {str(1_000_000_000_000 + n): (None, None, ["recommended"]) for n in (62, 63, 64, 65, 66)}


def test_coupon_condition_brand_and_shipping(everything: Run) -> None:
    names = ("price_fen", "coupon_off_fen", "condition", "brand", "free_shipping")

    assert [[everything.listings[each][name] for name in names] for each in ("4000000000001", "4000000000002")] == [
        [62_400, 5_000, None, None, None],
        [10_000, None, "几乎全新", "Apple/苹果", True],
    ]


def test_archives_are_read_however_they_were_saved(everything: Run) -> None:
    from_archives = {each: listing for each, listing in everything.listings.items() if each.startswith("2000000000")}

    assert {item_id: listing["keyword"] for item_id, listing in from_archives.items()} == {
        str(2_000_000_000_000 + number): "键盘 A+B 50%" for number in (3, 4, 10, 11, 12, 15, 18, 19, 20, 24)
    }
    # When the browser asked; a file with answers alone does not tell.
    asked = Counter(listing["fetched_at"] for each, listing in from_archives.items() if each[-2:] not in ("19", "20"))
    assert asked == {"2026-11-20T04:00:00Z": 8}


def test_how_many_offers_there_are_is_told_for_each_keyword(everything: Run) -> None:
    offers = {search["keyword"]: (search["category"], search["offers"]) for search in everything.manifest["searches"]}

    # Of several answers for one keyword, here for 测试词, the newest counts; that depends on when files were written.
    assert offers.pop("测试词")[0] == "键盘"
    assert offers == {"乒乓球拍": ("键盘", 1), "键盘 A+B 50%": ("键盘", 1)}
