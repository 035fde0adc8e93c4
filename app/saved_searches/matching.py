"""Which goods fit a saved search: those that would be full hits of it, found without an index."""

from collections.abc import Collection, Sequence

import numpy as np

from app.search.documents import Document, condition_of, flag_bits_of
from app.search.snapshot import of_other_kind, unmet_limits
from app.search.understanding import ConstraintName, Group, Understanding


def fits(understanding: Understanding, document: Document, tokens: Collection[str]) -> bool:
    """Whether a good with these tokens is a full hit of the query: by its words, its limits and its kind."""
    if not all(
        any(all(token in tokens for token in alternative.tokens) for alternative in group.matching)
        for group in understanding.groups
    ):
        return False
    lowest, highest = understanding.limit(ConstraintName.PRICE_MIN), understanding.limit(ConstraintName.PRICE_MAX)
    if isinstance(lowest, int) and document.price < lowest:
        return False
    if isinstance(highest, int) and document.price > highest:
        return False
    values = {
        "flags": flag_bits_of(document),
        "category": document.category,
        "freight": document.freight,
        "condition": condition_of(document),
    }
    columns = {name: np.array([value], np.int64) for name, value in values.items()}
    other, _ = of_other_kind(columns, understanding.kinds)
    return not other.any() and not any(unmet.any() for unmet in unmet_limits(columns, understanding))


def keys_of(groups: Sequence[Group]) -> list[str]:
    """Tokens of which every good has one that fits `groups`.

    They are those of one group, the longest of each of its alternatives: of the group whose shortest is the longest,
    as short tokens are in many goods.
    """
    candidates = [{max(each.tokens, key=len) for each in group.matching} for group in groups]
    return sorted(max(candidates, key=lambda tokens: min(map(len, tokens)), default=()))
