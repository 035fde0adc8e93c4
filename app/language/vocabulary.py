"""The vocabulary of all titles: which words there are, how many titles have each, and which are written like them."""

from collections.abc import Mapping

from app.language.lexicon import built_in_lexicon
from app.language.spelling import SpellingIndex


class Vocabulary:
    """The words of titles with their document frequencies; immutable, so threads can share it."""

    def __init__(self, *frequencies: Mapping[str, int], spelling: SpellingIndex | None = None) -> None:
        """`frequencies`: one mapping for each part of the goods; a word's frequency is their sum.

        `spelling` has all these words, and may have more; by default it is made of them.
        """
        self._frequencies = frequencies
        if spelling is None:
            spelling = new_spelling_index()
            for each in frequencies:
                spelling.add(each)
        self.spelling = spelling

    def __len__(self) -> int:
        return len(set().union(*self._frequencies))

    def frequency(self, word: str) -> int:
        """How many titles have `word`, recently deleted goods' included."""
        return sum(each.get(word, 0) for each in self._frequencies)

    def containing(self, text: str, *, limit: int) -> list[str]:
        """The most frequent longer words that contain `text`: one Han character, or Latin letters."""
        found = [(self.frequency(word), word) for word in self.spelling.containing(text)]
        return [word for frequency, word in sorted(found, key=lambda each: (-each[0], each[1])) if frequency][:limit]


def new_spelling_index() -> SpellingIndex:
    """A spelling index that has the words of the trade already."""
    index = SpellingIndex()
    index.add(name for name in built_in_lexicon().names() if " " not in name and name.isalpha())
    return index
