"""The rules as they are now: our lists and the operator's, read again when a file changes, with their version."""

import gc
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from app.moderation.text import contacts
from app.moderation.text.folding import DATA
from app.moderation.text.lexicon import Cut, Lexicon
from app.moderation.text.prices import Brands, read_brands
from app.moderation.text.word_lists import LISTS, Entry, WordListError, read_lists

log = structlog.get_logger(__name__)

_PROGRAM: Final = 3
"""Raised with every change of the code that may change a judgement."""
BRAND: Final = "brand"
"""The trigger of texts that name a brand."""
_SECONDS_BETWEEN_LOOKS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a check of texts knows; immutable, so threads share it."""

    version: str
    lexicon: Lexicon
    brands: Brands
    entries: int


_Stamp: TypeAlias = tuple[tuple[str, int, int], ...]


class RulesOfFolder:
    """The rules with the lists of an operator's folder (None: ours alone).

    The folder is looked at every two seconds at most. Lists that cannot be used are logged, and the earlier ones hold.
    """

    def __init__(self, folder: Path | None, *, cut: Cut, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._cut = cut
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._looked_at = clock()
        self._rules = _read(folder, cut)

    def current(self) -> Rules:
        """The rules as the files are now."""
        if self._folder is not None and self._clock() - self._looked_at >= _SECONDS_BETWEEN_LOOKS:
            with self._lock:
                self._read_changes()
        return self._rules

    def _read_changes(self) -> None:
        stamp = self._look()
        self._looked_at = self._clock()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._rules = _read(self._folder, self._cut)
        except WordListError as error:
            log.exception("word_lists_unusable", problem=str(error), kept=self._rules.version)
            return
        log.info("word_lists_read", version=self._rules.version, entries=self._rules.entries)

    def _look(self) -> _Stamp:
        return tuple(_state(path) for path in _files(self._folder))


def _state(path: Path) -> tuple[str, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nothing, or an editor has just replaced it; reading it says what is wrong
        return path.name, 0, -1
    return path.name, found.st_mtime_ns, found.st_size


def _files(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(folder.glob("*.txt"))


def _read(folder: Path | None, cut: Cut) -> Rules:
    """Raises `WordListError`."""
    with _loaded_to_stay():
        return _read_files(folder, cut)


@contextmanager
def _loaded_to_stay() -> Iterator[None]:
    """No collection of garbage meanwhile: it would look again and again through the hundreds of thousands of parts
    of a lexicon, all of which stay, and take half of the time that reading takes.

    Nor later: in a process that a worker forks for a job it would take 0.4 s, and copy all that the two share.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.freeze()
            gc.enable()


def _read_files(folder: Path | None, cut: Cut) -> Rules:
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
