"""What a seller's title looks for among the listings: first just that, then step by step something less.

A title that names a model keeps it, and everything that makes another model of it, to the last step. One without
keeps its nouns, because any of them may be a brand that we do not know.
"""

from typing import Final

from app.language.analysis import Analyser, is_han
from app.listings.terms import BARE, Model, Title, is_series, measure_term, read_title
from app.listings.words import BRANDS, DESCRIPTIVE, LINES, SEE_THROUGH, SHORT_NAMES

STEPS: Final = 4

_OPTIONAL_UNITS: Final = frozenset({"g", "t", "年", "码", "瓦", "毫安", "hz"})
"""Without a model, measures in other units are what the thing is: a 27寸 monitor, a 1.5匹 air conditioner."""


def wanted_terms(analyser: Analyser, title: str, *, nouns: bool = False) -> tuple[frozenset[str], ...]:
    """What listings comparable to `title` are found by: for each step the terms that they must all have.

    There are at most `STEPS`, each a part of the one before it; none where the title says nothing that a price could be
    found by. With `nouns` the title is of something for a model, a case or a battery: then its noun is needed beside
    the model.
    """
    read = read_title(analyser, title)
    steps = _steps_of_a_model(read, nouns=nouns) if read.models else _steps_of_a_thing(read, nouns=nouns)
    return tuple(dict.fromkeys(frozenset(step) - {""} for step in steps))


def readable(terms: frozenset[str]) -> list[str]:
    """Terms as people read them, models and words first: `["iphone13", "max", "pro", "256g"]`."""
    words = sorted(term for term in terms if term[0] not in "~^=*")
    numbers = sorted(term[1:] for term in terms if term[0] == "~")
    kinds = sorted(kind for term in terms if term[0] == "^" for kind in term[1:].split("+") if kind not in ("", "*"))
    measures = sorted(term[1:] for term in terms if term[0] == "=")
    # The number alone says nothing more than the model that it stands in.
    return [
        *words,
        *(number for number in numbers if not any(word.endswith(number) for word in words)),
        *kinds,
        *measures,
    ]


def _steps_of_a_model(read: Title, *, nouns: bool) -> list[set[str]]:
    measures = {measure_term(each) for each in read.measures}
    strong = any(_is_strong(model) for model in read.models)
    words = {word for word in read.words if not is_han(word)}
    things = [word for word in read.words if is_han(word) and word not in DESCRIPTIVE | SEE_THROUGH]
    if nouns:
        words.update(things)
        things = [word for word in things if word in SHORT_NAMES][:1] or things[:1]
    elif strong or read.brands:
        things = []
    series = set() if strong else {word for word in read.words if word in LINES}
    always = {read.kind, *things, *series}
    told = {model.tail if _is_told_by_its_number(model) else model.name for model in read.models} | always
    # A listing that has the name of a model has its number as well: so each step is part of the one before it.
    named = {model.name for model in read.models} | told
    brands = set(read.brands)
    needed = set() if strong else brands
    return [named | brands | words | measures, named | brands | words, named | needed, told | needed]


def _is_strong(model: Model) -> bool:
    """Whether it is known without its brand: 小米13, iphone13, a7m4, d850; not v8, k60."""
    return (
        model.anchor in BRANDS
        or model.anchor in LINES
        or sum(map(str.isdigit, model.number)) >= 3
        or (len(model.name) >= 4 and not model.number.isdigit())
    )


def _is_told_by_its_number(model: Model) -> bool:
    """Whether its number says enough without what is before it: rtx 3060, wh-1000xm5, but not d850."""
    return model.tail != "" and (not model.anchor or is_series(model.anchor) or len(model.number) > 4)


def _steps_of_a_thing(read: Title, *, nouns: bool) -> list[set[str]]:
    brands = set(read.brands)
    words = {*brands, *read.words}
    measures = {measure_term(each) for each in read.measures}
    fixed = {measure_term(each) for each in read.measures if each[1] not in _OPTIONAL_UNITS}
    if not words or not (read.words or fixed):  # a brand alone makes many things
        return []
    fixed.add(read.kind)
    # A single character may well be of what comes along: 带盒, 送包. But something must be left beside the brand.
    fewer = (words - DESCRIPTIVE - (frozenset() if nouns else SHORT_NAMES), words - DESCRIPTIVE)
    needed = next((each for each in fewer if each - brands), words)
    things = [word for word in read.words if word in needed and is_han(word)]
    series = {word for word in read.words if word in LINES}
    if series:  # a Switch, which is no Switch 2
        fixed |= series | {BARE}
    steps = [words | measures | fixed | {BARE}, words | fixed, needed | fixed]
    if nouns:  # what is made for a Switch is many things
        return steps
    if series:
        steps.append(set(fixed))
    elif read.brands and things:
        # Of a known brand no noun is the name. The last one is the thing itself, as usual in Chinese.
        steps.append({*read.brands, things[-1]} | fixed)
    return steps
