"""Makes backups of a running market, and restores them into an empty one.

A backup is what the database held at one moment: pg_dump writes the snapshot in which the rows are counted here. The
pictures are copied afterwards. They are written before their rows, never changed, and from before the snapshot until
they are copied no sweep deletes any (`files_kept`), so every row's picture is there. The sandbox gateway's store is
copied last, and may know more than the database, as a real gateway would: what it was paid meanwhile is found by asking
it.

A restored market stands where the backup was made, but nobody is logged in: which sessions and codes have ended since
is not known. Valkey is emptied: jobs in it are about rows that may be others by now, and what it counts is over. The
search index is built anew.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import flask_migrate
import structlog
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, func, inspect, select, text, union

from app.accounts.sessions import end_all_sessions
from app.backup import files
from app.backup.files import UnusableFolder
from app.backup.manifest import FORMAT, Manifest, named_keys, read_manifest, write_manifest
from app.backup.programs import ProgramFailed, find_program, run_program
from app.clock import utcnow
from app.db.columns import Base
from app.db.database import db
from app.db.transactions import rows, transaction
from app.extensions import valkey
from app.goods.storage import LocalPictureStorage, is_key
from app.goods.stored_pictures import files_kept
from app.ledger.audit import audit
from app.orders import history
from app.orders.models import Order
from app.recovery.codes import void_all_codes
from app.search import service as search
from app.settings import settings
from app.version import __version__
from config import PROJECT_ROOT

log = structlog.get_logger(__name__)

DUMP: Final = "database.dump"
_PICTURES: Final = "pictures"
_SANDBOX: Final = "sandbox"
_SET_ASIDE: Final = "saltfish_before_restore"
"""The schema that holds what was there before, until the restored rows are all there."""

_SCHEMA_ITSELF: Final = re.compile(r"\d+; \d+ \d+ (SCHEMA - public|(COMMENT|ACL) - SCHEMA public) ")
_ORDERS: Final = select(Order.id, Order.order_no).where(Order.id > bindparam("last")).order_by(Order.id).limit(1000)

Report = Callable[[str], None]


class NotEmpty(Exception):  # noqa: N818 - it says what happened
    """There is something where a backup is to be restored; the text names it."""


class InUse(Exception):  # noqa: N818 - it says what happened
    """Others are connected to the database that is to be replaced."""


def back_up(folder: Path, *, report: Report) -> Manifest:
    """Write a backup into `folder`, which must not exist or be empty; everything may go on meanwhile.

    `report` is called with a line for each part. Raises UnusableFolder and ProgramFailed; then nothing is left there.
    """
    began_at = utcnow()
    with files.new_folder(folder) as unfinished:
        checksums: dict[str, str] = {}
        with files_kept():
            with _snapshot() as (connection, snapshot):
                counts = _count_rows(connection)
                migrations = sorted(MigrationContext.configure(connection).get_current_heads())
                wanted = _pictures_of_rows(connection)
                server = str(connection.scalar(text("SHOW server_version")))
                dump = find_program("pg_dump", server_major=_server_major(connection))
                run_program(
                    dump, ["--format=custom", "--no-owner", "--no-privileges", "--snapshot", snapshot, *_to(unfinished)]
                )
            (unfinished / DUMP).chmod(0o600)
            checksums[DUMP] = files.checksum(unfinished / DUMP)
            report(f"database: {sum(counts.values())} rows of {len(counts)} tables")
            copied = _copy_pictures(unfinished)
            checksums |= {f"{_PICTURES}/{path}": digest for path, (digest, _) in copied.items()}
        size = sum(size for _, size in copied.values())
        present = {Path(path).name for path in copied}
        missing = sorted(wanted - present)
        report(f"pictures: {len(copied)} files, {size} bytes")
        sandbox = _copy_sandbox(unfinished)
        checksums |= {path: files.checksum(unfinished / path) for path in sandbox}
        manifest = Manifest(
            format=FORMAT,
            began_at=began_at.isoformat(),
            finished_at=utcnow().isoformat(),
            version=__version__,
            migrations=migrations,
            postgresql=server,
            rows=counts,
            pictures=len(copied),
            pictures_bytes=size,
            missing_pictures=missing,
            sandbox=sandbox,
            keys=named_keys(),
            checksums_sha256=files.write_checksums(unfinished, checksums),
        )
        write_manifest(unfinished, manifest)
    log.info("backup_made", rows=sum(counts.values()), pictures=len(copied), missing_pictures=len(missing))
    return manifest


def _to(folder: Path) -> list[str]:
    return ["--file", str(folder / DUMP)]


@contextmanager
def _snapshot() -> Iterator[tuple[Connection, str]]:
    """A connection that reads what was committed at one moment, and the name by which pg_dump reads the same."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with db.engine.connect().execution_options(**options) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        yield connection, str(connection.scalar(text("SELECT pg_export_snapshot()")))
        connection.rollback()


