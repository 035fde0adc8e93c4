"""How fast what is being typed is completed: `python -m benchmarks.suggest --goods 100000`.

Titles are those of `benchmarks.search_goods`. What is typed are the first characters of phrases, as they are, in
pinyin, as initials, mixed. Times are those of the processor, without HTTP, as a web process has them between two loads.
"""

import argparse
import random
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console

from app.language.analysis import Analyser
from app.language.pinyin import pinyin
from app.suggestions.completions import Completions, phrases_of
from benchmarks.search_goods import offers

_SELLERS = 5_000


def main() -> None:
    """Measure, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--goods", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=20_000)
    asked = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        analyser = Analyser(cache_dir=Path(folder))
        began = time.process_time()
        sellers: dict[int, set[str]] = {}
        for good in offers(asked.goods):
            sellers.setdefault(good.number % _SELLERS, set()).update(phrases_of(good.title, analyser))
        counts: Counter[str] = Counter()
        for phrases in sellers.values():
            counts.update(phrases)
        weights = {phrase: float(count) for phrase, count in counts.most_common(50_000) if count > 1}
        made = Completions.of(weights)
        console.print(f"{len(made)} phrases of {asked.goods} titles in {time.process_time() - began:.1f} s")
    dumped = made.dump()
    began = time.process_time()
    loaded = Completions.load(dumped)
    console.print(f"{len(dumped) / 1e6:.1f} MB, loaded in {1000 * (time.process_time() - began):.0f} ms")
    chance = random.Random(3)
    texts = list(weights)
    seconds = []
    for _ in range(asked.queries):
        typed = _typed(chance.choice(texts), chance)
        began = time.thread_time()
        loaded.complete(typed, limit=20)
        seconds.append(time.thread_time() - began)
    p50, p99, most = (1000 * float(np.percentile(seconds, q)) for q in (50, 99, 100))
    console.print(f"{asked.queries} completions: p50 {p50:.2f} ms, p99 {p99:.2f} ms, slowest {most:.2f} ms")
    console.print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _typed(phrase: str, chance: random.Random) -> str:
    """The beginning of a phrase, as it is, by pinyin, by initials or mixed."""
    syllables = [pinyin().get(character, character) for character in phrase]
    way = chance.randrange(4)
    if way == 0:
        text = phrase
    elif way == 1:
        text = "".join(syllables)
    elif way == 2:
        text = "".join(each[0] for each in syllables)
    else:
        pairs = zip(phrase, syllables, strict=True)
        text = "".join(chance.choice((character, each, each[0])) for character, each in pairs)
    return text[: chance.randint(1, len(text))]


if __name__ == "__main__":
    main()
