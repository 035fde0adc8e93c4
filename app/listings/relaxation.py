"""Query relaxation: by which terms of a seller's title comparable listings are looked for.

The first step asks for all terms of the title; each further one leaves some out and so finds more, less alike ones. A
model, and everything that makes another model of it, is asked for to the last step. Of a title without a model that
holds for its nouns, because any of them may be a brand that we do not know.
"""

from typing import Final

from app.language.analysis import Analyser, is_han
from app.listings.terms import NO_MODEL, Model, ParsedTitle, is_series, measure_term, parse_title
from app.listings.words import ACCESSORIES, BRAND_OF_SERIES, BRANDS, DESCRIPTIVE, GENERIC_NOUNS, ONE_CHARACTER_NOUNS

MAX_STEPS: Final = 4

_OPTIONAL_UNITS: Final = frozenset({"g", "t", "年", "码", "瓦", "毫安", "hz", "面"})
"""Units of measures that relaxation may leave out where there is no model. Measures in other units tell what the thing
is: a 27寸 monitor, a 1.5匹 air conditioner."""


def relaxation_steps(analyser: Analyser, title: str, *, nouns: bool = False) -> tuple[frozenset[str], ...]:
    """For each step the terms (`app.listings.terms`) that a listing comparable to `title` must all have.

    There are at most `MAX_STEPS`, each a proper subset of the one before it; none where the title says nothing that a
    price could be found by. `nouns` says that the title is of something for a model, a case or a battery: then its noun
    is needed beside the model.
    """
    parsed = parse_title(analyser, title)
    steps = _steps_with_model(parsed, nouns=nouns) if parsed.models else _steps_without_model(parsed, nouns=nouns)
    return tuple(dict.fromkeys(frozenset(step) - {""} for step in steps))


def readable(terms: frozenset[str]) -> list[str]:
    """Terms without the signs of their kinds, models and words first: `["iphone13", "max", "pro", "256g"]`."""
    words = sorted(term for term in terms if term[0] not in "~^=*")
    numbers = sorted(term[1:] for term in terms if term[0] == "~")
    qualifiers = sorted({each for term in terms if term[0] == "^" for each in term[1:].split("+")} - {"", "*"})
    measures = sorted(term[1:] for term in terms if term[0] == "=")
    # A number alone repeats the model that ends with it.
    return [
        *words,
        *(number for number in numbers if not any(word.endswith(number) for word in words)),
        *qualifiers,
        *measures,
    ]


def _steps_with_model(parsed: ParsedTitle, *, nouns: bool) -> list[set[str]]:
    measures = {measure_term(each) for each in parsed.measures}
    brand_is_implied = any(_needs_no_brand(model) for model in parsed.models)
    words = {word for word in parsed.words if not is_han(word)}
    things = [word for word in parsed.words if is_han(word) and word not in DESCRIPTIVE | GENERIC_NOUNS]
    if nouns:
        words.update(things)
        things = [word for word in things if word in ACCESSORIES | ONE_CHARACTER_NOUNS][:1] or things[:1]
    elif brand_is_implied or parsed.brands:
        things = []
    series = set() if brand_is_implied else {word for word in parsed.words if word in BRAND_OF_SERIES}
    always = {parsed.variant, *things, *series}
    identified = {
        model.number_term if _is_identified_by_number(model) else model.name for model in parsed.models
    } | always
    # A listing with the name of a model has its number as well, so each step is a subset of the one before it.
    named = {model.name for model in parsed.models} | identified
    brands = set(parsed.brands)
    needed = set() if brand_is_implied else brands
    return [named | brands | words | measures, named | brands | words, named | needed, identified | needed]


def _needs_no_brand(model: Model) -> bool:
    """Whether it tells its brand: 小米13, iphone13, a7m4, d850 do; v8 and k60 are models of several brands."""
    return (
        model.prefix in BRANDS
        or model.prefix in BRAND_OF_SERIES
        or sum(map(str.isdigit, model.number)) >= 3
        or (len(model.name) >= 4 and not model.number.isdigit())
    )


def _is_identified_by_number(model: Model) -> bool:
    """Whether its number alone tells which model it is: 3060 of rtx 3060, 1000xm5 of wh-1000xm5; not 850 of d850."""
    return model.number_term != "" and (not model.prefix or is_series(model.prefix) or len(model.number) > 4)


def _steps_without_model(parsed: ParsedTitle, *, nouns: bool) -> list[set[str]]:
    brands = set(parsed.brands)
    words = {*brands, *parsed.words}
    measures = {measure_term(each) for each in parsed.measures}
    fixed = {measure_term(each) for each in parsed.measures if each[1] not in _OPTIONAL_UNITS}
    if not words or not (parsed.words or fixed):  # a brand alone sells things of all prices
        return []
    fixed.add(parsed.variant)
    # A noun of one character may well name what comes along: 带盒, 送包. But something must be left beside the brand.
    fewer = (words - DESCRIPTIVE - (frozenset() if nouns else ONE_CHARACTER_NOUNS), words - DESCRIPTIVE)
    needed = next((each for each in fewer if each - brands), words)
    things = [word for word in parsed.words if word in needed and is_han(word)]
    series = {word for word in parsed.words if word in BRAND_OF_SERIES}
    if series:  # a Switch must not be compared with a Switch 2, which is a model
        fixed |= series | {NO_MODEL}
    steps = [words | measures | fixed | {NO_MODEL}, words | fixed, needed | fixed]
    if nouns:  # the series alone would find everything that is made for it
        return steps
    if series:
        steps.append(set(fixed))
    elif parsed.brands and things:
        # The brand is known, so no noun need be kept as a possible one. The last is the head noun, as usual in Chinese.
        steps.append({*parsed.brands, things[-1]} | fixed)
    return steps