def _server_major(connection: Connection) -> int:
    return int(connection.scalar(text("SHOW server_version_num")) or 0) // 10_000


def _count_rows(connection: Connection) -> dict[str, int]:
    present = set(inspect(connection).get_table_names())
    return {
        name: connection.scalar(select(func.count()).select_from(table)) or 0
        for name, table in sorted(Base.metadata.tables.items())
        if name in present
    }


def _pictures_of_rows(connection: Connection) -> set[str]:
    """The content hashes that rows name."""
    columns = [table.c.sha256 for table in Base.metadata.tables.values() if "sha256" in table.c]
    return set(connection.scalars(union(*(select(column) for column in columns))))


def _copy_pictures(folder: Path) -> dict[str, tuple[str, int]]:
    """Copy all pictures; the checksum and size of each, by its path within their folder."""
    source = _pictures_folder()
    (folder / _PICTURES).mkdir(mode=0o700)
    copied = {}
    for path in _picture_files(source):
        name = path.relative_to(source).as_posix()
        target = folder / _PICTURES / name
        try:
            copied[name] = files.copy(path, target), target.stat().st_size
        except FileNotFoundError:  # removed by hand; if a row names it, it is among those that are missing
            continue
    return copied


def _picture_files(folder: Path) -> list[Path]:
    """The files of pictures and thumbnails; neither those that somebody is still writing, nor what is not ours."""
    return sorted(path for path in folder.rglob("*") if is_key(path.name) and path.is_file())


def _copy_sandbox(folder: Path) -> list[str]:
    found = sorted((settings().instance_path / _SANDBOX).glob("*.sqlite3"))
    for path in found:
        files.copy_sqlite(path, folder / _SANDBOX / path.name)
    return [f"{_SANDBOX}/{path.name}" for path in found]


