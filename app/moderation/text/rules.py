"""The rules as they are now: our lists and the operator's, read again when a file changes, with their version."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from app.moderation.text import contacts
from app.moderation.text.folding import DATA
from app.moderation.text.lexicon import Cut, Lexicon
from app.moderation.text.prices import Brands, read_brands
from app.moderation.text.word_lists import LISTS, Entry, WordListError, read_lists
from app.watched_folder import WatchedFolder

_PROGRAM: Final = 3
"""Raised with every change of the code that may change a judgement."""
BRAND: Final = "brand"
"""The trigger of texts that name a brand."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a check of texts knows; immutable, so threads share it."""

    version: str
    lexicon: Lexicon
    brands: Brands
    entries: int


class RulesOfFolder(WatchedFolder[Rules]):
    """The rules with the lists of an operator's folder (None: ours alone), as they are now."""

    def __init__(self, folder: Path | None, *, cut: Cut, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `WordListError` where the lists cannot be used from the beginning."""
        super().__init__(folder, lambda: _read(folder, cut), unusable=WordListError, name="word_lists", clock=clock)


def _files(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(folder.glob("*.txt"))


def _read(folder: Path | None, cut: Cut) -> Rules:
    """Raises `WordListError`."""
    entries = [*_own_entries(), *(() if folder is None else read_lists(folder))]
    digest = hashlib.sha256()
    for path in [*_own_files(), *_files(folder)]:
        try:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        except OSError as error:  # it could be read a moment ago
            raise WordListError(f"{path}: cannot be read: {error}") from error
    brands = read_brands(DATA / "brands.txt")
    triggers: dict[str, frozenset[str]] = {**contacts.triggers()}
    for name in brands.names():
        triggers[name] = triggers.get(name, frozenset()) | {BRAND}
    return Rules(
        version=f"text-{_PROGRAM}.{digest.hexdigest()[:12]}",
        lexicon=Lexicon(entries, cut=cut, triggers=triggers),
        brands=brands,
        entries=len(entries),
    )


@cache
def _own_entries() -> tuple[Entry, ...]:
    # They change with the program alone; an operator's lists are read again and again.
    return tuple(read_lists(LISTS))


@cache
def _own_files() -> tuple[Path, ...]:
    return (*sorted(LISTS.glob("*.txt")), *sorted(DATA.glob("*.txt")))
