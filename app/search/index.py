"""The Whoosh index on disk: who may write, which folder is current, how a rebuild replaces it.

    <path>/current           the name of the folder that holds the current index
    <path>/index-…/          a Whoosh index
    <path>/building          the name of the folder that a running rebuild fills
    <path>/index-…/journal   ids that changed in the current index while that folder was being filled
    <path>/damaged           the name of a folder that could not be read; the next drain rebuilds
    <path>/writer.lock       held while the current index changes, or another becomes the current one
    <path>/rebuild.lock      held throughout a rebuild

The names of its folders tell whose index it is: another market's is neither read nor changed.

The index can always be rebuilt from the database. Whoosh does not fsync, so a power failure may destroy the index.
"""

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from rq.timeouts import BaseTimeoutException
from whoosh.analysis import IDAnalyzer
from whoosh.codec.whoosh3 import W3Codec
from whoosh.fields import COLUMN, ID, FieldType, Schema
from whoosh.formats import Existence
from whoosh.index import LockError, create_in, open_dir
from whoosh.util.filelock import FileLock, try_for

from app.clock import utcnow
from app.language.analysis import Analyser
from app.search.documents import FORMAT, Document, column_values, tokens_of
from app.search.errors import IndexBusy, IndexDamaged, IndexForeign, IndexMissing, reading_files
from app.search.snapshot import BODY, COLUMNS, ArrayColumn, Selection, SharedCaches, WhooshSnapshot

log = structlog.get_logger(__name__)

# The name of a folder that says whose index it is.
_OWNED = re.compile(r"index-v[0-9]+-[0-9a-f]{12}-", re.ASCII)

_READ_ATTEMPTS = 5
_READ_PAUSE = 0.02  # seconds before each further attempt

_REBUILD_MEMORY_MB = 256

_Read = TypeVar("_Read")


class TokenCounts(FieldType):  # type: ignore[misc] # Whoosh is untyped
    """A field whose value maps tokens to their counts, which become the postings' weights.

    It indexes the same as Whoosh's TEXT (without phrases) would for the tokens joined by spaces, but does not analyse
    them again nor store Whoosh's field lengths; building takes a third less time.
    """

    def __init__(self) -> None:
        self.format = Existence()
        self.analyzer = IDAnalyzer()

    def index(self, value: Mapping[str, int], **_options: Any) -> Iterator[tuple[bytes, int, float, bytes]]:
        """The postings of one document: term, frequency, weight, payload."""
        return ((token.encode(), count, float(count), b"") for token, count in value.items())


class _Codec(W3Codec):  # type: ignore[misc] # Whoosh is untyped
    """Whoosh's codec without statistics of field lengths, for which it would look up a file at each posting."""

    length_stats = False