def _pictures_folder() -> Path:
    return settings().instance_path / _PICTURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restoration found: lines that say what is wrong (none: all is well), goods in the search index."""

    manifest: Manifest
    problems: list[str]
    searchable: int


def restore(folder: Path, *, overwrite: bool, report: Report) -> Restored:
    """Replace the whole market by the backup in `folder`, end all sessions, build the search index, check everything.

    The backup is checked first, and until its rows are all there, migrated and without sessions, the present ones stand
    aside: if that fails they are back. `report` is called with a line for each part. Raises UnusableFolder, NotEmpty
    without `overwrite`, InUse, ProgramFailed, OSError.
    """
    manifest = read_manifest(folder)
    if wrong := files.check_files(folder, list_checksum=manifest.checksums_sha256):
        raise UnusableFolder("\n".join([f"{folder} is not what was written:", *wrong]))
    _refuse_unknown_migrations(manifest)
    report(f"the backup of {manifest.began_at} is whole")
    if not overwrite and (there := _what_is_there()):
        raise NotEmpty(", ".join(there))
    _refuse_others()
    # First what only adds files or replaces them by whole ones, and may find the disk full.
    _restore_pictures(folder)
    report(f"pictures: {manifest.pictures} files, {manifest.pictures_bytes} bytes")
    _restore_database(folder, manifest)
    report(f"database: {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables")
    report("sessions and one-time codes: all ended")
    valkey().flushdb()
    _restore_sandbox(folder)
    searchable = search.rebuild(take_over=True)  # the folder may hold the index of the database before
    report(f"search: {searchable} goods")
    problems = [f"picture {sha256}: was missing when the backup was made" for sha256 in manifest.missing_pictures]
    problems += map(str, audit())
    problems += _history_problems()
    log.info("backup_restored", rows=sum(manifest.rows.values()), problems=len(problems))
    return Restored(manifest=manifest, problems=problems, searchable=searchable)


def _refuse_unknown_migrations(manifest: Manifest) -> None:
    known = {script.revision for script in ScriptDirectory(str(PROJECT_ROOT / "migrations")).walk_revisions()}
    if unknown := set(manifest.migrations) - known:
        raise UnusableFolder(
            f"the backup was made by a newer version, {manifest.version}: this one does not know the migration "
            f"{', '.join(sorted(unknown))}"
        )


def _what_is_there() -> list[str]:
    there = []
    with db.engine.connect() as connection:
        if tables := inspect(connection).get_table_names():
            there.append(f"the database has {len(tables)} tables")
    if size := valkey().dbsize():
        there.append(f"Valkey has {size} keys")
    there += [
        f"{path} has files"
        for path in (_pictures_folder(), settings().instance_path / _SANDBOX)
        if path.is_dir() and any(path.iterdir())
    ]
    return there


def _refuse_others() -> None:
    db.session.remove()
    db.engine.dispose()
    with db.engine.connect() as connection:
        others = connection.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        )
    if others:
        raise InUse(f"{others} others are connected to the database: end web, workers, relay and scheduler first")


def _restore_database(folder: Path, manifest: Manifest) -> None:
    with db.engine.connect() as connection:
        program = find_program("pg_restore", server_major=_server_major(connection))
        killed_before = connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": _SET_ASIDE})
    # After a restoration that was killed, what was there before it still stands aside, and `public` holds a part.
    aside = "DROP SCHEMA public CASCADE" if killed_before else f"ALTER SCHEMA public RENAME TO {_SET_ASIDE}"
    _execute(aside, "CREATE SCHEMA public")
    try:
        _load(program, folder)
        _compare_rows(manifest)
        flask_migrate.upgrade()
        _end_sessions_and_codes()
    except BaseException:
        _execute("DROP SCHEMA public CASCADE", f"ALTER SCHEMA {_SET_ASIDE} RENAME TO public")
        raise
    _execute(f"DROP SCHEMA {_SET_ASIDE} CASCADE", "ANALYZE")


def _end_sessions_and_codes() -> None:
    with transaction() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        end_all_sessions(session)
        void_all_codes(session)


def _compare_rows(manifest: Manifest) -> None:
    with db.engine.connect() as connection:
        counts = _count_rows(connection)
    if counts != manifest.rows:
        raise ProgramFailed(f"pg_restore brought {counts}, and {manifest.rows} were counted")


def _load(program: Path, folder: Path) -> None:
    """Load the dump into `public`, which is there already: of some servers pg_dump writes its creation, too."""
    contents = run_program(program, ["--list", folder / DUMP], database=False)
    wanted = [line for line in contents.splitlines() if not _SCHEMA_ITSELF.match(line)]
    with tempfile.NamedTemporaryFile("w", prefix="saltfish-restore-", encoding="utf-8") as file:
        file.write("\n".join(wanted) + "\n")
        file.flush()
        how = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", "--use-list", file.name]
        run_program(program, [*how, folder / DUMP])


def _execute(*statements: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in statements:
            connection.execute(text(statement))


def _restore_pictures(folder: Path) -> None:
    storage = LocalPictureStorage(_pictures_folder())
    for path in _picture_files(folder / _PICTURES):
        present = _pictures_folder() / path.relative_to(folder / _PICTURES)
        data = path.read_bytes()
        if not present.exists() or present.read_bytes() != data:
            storage.replace(path.name, data)


def _restore_sandbox(folder: Path) -> None:
    sandbox = settings().instance_path / _SANDBOX
    for path in (folder / _SANDBOX).glob("*.sqlite3"):
        for present in sandbox.glob(f"{path.name}*"):  # and its journal
            present.unlink()
        files.copy(path, sandbox / path.name)


def _history_problems() -> Iterator[str]:
    """What `flask order verify` would say of each order."""
    last = 0
    while found := rows(_ORDERS, {"last": last}):
        for row in found:
            yield from (f"order {row.order_no}: {said}" for said in history.verify(history.export(row.order_no)))
        last = found[-1].id
