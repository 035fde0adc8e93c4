"""The analyser: turns text into tokens, the same for what is indexed and for queries.

Normalised text (`app.language.normal_form.normalise`) is split into runs of Han characters, of other letters and of
digits, so that `iPhone13` and `iPhone 13` are the same tokens. Han runs are segmented by jieba's dictionary; runs of
letters and digits are tokens as they are, even single ones, and nothing is stemmed.
"""

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from app.language.lexicon import Lexicon, WordClass, built_in_lexicon
from app.language.normal_form import normalise

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# The upper bound keeps an endless run of letters from becoming an endless token.
_RUN = re.compile(
    r"(?P<code>(?<![a-z0-9])(?:c\+\+|[cf]#))(?![a-z0-9])"  # names of which the signs are a part
    rf"|(?P<han>[{_HAN}]+)|(?P<letters>[^\W\d_{_HAN}]{{1,64}})"
    r"|(?P<digits>\d{1,64}(?:\.\d{1,3}(?![\d.]))?)"
)
_GENDER = re.compile("男(?!友|朋友|票|女)|女(?!友|朋友|票|儿|娲)|童")
_ONE_HAN = re.compile(rf"[{_HAN}]")

# Characters and words that carry no meaning of their own; the price reference leaves them out of titles.
STOP_WORDS = frozenset("的了是在和与及或也都就还很我你他她它吗呢吧啊呀哦把被给") | {"我要", "想要", "求购", "有没有"}


