"""The labelled texts (`tests/data/moderation_texts.txt`) and what the check makes of them.

`python -m tests.moderation.labelled` prints the report; `--failures` also the texts that are judged wrongly, of
the part for tuning only: whoever reads those that are held out can no longer measure with them.
"""

import argparse
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from app.language.analysis import Analyser
from app.moderation.text.check import judge
from app.moderation.text.context import TextContext
from app.moderation.text.rules import RulesOfFolder
from app.moderation.verdicts import Category, Decision, Judgement

DATA: Final = Path(__file__).parents[1] / "data" / "moderation_texts.txt"
_HEADING: Final = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text; `category` is the one whose rules it breaks, None for a harmless one. `near` says what it resembles."""

    text: str
    category: Category | None
    near: str

    @property
    def held_out(self) -> bool:
        """Whether the text may be used for measuring only: a third, by the hash of its characters."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).digest()[0] % 3 == 0


def read_labelled(path: Path = DATA) -> Iterator[Labelled]:
    """All labelled texts."""
    category: Category | None = None
    near = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        heading = _HEADING.fullmatch(line)
        if heading is not None:
            label, _, near = heading[1].partition(": ")
            category = None if label == "harmless" else Category(label)
            continue
        yield Labelled(_unescaped(line), category, near or "violation")


def _unescaped(line: str) -> str:
    return str(json.loads('"' + line.replace('"', '\\"') + '"')) if "\\" in line else line


@dataclass(frozen=True, slots=True)
class Report:
    """How many texts are judged rightly; shares between 0 and 1."""

    rejections: int
    right_rejections: int
    harmless: int
    harmless_passed: int
    found: dict[Category, tuple[int, int]]

    @property
    def rejections_right(self) -> float:
        """The share of violations among what is rejected."""
        return self.right_rejections / max(1, self.rejections)

    @property
    def violations_found(self) -> float:
        """The share of violations that are rejected or sent to review."""
        return sum(found for found, _ in self.found.values()) / max(1, sum(total for _, total in self.found.values()))

    @property
    def harmless_share_passed(self) -> float:
        """The share of harmless texts that pass."""
        return self.harmless_passed / max(1, self.harmless)


def report(judged: Iterable[tuple[Labelled, Judgement]]) -> Report:
    """The report on texts and their judgements."""
    rejections = right = harmless = passed = 0
    found: dict[Category, list[bool]] = defaultdict(list)
    for text, judgement in judged:
        if judgement.decision is Decision.REJECT:
            rejections += 1
            right += text.category is not None
        if text.category is None:
            harmless += 1
            passed += judgement.decision is Decision.PASS
        else:
            found[text.category].append(judgement.decision is not Decision.PASS)
    shares = {category: (sum(hits), len(hits)) for category, hits in sorted(found.items())}
    return Report(rejections, right, harmless, passed, shares)


def judged_by_our_rules(texts: Sequence[Labelled]) -> list[tuple[Labelled, Judgement]]:
    """The texts with their judgements by our own lists, as `flask moderation check` would print them."""
    with TemporaryDirectory() as folder:
        rules = RulesOfFolder(None, cut=Analyser(cache_dir=Path(folder)).dictionary_words).current()
        return list(zip(texts, judge(rules, [(text.text, TextContext()) for text in texts]), strict=True))


def is_wrong(text: Labelled, judgement: Judgement) -> bool:
    """Whether a violation passes, or a harmless text does not."""
    return (judgement.decision is Decision.PASS) is (text.category is not None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", action="store_true")
    options = parser.parse_args(arguments)
    texts = list(read_labelled())
    judged = judged_by_our_rules(texts)
    table = Table("", "for tuning", "held out")
    parts = [report(pair for pair in judged if pair[0].held_out is held_out) for held_out in (False, True)]
    table.add_row("texts", *(str(part.harmless + sum(total for _, total in part.found.values())) for part in parts))
    table.add_row("rejections right", *(f"{part.rejections_right:.1%}" for part in parts))
    table.add_row("violations found", *(f"{part.violations_found:.1%}" for part in parts))
    table.add_row("harmless passed", *(f"{part.harmless_share_passed:.1%}" for part in parts))
    for category in parts[0].found:
        table.add_row(
            category,
            *("{}/{}".format(*part.found.get(category, (0, 0))) for part in parts),
        )
    console = Console(width=160)
    console.print(table)
    if options.failures:
        for text, judgement in judged:
            if not text.held_out and is_wrong(text, judgement):
                reasons = ", ".join(f"{hit.code} {hit.reason} {hit.policy}" for hit in judgement.hits)
                console.print(f"{text.category or 'harmless'}: {text.text!r} {reasons}", markup=False)


if __name__ == "__main__":
    main()