_SCHEMA = Schema(
    id=ID(unique=True),
    **{BODY: TokenCounts()},
    **{name: COLUMN(ArrayColumn()) for name in COLUMNS},
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Goods to add or replace in the index (`documents`), and ids to remove from it (`gone`)."""

    documents: Sequence[Document]
    gone: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The current index in numbers."""

    folder: str
    generation: int
    documents: int
    deleted: int
    segments: int
    bytes: int


@dataclass(slots=True)
class _Opened:
    version: tuple[int, str, int]  # process, folder, generation
    snapshot: WhooshSnapshot
    checked_at: float
    writes_seen: int


class SearchIndex:
    """The index under `path`, for readers and writers in any number of processes on this machine."""

    def __init__(
        self,
        path: Path,
        *,
        owner: str = "",
        analyser: Analyser | None = None,
        check_every: float = 1.0,
        lock_timeout: float = 30.0,
    ) -> None:
        """`check_every`: seconds that a thread uses its snapshot before it checks whether the index has changed.

        `owner`: twelve hexadecimal digits that tell this market from others; empty: any index will do. `lock_timeout`:
        seconds that a writer waits for another. `analyser`: by default a new one is made.
        """
        self._path = path
        self._prefix = f"index-v{FORMAT}-{owner}-" if owner else f"index-v{FORMAT}-"
        self._check_every = check_every
        self._lock_timeout = lock_timeout
        self.analyser = analyser or Analyser(cache_dir=path / "jieba")
        self._caches = SharedCaches()
        self._local = threading.local()
        self._writes = 0  # by this process, so that its threads check again at once

    # Reading

    def snapshot(self, selection: Selection | None = None) -> WhooshSnapshot:  # noqa: ARG002 - it has every hit
        """This thread's view of the index, at most `check_every` seconds old.

        Raises `IndexMissing`, `IndexForeign` and `IndexDamaged`.
        """
        opened: _Opened | None = getattr(self._local, "opened", None)
        now, writes = time.monotonic(), self._writes
        if (
            opened is not None
            and opened.version[0] == os.getpid()  # files opened before a fork would share their position
            and opened.writes_seen == writes
            and now - opened.checked_at < self._check_every
        ):
            return opened.snapshot
        opened = self._reopened(opened)
        opened.checked_at, opened.writes_seen = now, writes
        self._local.opened = opened
        return opened.snapshot

    def hide(self, good_ids: Sequence[int]) -> None:
        """Exclude these goods from this thread's snapshot: they are no longer for sale."""
        self.snapshot().hide(good_ids)

    def _reopened(self, opened: _Opened | None) -> _Opened:
        """`opened` if it is still the newest state of the index; otherwise that is opened and `opened` closed."""

        def open_newer(folder: Path) -> _Opened | None:
            index = open_dir(folder, schema=_SCHEMA, readonly=True)
            # Read before the reader is opened: after a commit in between, the reader is only opened once more.
            version = (os.getpid(), folder.name, index.latest_generation())
            if opened is not None and opened.version == version:
                return None
            return _Opened(version, WhooshSnapshot(index.reader(), caches=self._caches), 0.0, 0)

        newer = self._read(open_newer)
        if newer is None:
            assert opened is not None  # noqa: S101 - open_newer returned None, so `opened` is the newest
            return opened
        if opened is not None:
            opened.snapshot.close()
        return newer

    def status(self) -> Status:
        """Numbers for the operator. Raises `IndexMissing` and `IndexDamaged`."""
        return self._read(_status)

    def _read(self, action: Callable[[Path], _Read]) -> _Read:
        """The result of `action` on the current folder.

        Retries a few times, because a commit or a rebuild may delete files that it is about to open.
        """
        attempt = 1
        while True:
            folder = self._current()
            try:
                with reading_files():
                    return action(folder)
            except IndexDamaged:
                if attempt == _READ_ATTEMPTS:
                    raise
            attempt += 1
            time.sleep(_READ_PAUSE)

    # State

    def _current(self) -> Path:
        """The folder of the current index. Raises `IndexMissing` and `IndexForeign`."""
        name = self._read_mark("current") or ""
        if name.startswith(self._prefix):
            return self._path / name
        if _OWNED.match(name):
            raise IndexForeign(f"{self._path} holds the search index of another market")
        raise IndexMissing

    def check(self) -> None:
        """Raise `IndexMissing` or `IndexDamaged` where a rebuild is needed; `IndexForeign` where it is not ours."""
        folder = self._current()
        if self._read_mark("damaged") == folder.name:
            raise IndexDamaged("marked by a reader")
        self.snapshot()

    def mark_damaged(self) -> None:
        """Ask the next drain for a rebuild."""
        with suppress(IndexMissing, IndexForeign):
            self._write_mark("damaged", self._current().name)

    def _read_mark(self, name: str) -> str | None:
        try:
            return (self._path / name).read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None

    def _write_mark(self, name: str, value: str) -> None:
        fresh = self._path / f".{name}-{secrets.token_hex(4)}"
        fresh.write_text(value, "utf-8")
        fresh.replace(self._path / name)

    @contextmanager
    def _locked(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold the file lock `name`; the kernel frees it with the process. Raises `IndexBusy`."""
        self._path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(self._path / name))
        if not try_for(lock.acquire, timeout=timeout, delay=0.02):
            raise IndexBusy(name)
        try:
            yield
        finally:
            lock.release()

    # Writing

    @contextmanager
    def writing(self) -> Iterator[Callable[[Changes], None]]:
        """Hold the writer's lock on the current index; yields the function that applies changes to it.

        The changes must be read from the database inside the block, so that the last writer writes the newest data.
        Raises `IndexMissing`, `IndexForeign`, `IndexDamaged`, `IndexBusy`.
        """
        with self._locked("writer.lock", timeout=self._lock_timeout):
            folder = self._current()
            if self._read_mark("damaged") == folder.name:
                raise IndexDamaged("marked by a reader")
            yield lambda changes: self._change(folder, changes)

    def _change(self, folder: Path, changes: Changes) -> None:
        try:
            self._write(folder, changes)
        except Exception as error:
            # A commit may merge old segments, and reading a broken one may raise anything. Errors that a rebuild would
            # not cure are excluded: another writer, a job timeout, a full or read-only disk.
            is_external = isinstance(error, LockError | BaseTimeoutException | MemoryError | OSError)
            if not is_external or isinstance(error, FileNotFoundError):
                self.mark_damaged()
            raise
        self._writes += 1
        building = self._read_mark("building")
        if building is not None:
            ids = [*(document.good_id for document in changes.documents), *changes.gone]
            # If the folder is gone, that rebuild has failed, and nobody will read the journal.
            with (
                suppress(FileNotFoundError),
                (self._path / building / "journal").open("a", encoding="ascii") as journal,
            ):
                journal.writelines(f"{good_id}\n" for good_id in ids)

    def _write(self, folder: Path, changes: Changes) -> None:
        """Apply `changes` in one commit, or in none if they change nothing."""
        with _writer(folder, timeout=self._lock_timeout) as writer:
            ids = {document.good_id for document in changes.documents} | set(changes.gone)
            deleted = sum(writer.delete_by_term("id", str(good_id)) for good_id in ids)
            for document in changes.documents:
                writer.add_document(**self._fields(document))
            if deleted or changes.documents:
                writer.commit()

    def _fields(self, document: Document) -> dict[str, Any]:
        tokens = tokens_of(self.analyser, document)
        return {
            "id": str(document.good_id),
            BODY: tokens.weighted(),
            **column_values(document, tokens),
        }

    def rebuild(
        self,
        batches: Iterable[Sequence[Document]],
        *,
        reload: Callable[[Sequence[int]], Changes],
        take_over: bool = False,
    ) -> int:
        """Build a new index from `batches` and make it the current one; returns the number of documents.

        Readers and the drain use the old one meanwhile; what the drain changes there is read again with `reload` before
        the switch. Raises `IndexBusy` when another rebuild runs, and `IndexForeign` unless `take_over`.
        """
        with self._locked("rebuild.lock", timeout=0):
            with suppress(IndexMissing, *((IndexForeign,) if take_over else ())):
                self._current()
            folder = self._path / f"{self._prefix}{utcnow():%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            with self._locked("writer.lock", timeout=self._lock_timeout):
                folder.mkdir()
                self._write_mark("building", folder.name)
            try:
                create_in(folder, _SCHEMA)
                count = self._fill(folder, batches)
                with self._locked("writer.lock", timeout=self._lock_timeout):
                    self._write(folder, reload(_journal(folder)))
                    self._write_mark("current", folder.name)
            except BaseException:
                (self._path / "building").unlink()
                shutil.rmtree(folder)
                raise
            (self._path / "building").unlink()
            (self._path / "damaged").unlink(missing_ok=True)
            self._writes += 1
            for other in self._path.glob("index-*"):
                if other != folder:  # open readers keep their memory-mapped files
                    shutil.rmtree(other)
        log.info("search_index_rebuilt", folder=folder.name, documents=count)
        return count

    def _fill(self, folder: Path, batches: Iterable[Sequence[Document]]) -> int:
        # In one process: Whoosh's multi-process writer silently drops the segment of a sub-task whose result takes more
        # than a second to arrive (multiproc.py, `except queue.Empty: pass`).
        count = 0
        with _writer(folder, timeout=0, limitmb=_REBUILD_MEMORY_MB) as writer:
            for batch in batches:
                for document in batch:
                    writer.add_document(**self._fields(document))
                    count += 1
            writer.commit()
        return count


def _status(folder: Path) -> Status:
    index = open_dir(folder, schema=_SCHEMA, readonly=True)
    generation = index.latest_generation()
    reader = index.reader()
    try:
        return Status(
            folder=folder.name,
            generation=generation,
            documents=reader.doc_count(),
            deleted=reader.doc_count_all() - reader.doc_count(),
            segments=len(reader.leaf_readers()) if reader.doc_count_all() else 0,
            bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        )
    finally:
        reader.close()


def _journal(folder: Path) -> list[int]:
    try:
        lines = (folder / "journal").read_text("ascii").split()
    except FileNotFoundError:
        return []
    return sorted({int(line) for line in lines})


@contextmanager
def _writer(folder: Path, *, timeout: float, **options: Any) -> Iterator[Any]:
    """A Whoosh writer, cancelled if the block ends without a commit. Raises `LockError`."""
    # With Whoosh's default timeout of 0 it would fail at once even if another writer is about to finish.
    writer = open_dir(folder, schema=_SCHEMA).writer(timeout=timeout, codec=_Codec(), **options)
    try:
        yield writer
    except BaseException:
        if not writer.is_closed:
            # A writer that failed halfway through its commit cannot always be cancelled. Its changes have no effect
            # until its table of contents is written, so it is enough to release its lock.
            with suppress(Exception):
                writer.cancel()
            if writer.writelock.fd is not None:
                writer.writelock.release()
        raise
    if not writer.is_closed:
        writer.cancel()
