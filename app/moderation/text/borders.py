"""Whether characters that stand near each other are a word to those who read them. All texts are folded."""

import itertools
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from app.moderation.text.folding import SENTENCE_ENDS

# Readers do not join what stands before and after these into one word.
_SENTENCE_ENDS: Final = re.compile(f"[{SENTENCE_ENDS}]")
_HAN_RUN: Final = re.compile("[\u3400-\u9fff]+")
_SHORTEST_ACROSS_BLANKS: Final = 3
_LONG_ACROSS_BLANKS: Final = 4
_RUN_SIDE: Final = 6
_SHORTEST_SURE: Final = 3


def is_one_word(
    text: str, start: int, end: int, places: Sequence[int] | None, word: str, *, across_blanks: bool = False
) -> bool:
    """Whether readers see `text[start:end]` as `word`; `places` has its characters' places if separators are inside.

    Latin letters and digits must not continue outside of it (dvx100 does not contain vx). If there are separators
    inside that are not the word's own (as in 1:1复刻), then either every character must stand alone (加.微.信, 枪 支),
    or the word must have at least three characters, one of them alone, with no end of a clause inside and no Latin word
    split (加 微信 and 加-vx count; 加,微信, 充气 娃娃, 水枪 支架 and we chat do not). With `across_blanks` none of its
    parts need be alone.
    """
    if places is None and not text[start].isascii() and not text[end - 1].isascii():
        return True  # nothing of what follows can be
    if _is_inside_word(text, start, end) or _runs_on(text, start, end):
        return False
    if places is None:
        # 11 is not 1:1.
        return not (":" in word and text[start:end].isdigit())
    if text[start:end] == word:
        return True
    gaps = [(before, after) for before, after in pairwise(places) if after - before > 1]
    if len(gaps) == len(places) - 1:
        alone_before = start == 0 or not text[start - 1].isalnum()
        alone_after = end == len(text) or not text[end].isalnum()
        if (alone_before and alone_after) or _only_invisible(text, gaps):
            return True
    elif _only_invisible(text, gaps):
        return True
    return (
        len(places) >= _SHORTEST_ACROSS_BLANKS
        and (across_blanks or len(places) >= _LONG_ACROSS_BLANKS or _has_single(places))
        and not _SENTENCE_ENDS.search(text, start, end)
        and not any(text[before].isascii() and text[after].isascii() for before, after in gaps)
    )


def _has_single(places: Sequence[int]) -> bool:
    """Whether one of the parts between the separators is a single character: whole words stand beside each other."""
    borders = [0, *(index + 1 for index, (one, two) in enumerate(pairwise(places)) if two - one > 1), len(places)]
    return any(behind - first == 1 for first, behind in pairwise(borders))


def ends_sentence(text: str, start: int, end: int) -> bool:
    """Whether a sentence or line ends somewhere in `text[start:end]`."""
    return _SENTENCE_ENDS.search(text, start, end) is not None


def cuts_words(text: str, start: int, end: int, cut: Callable[[str], Sequence[str]]) -> bool:
    """Whether `text[start:end]` begins or ends inside of a longer word: 大麻 does in 大麻烦, which is 大 and 麻烦.

    Three and more characters are no accident where only one of their ends is inside: 时时彩 counts in 时时彩带玩.
    """
    words = _words_around(text, start, end, cut)
    begins = any(first < start < behind for first, behind in words)
    ends = any(first < end < behind for first, behind in words)
    return (begins and ends) if end - start >= _SHORTEST_SURE else (begins or ends)


def stands_alone(
    text: str, start: int, end: int, written: str, meant: str, cut: Callable[[str], Sequence[str]]
) -> bool:
    """Whether `written` makes no sense by itself, so that it is read aloud as `meant` (唰丹 as 刷单).

    Characters that make up a word of the dictionary mean that word (强制 is not 枪支), unless the listed word has them
    as well.
    """
    if end - start != len(written):
        return not re.search(r"[\s,;!?、。]", text[start:end])
    for first, behind in _words_around(text, start, end, cut):
        if behind - first < 2 or behind <= start or end <= first:
            continue
        inside = start <= first and behind <= end
        if not inside or written[first - start : behind - start] != meant[first - start : behind - start]:
            return False
    return True


def _words_around(text: str, start: int, end: int, cut: Callable[[str], Sequence[str]]) -> list[tuple[int, int]]:
    before = _HAN_RUN.match(text[max(0, start - _RUN_SIDE) : start][::-1])
    behind = _HAN_RUN.match(text, end, end + _RUN_SIDE)
    left = start - len(before[0]) if before else start
    right = behind.end() if behind else end
    borders = itertools.accumulate(map(len, cut(text[left:right])), initial=left)
    return list(pairwise(borders))


def _only_invisible(text: str, gaps: Sequence[tuple[int, int]]) -> bool:
    """Whether nothing that readers see as a pause stands in the gaps: symbols and invisible characters only."""
    return all(_SYMBOLS.fullmatch(text, before + 1, after) for before, after in gaps)


_SYMBOLS: Final = re.compile(r"[^\w\s,;!?、。./()\[\]:+\-]{1,3}")


def _is_inside_word(text: str, start: int, end: int) -> bool:
    """Whether Latin letters or digits go on where `text[start:end]` begins or ends: vx does not stand in dvx100."""
    if start > 0 and text[start].isascii() and _continues(text[start - 1], text[start]):
        return True
    return end < len(text) and text[end].isascii() and _continues(text[end - 1], text[end])


def _runs_on(text: str, start: int, end: int) -> bool:
    """Whether the Latin letter at an end of a mixed word belongs to a size or model: 超a in 超a4, k粉 in 18k粉色."""
    first, last = text[start], text[end - 1]
    if first.isascii() == last.isascii():
        return False
    if first.isascii():
        return first.isalpha() and start > 0 and text[start - 1].isascii() and text[start - 1].isdigit()
    return last.isalpha() and end < len(text) and text[end].isascii() and text[end].isdigit()


def _continues(left: str, right: str) -> bool:
    """Whether two neighbours belong to one Latin word or one number."""
    if not (left.isascii() and right.isascii()):
        return False
    return (left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit())
