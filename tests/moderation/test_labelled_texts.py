"""How well the text check judges: texts that we labelled, in the part for tuning and the part held out, and goods."""

from functools import cache

import pytest

from app.moderation.text.check import judge
from app.moderation.text.context import TextContext, TextKind
from app.moderation.verdicts import Category, Decision, Judgement
from benchmarks.ordinary_goods import ordinary_goods
from tests.moderation.labelled import Labelled, Report, read_labelled, report
from tests.moderation.texts import our_rules

TEXTS = list(read_labelled())


@cache
def judged() -> list[tuple[Labelled, Judgement]]:
    """The texts with our judgements: once, and not where tests are only collected."""
    return list(zip(TEXTS, judge(our_rules(), [(text.text, TextContext()) for text in TEXTS]), strict=True))


def report_of(*, held_out: bool) -> Report:
    """The report on one of the two parts."""
    return report(pair for pair in judged() if pair[0].held_out is held_out)


def test_the_set_is_as_large_and_mixed_as_it_should_be() -> None:
    violations = [text for text in TEXTS if text.category is not None]
    assert len(TEXTS) >= 600
    assert len({text.text for text in TEXTS}) == len(TEXTS)
    assert 0.4 <= len(violations) / len(TEXTS) <= 0.6
    machines = {Category.PRICE, Category.DUPLICATE, Category.QUALITY, Category.PERSONAL_DATA}
    assert {text.category for text in violations} == set(Category) - machines
    held_out = [text for text in TEXTS if text.held_out]
    assert 0.25 <= len(held_out) / len(TEXTS) <= 0.4


@pytest.mark.parametrize(
    ("held_out", "rejections_right", "violations_found", "harmless_passed"),
    [(False, 0.98, 0.92, 0.96), (True, 0.96, 0.92, 0.96)],
)
def test_how_many_are_judged_rightly(
    *, held_out: bool, rejections_right: float, violations_found: float, harmless_passed: float
) -> None:
    found = report_of(held_out=held_out)
    assert found.rejections_right >= rejections_right
    assert found.violations_found >= violations_found
    assert found.harmless_share_passed >= harmless_passed
    assert [category for category, (hits, total) in found.found.items() if hits < 0.8 * total] == []


def test_ordinary_goods_pass() -> None:
    goods = list(ordinary_goods(5000))
    assert len({good.title for good in goods}) > 3000
    texts = [
        (text, TextContext(kind=kind, category=good.category, price=good.price))
        for good in goods
        for kind, text in ((TextKind.TITLE, good.title), (TextKind.DESCRIPTION, good.description))
    ]
    judgements = judge(our_rules(), texts)
    stopped = {number // 2 for number, found in enumerate(judgements) if found.decision is not Decision.PASS}
    assert len(stopped) <= 25
