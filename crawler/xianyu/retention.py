"""Deletes the folders of old runs. Those that nobody has imported yet stay, however old they are.

Whoever imports a run says so in a file beside its manifest, `imported.json`, with the digests of the batches that were
imported: `flask listings import` of Saltfish does, and other readers of the feed may. What the state keeps of listings
is in its database, so that no folder of a run that is over is needed for the next one.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from .outcomes import Outcome
from .run_folder import MANIFEST, RUN_ID

logger = logging.getLogger(__name__)

IMPORTED: Final = "imported.json"
"""The file in which a reader says what it has imported: `{"batches": ["<SHA-256>", …], …}`."""
DELETED_PREFIX: Final = "deleted-"
"""Begins the name of a folder that is being deleted: then it is no run any more, even if the process is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was deleted, or would be."""

    deleted: tuple[str, ...]
    """Ids of runs, oldest first."""
    not_imported: tuple[str, ...]
    """Ids of runs that are old enough, and stay because they were not imported."""
    failed: tuple[str, ...]
    """Why folders could not be deleted, a text for each."""


def prune(runs: Path, *, now: datetime, days: int, count: int, dry_run: bool = False) -> Pruned:
    """Delete the folders of runs that began more than `days` days ago, and of all but the `count` newest runs.

    0 is no limit. A run stays if it is not over, if its manifest cannot be read, or if one of its batches was not
    imported. The caller must hold the lock.
    """
    folders = sorted(_run_folders(runs), key=lambda folder: folder.name)
    if not dry_run:
        for folder in runs.glob(f"{DELETED_PREFIX}*"):  # a process was killed while it deleted this one
            shutil.rmtree(folder, ignore_errors=True)
    surplus = {folder.name for folder in folders[: len(folders) - count]} if count else set[str]()
    before = f"{now - timedelta(days=days):%Y%m%dT%H%M%SZ}" if days else ""
    deleted, not_imported, failed = [], [], []
    for folder in folders:
        if folder.name not in surplus and folder.name.partition("-")[0] >= before:
            continue
        match _may_be_deleted(folder):
            case None:
                continue
            case False:
                not_imported.append(folder.name)
                continue
        problem = None if dry_run else _delete(folder)
        if problem is None:
            deleted.append(folder.name)
        else:
            failed.append(f"{folder.name}: {problem}")
    return Pruned(deleted=tuple(deleted), not_imported=tuple(not_imported), failed=tuple(failed))


def _run_folders(runs: Path) -> Iterator[Path]:
    if runs.is_dir():
        for path in runs.iterdir():
            if RUN_ID.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                yield path


def _may_be_deleted(folder: Path) -> bool | None:
    """Whether all of a run was imported; None if it is not over, or nobody can tell."""
    manifest = _read(folder / MANIFEST)
    try:
        if manifest is None or manifest["outcome"] == Outcome.RUNNING:
            return None
        batches = {batch["sha256"] for batch in manifest["batches"]}
        if not batches and not manifest["rejects"]:
            return True  # there is nothing to import
        imported = _read(folder / IMPORTED)
        return imported is not None and batches <= set(imported["batches"])
    except (KeyError, TypeError):
        return None


def _read(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is none."""
    with suppress(OSError, orjson.JSONDecodeError):
        found = orjson.loads(path.read_bytes())
        return found if isinstance(found, dict) else None
    return None


def _delete(folder: Path) -> str | None:
    """Delete a folder. Returns why it could not be deleted; then it is as it was, or at least no run any more."""
    try:
        shutil.rmtree(folder.rename(folder.with_name(DELETED_PREFIX + folder.name)))
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
