"""Which goods fit a saved search: by the same tokens and groups as the search, without an index."""

from collections.abc import Collection, Sequence

from app.search.understanding import Group


def fits(groups: Sequence[Group], tokens: Collection[str]) -> bool:
    """Whether a good with these tokens is a full hit: of every group it has all tokens of one alternative."""
    return all(
        any(all(token in tokens for token in alternative.tokens) for alternative in group.matching) for group in groups
    )


def keys_of(groups: Sequence[Group]) -> list[str]:
    """Tokens of which every good has one that fits `groups`.

    They are those of one group, the longest of each of its alternatives: of the group whose shortest is the longest,
    as short tokens are in many goods.
    """
    candidates = [{max(each.tokens, key=len) for each in group.matching} for group in groups]
    return sorted(max(candidates, key=lambda tokens: min(map(len, tokens)), default=()))
