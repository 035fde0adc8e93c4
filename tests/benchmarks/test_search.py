"""The benchmark of search: its goods and queries, each engine that takes part, and a short run of the whole."""

from collections import Counter
from pathlib import Path

import pytest

from app.search.documents import Document
from app.search.evaluation import read_corpus, read_queries
from benchmarks.search_corpus import labelled, write
from benchmarks.search_engines import CONTESTANTS
from benchmarks.search_goods import Role, offers
from benchmarks.search_queries import KINDS, chinese_number
from tests.benchmarks.short_run import short_run
from tests.benchmarks.tables import cells


def test_goods_and_queries_are_the_same_each_time() -> None:
    goods = offers(3000)
    assert goods[:50] == offers(50)
    assert Counter(each.role for each in goods).keys() == set(Role)
    queries = labelled(goods, per_kind=6)
    assert queries == labelled(goods, per_kind=6)
    # On few goods, some kinds have no query that a good is quite right for.
    assert len({each.kind for each in queries}) > len(KINDS) - 3
    assert all(3 in each.grades.values() for each in queries)


def test_grades_are_those_of_what_is_asked_for() -> None:
    goods = {each.number: each for each in offers(3000)}
    by_text = {each.text: each for each in labelled(list(goods.values()), per_kind=40)}
    asked = by_text["羽绒服"]
    assert {goods[number].thing.name for number in asked.grades} == {"羽绒服"}  # type: ignore[union-attr] # they have one
    assert {goods[number].role for number in asked.grades} == {Role.THING}
    dear = [each for text, each in by_text.items() if text.endswith("元以内的羽绒服")]
    for query in dear:
        limit = int(query.text.removesuffix("元以内的羽绒服"))
        assert all(goods[number].price <= limit for number in query.grades)


@pytest.mark.parametrize(("number", "spoken"), [(7, "七"), (10, "十"), (14, "十四"), (40, "四十"), (65, "六十五")])
def test_numbers_as_they_are_spoken(number: int, spoken: str) -> None:
    assert chinese_number(number) == spoken


def test_the_files_are_those_of_an_evaluation(tmp_path: Path) -> None:
    write(tmp_path, count=500, per_kind=4)
    corpus = read_corpus(tmp_path / "GOODS.jsonl")
    assert len(corpus.documents) == 500
    tuned, held_out = (read_queries(tmp_path / name, corpus) for name in ("QUERIES.jsonl", "HELD-OUT.jsonl"))
    assert not {(each.kind, each.text) for each in tuned} & {(each.kind, each.text) for each in held_out}


@pytest.mark.parametrize("name", [name for name in CONTESTANTS if name != "ours: PostgreSQL"])
def test_an_engine_finds_what_it_was_given(name: str, tmp_path: Path) -> None:
    def document(number: int, title: str, price: int) -> Document:
        return Document(
            good_id=number, title=title, description="", category=1, price=price, published=number, trade_mode=7
        )

    engine = CONTESTANTS[name]
    engine.build(
        tmp_path, [document(1, "iPhone 13 红色", 300_000), document(2, "红色 台灯", 5_000)], lambda _goods: None
    )
    assert engine.size(tmp_path) > 100
    with engine.opened(tmp_path) as reader:
        assert list(reader.find("红色", 5)) in ([1, 2], [2, 1])
        assert next(iter(reader.find("台灯 红色", 5))) == 2
        assert list(reader.find_understood("台灯", 5)) == [2]
        reader.add(document(3, "zq1w2x", 100))
        assert list(reader.find("zq1w2x", 5)) == [3]


def test_a_short_run(stores: tuple[str, str]) -> None:
    limits = ("--goods", "300", "--per-kind", "2", "--seconds", "0.2", "--engine", "ours: PostgreSQL")
    printed = short_run("benchmarks.search", *limits, stores=stores)
    rows = cells(printed)
    assert [row[0] for row in rows[:2]] == ["ours: PostgreSQL", "ours: PostgreSQL, understood"]
    speed = [row for row in rows if len(row) == 10]
    assert len(speed) == 2
    for _, *times, built, visible, disk, memory in speed:
        assert 0 < float(times[0]) <= float(times[1]) <= float(times[2])
        assert all(float(each.replace(",", "")) > 0 for each in (*times[3:], built, visible, disk, memory))
