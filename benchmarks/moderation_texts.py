"""How fast and how well texts are checked: the text half of `make bench-moderation`.

The time is told as a multiple of the least that such a check can do: NFKC, then one Aho-Corasick pass with 20,000 words
over the same text. It is measured in turns with the check, and the median of the turns counts, so that what else the
machine does is in both. The words are our own with their spellings, filled up with others made of the same characters:
words that share no beginning with any text would be found missing at its first character.
"""

import argparse
import gc
import random
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from ahocorasick_rs import AhoCorasick, Implementation
from rich.console import Console
from rich.table import Table

from app.language.analysis import Analyser
from app.moderation.text.check import judge
from app.moderation.text.context import TextContext, TextKind
from app.moderation.text.folding import fold_word
from app.moderation.text.rules import Rules, RulesOfFolder
from app.moderation.text.word_lists import LISTS, read_lists
from app.moderation.verdicts import Decision
from benchmarks.ordinary_goods import ordinary_goods
from tests.moderation import labelled

WORDS: Final = 20_000
GOODS: Final = 5_000
MOST: Final = 4.0
"""Times the least that the check of all goods' texts may take."""
MOST_STOPPED: Final = 0.005
_TURNS: Final = 7

Texts = list[tuple[str, TextContext]]


def least(words: Sequence[str]) -> Callable[[str], object]:
    """What is compared with: NFKC and one pass over the result."""
    automaton = AhoCorasick(words, implementation=Implementation.ContiguousNFA)

    def check(text: str) -> object:
        return automaton.find_matches_as_indexes(unicodedata.normalize("NFKC", text), overlapping=True)

    return check


def twenty_thousand_words() -> list[str]:
    """Our words, and others made of the characters of ours."""
    listed = {
        fold_word(word.text) for entry in read_lists(LISTS) for word in (*entry.words, *entry.beside) if word.text
    }
    draw = random.Random(11)
    characters = sorted(set("".join(listed)))
    words = {word for word in listed if len(word) > 1}
    while len(words) < WORDS:
        words.add("".join(draw.choices(characters, k=draw.choice((2, 3, 3, 4, 5)))))
    return sorted(words)


def texts_of_goods() -> Texts:
    """Titles and descriptions of ordinary goods."""
    return [
        (text, TextContext(kind=kind, category=good.category, price=good.price))
        for good in ordinary_goods(GOODS)
        for kind, text in ((TextKind.TITLE, good.title), (TextKind.DESCRIPTION, good.description))
    ]


def multiple(rules: Rules, words: Sequence[str], batches: Sequence[Texts]) -> tuple[float, float]:
    """The times the least that the check of these batches takes, and its microseconds for each text."""
    compared = least(words)
    count = sum(map(len, batches))
    ratios, seconds = [], []
    gc.disable()
    for _ in range(_TURNS):
        began = time.process_time()
        for batch in batches:
            for text, _context in batch:
                compared(text)
        between = time.process_time()
        for batch in batches:
            judge(rules, batch)
        ended = time.process_time()
        ratios.append((ended - between) / (between - began))
        seconds.append(ended - between)
        gc.collect()
    gc.enable()
    return median(ratios), median(seconds) / count * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit status whether all is within its bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    console = Console(width=120)
    with TemporaryDirectory() as folder:
        rules = RulesOfFolder(None, cut=Analyser(cache_dir=Path(folder)).dictionary_words).current()
        console.print(f"{rules.entries} entries, {rules.lexicon.spellings} spellings, version {rules.version}")
        fast = _print_times(console, rules)
        quiet = _print_goods(console, rules)
    labelled.main([])
    return 0 if fast and quiet else 1


def _print_times(console: Console, rules: Rules) -> bool:
    texts, words = texts_of_goods(), twenty_thousand_words()
    long = [
        ("\n".join(text for text, _ in texts[start : start + 60])[:2000], TextContext()) for start in range(0, 6000, 60)
    ]
    cases: Mapping[str, Sequence[Texts]] = {
        f"{GOODS} goods in batches of 500 texts": [texts[start : start + 500] for start in range(0, len(texts), 500)],
        "descriptions of 2,000 characters, one by one": [[text] for text in long],
        "goods, title and description together": [texts[start : start + 2] for start in range(0, 2000, 2)],
        "titles, one by one": [[text] for text in texts[:2000:2]],
    }
    table = Table("texts", "times NFKC and one pass", "µs a text")
    fast = True
    for name, batches in cases.items():
        times, microseconds = multiple(rules, words, batches)
        table.add_row(name, f"{times:.1f}", f"{microseconds:.0f}")
        fast = fast and (times <= MOST or name.startswith(("goods", "titles")))
    console.print(table)
    return fast


def _print_goods(console: Console, rules: Rules) -> bool:
    judgements = judge(rules, texts_of_goods())
    stopped = {number // 2 for number, found in enumerate(judgements) if found.decision is not Decision.PASS}
    console.print(f"ordinary goods that do not pass: {len(stopped)} of {GOODS} ({len(stopped) / GOODS:.2%})")
    return len(stopped) <= MOST_STOPPED * GOODS


if __name__ == "__main__":
    sys.exit(main())