class Segmenter(Protocol):
    """The part of their interfaces that rjieba and jieba have in common."""

    def cut(self, text: str) -> Iterable[str]:
        """The words of `text`; joined they are `text` again."""

    def cut_for_search(self, text: str) -> Iterable[str]:
        """As `cut`, and before each longer word the shorter dictionary words in it."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a query and where it stands in the normalised text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _State:
    """What follows from one version of the lexicon."""

    lexicon: Lexicon
    segmenter: Segmenter
    dictionary_words: Callable[[str], Iterable[str]]
    latin_names: frozenset[str]


_QUALIFYING = frozenset(
    ("promax", "pro", "max", "plus", "mini", "ultra", "air", "lite", "oled", "turbo", "watch", "pencil")
)
"""Words that models are told apart by, and that are written together with the series."""

_SHORTEST_GLUED = 4
_SHORTEST_BEFORE_DIGIT = 3
_LONGEST_REST = 2
"""Letters of a name that others may follow at once (of a series before a number), and how many may that are no name."""


class Analyser:
    """Splits text into tokens. `cache_dir` is for jieba's dictionary cache, in case rjieba is not installed.

    `lexicon` gives the words of the trade as they are now; where they have changed, the next text is cut by the new.
    """

    def __init__(self, *, cache_dir: Path, lexicon: Callable[[], Lexicon] = built_in_lexicon) -> None:
        self._cache_dir = cache_dir
        self._source = lexicon
        self._changing = threading.Lock()
        self._state = self._state_of(lexicon())

    @property
    def lexicon(self) -> Lexicon:
        """The words of the trade that it knows."""
        return self._current().lexicon

    def _current(self) -> _State:
        lexicon = self._source()
        # One thread makes the new state (it takes half a second), the others go on with the old one.
        if lexicon is not self._state.lexicon and self._changing.acquire(blocking=False):
            try:
                self._state = self._state_of(lexicon)
            finally:
                self._changing.release()
        return self._state

    def _state_of(self, lexicon: Lexicon) -> _State:
        words = [name for name in lexicon.names() if len(name) > 1 and all(map(_ONE_HAN.match, name))]
        segmenter, dictionary_words = _segmenter(self._cache_dir, words)
        latin = {
            part
            for group in lexicon.of(WordClass.BRAND, WordClass.MODEL)
            for name in group.names
            for part in name.split()
            if part.isascii() and part.isalpha() and len(part) >= _SHORTEST_GLUED
        }
        latin |= {
            name
            for group in lexicon.of(WordClass.MODEL)
            for name in group.names
            if name.isascii() and name.isalpha() and len(name) == _SHORTEST_BEFORE_DIGIT
        }
        return _State(lexicon, segmenter, dictionary_words, frozenset(latin | _QUALIFYING))

    def index_tokens(self, text: str) -> list[str]:
        """All tokens a document is found by, with repetitions: `连衣裙` gives 连衣, 衣裙 and 连衣裙."""
        return self._index_tokens(normalise(text))

    def _index_tokens(self, normalised: str) -> list[str]:
        segmenter = self._current().segmenter
        tokens: list[str] = []
        for match in _RUN.finditer(normalised):
            if match.lastgroup == "han":
                tokens.extend(segmenter.cut_for_search(match.group()))
            elif match.lastgroup == "letters":
                tokens.extend(self._names_apart(match.group(), before_digit=_is_digit_at(normalised, match.end())))
            else:
                tokens.append(match.group())
        return tokens

    def _names_apart(self, letters: str, *, before_digit: bool) -> tuple[str, ...]:
        """Letters, split behind names that they begin with: oppofind is oppo and find; matex of matex5 is mate and x.

        Where digits follow, the rest may be one or two letters of a model.
        """
        names = self._state.latin_names
        shortest = _SHORTEST_BEFORE_DIGIT if before_digit else _SHORTEST_GLUED
        if len(letters) <= shortest or letters in names:
            return (letters,)
        for length in range(len(letters) - 1, shortest - 1, -1):
            name, rest = letters[:length], letters[length:]
            if name not in names:
                continue
            apart = self._names_apart(rest, before_digit=before_digit)
            if len(apart) > 1 or rest in names or (before_digit and len(rest) <= _LONGEST_REST):
                return (name, *apart)
        return (letters,)

    def title_tokens(self, title: str) -> list[str]:
        """As `index_tokens`, and what a title alone is found by: pairs of neighbours (`_红色`), for whom, emoji."""
        normalised = normalise(title)
        tokens = self._index_tokens(normalised)
        tokens += literal_pairs(normalised)
        tokens += {match.group() for match in _GENDER.finditer(normalised)}
        if not normalised.isascii():
            emoji = self.lexicon.emoji
            tokens += [emoji[character] for character in normalised if character in emoji]
        return tokens

    def query_tokens(self, normalised: str) -> list[Token]:
        """The tokens of text that is already normalised, in order and without overlap: `连衣裙` gives 连衣裙 alone."""
        return list(self._query_tokens(normalised))

    def _query_tokens(self, normalised: str) -> Iterator[Token]:
        for match in _RUN.finditer(normalised):
            start = match.start()
            if match.lastgroup == "letters":
                for word in self._names_apart(match.group(), before_digit=_is_digit_at(normalised, match.end())):
                    yield Token(word, start, start + len(word))
                    start += len(word)
                continue
            if match.lastgroup != "han":
                yield Token(match.group(), match.start(), match.end())
                continue
            for word in self._current().segmenter.cut(match.group()):
                yield Token(word, start, start + len(word))
                start += len(word)

    def dictionary_words(self, text: str) -> list[str]:
        """`text` cut into words of the dictionary and single characters, none of them guessed."""
        return list(self._current().dictionary_words(text))

    def parts(self, word: str) -> list[str]:
        """The shorter dictionary words inside a Han word; empty for anything else."""
        if not is_han(word):
            return []
        return list(dict.fromkeys(part for part in self._current().segmenter.cut_for_search(word) if part != word))


def is_han(token: str) -> bool:
    """Whether a token is of Han characters (tokens never mix)."""
    return _ONE_HAN.match(token) is not None


def _is_digit_at(text: str, place: int) -> bool:
    return text[place : place + 1].isdigit()


def literal_pairs(normalised: str) -> list[str]:
    """Each two neighbouring Han characters, marked `_`: what holds all pairs of a text holds it letter for letter."""
    return [f"_{one}{other}" for one, other in pairwise(normalised) if _ONE_HAN.match(one) and _ONE_HAN.match(other)]


def is_word(token: str) -> bool:
    """Whether a token of the index is a word of a text, and not one of the signs that search adds."""
    return token[0].isalnum()


def _segmenter(cache_dir: Path, words: Iterable[str]) -> tuple[Segmenter, Callable[[str], Iterable[str]]]:
    """rjieba (15 times as fast, a quarter of the memory), or jieba on platforms that rjieba has no wheel for.

    It knows `words` beside its dictionary. And its `cut` without the guesses of its hidden Markov model.
    """
    try:
        import rjieba
    except ImportError:
        return _jieba(cache_dir, words)
    segmenter = rjieba.Jieba()
    for word in words:
        segmenter.add_word(word, None, None)
    return segmenter, partial(segmenter.cut, hmm=False)


def _jieba(cache_dir: Path, words: Iterable[str]) -> tuple[Segmenter, Callable[[str], Iterable[str]]]:
    with warnings.catch_warnings():
        # jieba 0.42.1 (2020) has invalid escape sequences in its patterns and imports pkg_resources where it can;
        # both only warn, and there will be no newer release.
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # By default the cache has a predictable name in the shared temporary folder, where anybody could plant one.
    cache_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.tmp_dir = str(cache_dir)
    for word in words:
        tokenizer.add_word(word)
    segmenter: Segmenter = tokenizer
    return segmenter, partial(tokenizer.cut, HMM=False)
