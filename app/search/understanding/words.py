"""The words of a query: runs of tokens that are names in the lexicon, and tokens that it does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from app.language.analysis import Analyser, Token, is_han
from app.language.lexicon import Lexicon, WordClass, WordGroup
from app.listings.words import is_one_model


@dataclass(frozen=True, slots=True)
class Word:
    """A name of the lexicon, or a token that is none; `text` in normal form, at `start` to `end` of the query."""

    text: str
    tokens: tuple[str, ...]
    start: int
    end: int
    groups: tuple[WordGroup, ...] = ()
    is_talk: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the lexicon has it."""
        return self.is_talk or bool(self.groups)

    @property
    def group(self) -> WordGroup | None:
        """What it most likely is."""
        return self.groups[0] if self.groups else None

    @property
    def word_class(self) -> WordClass | None:
        """The class of that."""
        return self.groups[0].word_class if self.groups else None

    @property
    def is_han(self) -> bool:
        """Whether it is of Han characters alone."""
        return all(map(is_han, self.tokens))


@dataclass(frozen=True, slots=True)
class Phrases:
    """The lexicon by tokens: what each name is cut into, and the other way round."""

    names: Mapping[tuple[str, ...], str]
    lengths: Mapping[str, int]
    tokens: Mapping[str, tuple[str, ...]]

    def tokens_of(self, name: str) -> tuple[str, ...]:
        """The tokens of a name."""
        return self.tokens.get(name, (name,))


@lru_cache(maxsize=4)
def phrases_of(analyser: Analyser, lexicon: Lexicon, *, signs: bool = False) -> Phrases:
    """The names of `lexicon` as `analyser` cuts them; with its `signs`, which only titles are read for."""
    names: dict[tuple[str, ...], str] = {}
    lengths: dict[str, int] = {}
    tokens: dict[str, tuple[str, ...]] = {}
    for name in (*lexicon.names(), *lexicon.talk, *(lexicon.signs if signs else ())):
        cut = tuple(token.text for token in analyser.query_tokens(name))
        if cut:
            names.setdefault(cut, name)
            tokens[name] = cut
            lengths[cut[0]] = max(lengths.get(cut[0], 0), len(cut))
    return Phrases(names, lengths, tokens)


def words_of(analyser: Analyser, text: str, *, signs: bool = False) -> list[Word]:
    """The words of a text in normal form, in order, without overlap; of several names the longest counts."""
    lexicon = analyser.lexicon
    phrases = phrases_of(analyser, lexicon, signs=signs)
    tokens = analyser.query_tokens(text)
    has_brand = any(_is_brand_or_series(lexicon, token.text) for token in tokens)
    found: list[Word] = []
    position = 0
    while position < len(tokens):
        length, name = _longest_name(phrases, tokens, position, has_brand=has_brand)
        taken = tokens[position : position + length]
        start = taken[0].start
        for part in _names_of(lexicon, name):
            cut = tuple(token.text for token in taken) if part == name else (part,)
            end = taken[-1].end if part == name else start + len(part)
            found.append(Word(part, cut, start, end, lexicon.named(part), part in lexicon.talk))
            start = end
        position += length
    return found


def _names_of(lexicon: Lexicon, word: str) -> tuple[str, ...]:
    """The word, or two names of which a word of the dictionary consists: 二手手机 is 二手 and 手机."""
    if len(word) >= _SHORTEST_OF_TWO and not lexicon.named(word) and word not in lexicon.talk and is_han(word):
        for place in range(2, len(word) - 1):
            parts = word[:place], word[place:]
            if all(lexicon.named(part) or part in lexicon.talk for part in parts):
                return parts
    return (word,)


_SHORTEST_OF_TWO = 4


def _is_brand_or_series(lexicon: Lexicon, token: str) -> bool:
    return any(
        group.word_class is WordClass.BRAND or (group.word_class is WordClass.MODEL and not is_one_model(group))
        for group in lexicon.named(token)
    )


def _longest_name(phrases: Phrases, tokens: Sequence[Token], position: int, *, has_brand: bool) -> tuple[int, str]:
    """How many tokens at `position` are a name, and that; one token is at least its own name."""
    first = tokens[position]
    glued_before = position > 0 and _are_glued(tokens[position - 1], first)
    for length in range(min(phrases.lengths.get(first.text, 0), len(tokens) - position), 0, -1):
        taken = tokens[position : position + length]
        name = phrases.names.get(tuple(token.text for token in taken))
        if name is None or not all(later.start - earlier.end <= 1 for earlier, later in pairwise(taken)):
            continue
        if first.text[0].isdigit() and length > 1 and (has_brand or glued_before):
            continue  # 13pro of 小米13pro is no iPhone
        if len(name) < _SHORTEST_IN_MODEL and name not in _SHORT_SERIES:
            following = tokens[position + length : position + length + 1]
            if glued_before or (following and _are_glued(taken[-1], following[0])):
                continue  # letters of a model: the mi of xmi5
        return length, name
    return 1, first.text


_SHORTEST_IN_MODEL = 3
_SHORT_SERIES = frozenset(("ps", "aj", "nb", "ns", "hm", "mi"))
"""Short names that numbers follow at once."""


def _are_glued(one: Token, other: Token) -> bool:
    """Whether letters or digits follow others without a gap."""
    return one.end == other.start and one.text.isascii() and other.text.isascii()
