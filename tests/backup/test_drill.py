"""The drill: back up while people buy and pay, lose everything, restore, and find what was acknowledged."""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, insert, make_url, select, text, update

from app.answers import Answer
from app.backup import service
from app.backup.files import UnusableFolder, copy_sqlite, new_folder
from app.backup.programs import ProgramFailed, find_program
from app.backup.service import back_up
from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good, Picture
from app.goods.storage import LocalPictureStorage
from app.ledger.audit import audit
from app.money.sandbox.messages import notification_fields_for
from app.money.sandbox.settings import SandboxSettings
from app.money.sandbox.store import Store
from app.pictures.service import Collected, collect_pictures
from app.recovery.models import OneTimeCode, Purpose
from app.search import service as search
from config import load_settings
from statemachine import GoodStatus
from statemachine.order import PAID
from tests.applications import running_app
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    photo_bytes,
    whole_database,
)
from tests.moderation.steps import add_picture
from tests.tasks.steps import wait_until


@pytest.fixture
def market(environment: dict[str, str], tmp_path: Path) -> Iterator[Flask]:
    """A market of its own that may be destroyed: a database, an instance folder, an emptied Valkey number."""
    server = make_url(environment["DATABASE_URL"])
    name = f"{server.database}_drill"
    admin = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    own = {
        "DATABASE_URL": server.set(database=name).render_as_string(hide_password=False),
        "INSTANCE_PATH": str(tmp_path / "instance"),
        "SEARCH_INDEX_PATH": str(tmp_path / "instance" / "search"),
    }
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            with running_app(load_settings({**environment, **own})) as app:
                app.extensions["valkey"].flushdb()
                with app.app_context():
                    flask_migrate.upgrade()
                yield app
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Buyers:
    """Clients who buy and pay until they are told to stop; `acknowledged` are the orders that they were told of."""

    def __init__(self, app: Flask, seller: Made, *, number: int) -> None:
        self.acknowledged: list[int] = []
        self.failures: list[BaseException] = []
        self._app, self._seller = app, seller
        self._stop = threading.Event()
        people = [make_user(app) for _ in range(number)]
        self._threads = [threading.Thread(target=self._shop, args=(person,)) for person in people]

    @contextmanager
    def shopping(self) -> Iterator["Buyers"]:
        """They shop during the block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
        assert self.failures == []

    def _shop(self, buyer: Made) -> None:
        try:
            while not self._stop.is_set():
                width = 40 + len(self.acknowledged) % 20
                good = make_good(self._app, self._seller, title=f"吉他 {width}")
                add_picture(self._app, good, width=width)
                self.acknowledged.append(lead_order(self._app, good, buyer, phase=PAID).id)
        except BaseException as error:
            self.failures.append(error)
            raise


def command(app: Flask, *words: str) -> tuple[int, str]:
    """Run `flask …`; its exit status, and what it said."""
    ran = app.test_cli_runner().invoke(args=list(words))
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran.exit_code, ran.output


def destroy(app: Flask) -> None:
    """Lose database, files, index and Valkey, as with the machine."""
    with app.app_context():
        db.session.remove()
        with db.engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        db.engine.dispose()
    app.extensions.pop("saltfish.search", None)
    shutil.rmtree(app.instance_path)
    app.extensions["valkey"].flushdb()


def orders_of(app: Flask) -> dict[int, tuple[int, int, bool]]:
    return {
        row["id"]: (row["bill_status"], row["order_status"], row["closed"]) for row in whole_database(app)["orders"]
    }


def sweep_while_backing_up(market: Flask, seller: Made, folder: Path) -> None:
    """A sweep between the snapshot and the copying leaves the files of the snapshot's rows; the next takes them."""
    sha256 = hashlib.sha256(photo_bytes(98, 98)).hexdigest()
    picture_id = add_picture(market, make_good(market, seller), position=None, width=98)
    long_ago = utcnow() - timedelta(days=2)
    of_it = Path("pictures", sha256[:2], sha256[2:4], sha256)
    os.utime(Path(market.instance_path) / of_it, (long_ago.timestamp(), long_ago.timestamp()))
    swept = []

    def sweep(line: str) -> None:
        if line.startswith("database: "):
            swept.append(collect_pictures())

    with market.app_context():
        with db.engine.begin() as connection:
            connection.execute(update(Picture).where(Picture.id == picture_id).values(detached_at=long_ago))
        manifest = back_up(folder, report=sweep)
        assert (swept, manifest.missing_pictures) == ([Collected(pictures=1, files=0)], [])
        assert (folder / of_it).is_file()
        assert collect_pictures() == Collected(pictures=0, files=1)
        db.session.remove()


def test_the_drill(market: Flask, tmp_path: Path) -> None:
    folder = tmp_path / "backups" / "today"
    seller = make_user(market)
    kept = make_good(market, seller, title="民谣吉他 留着")
    add_picture(market, kept, width=99)
    sandbox = SandboxSettings(keys=tmp_path, store=Path(market.instance_path) / "sandbox" / "trades.sqlite3")
    books = Store(sandbox.store, notification_fields_for(sandbox))
    opened = {"subject": "吉他", "amount_fen": 5, "notify_url": "", "return_url": "", "expires_at": 2e9, "now": 1e9}
    books.open_trade(out_trade_no="of-the-drill", **opened)
    with market.app_context():
        assert search.rebuild() == 1
    sweep_while_backing_up(market, seller, tmp_path / "swept")
    ended, alive = (auth_headers(market, make_user(market)) for _ in range(2))
    with market.app_context(), db.engine.begin() as connection:
        expires_at = utcnow() + timedelta(days=1)
        code = {"purpose": Purpose.RESET.value, "username_key": "somebody", "salt": "salt", "tries_left": 5}
        connection.execute(
            insert(OneTimeCode).values(**code, by_staff=True, created_at=utcnow(), expires_at=expires_at)
        )
    foreign = Path(market.instance_path) / "pictures" / "lost+found" / "README"
    foreign.parent.mkdir()
    foreign.write_text("not ours")
    with Buyers(market, seller, number=3).shopping() as buyers:
        wait_until(lambda: len(buyers.acknowledged) >= 5, "a few have bought")
        promised = list(buyers.acknowledged)
        status, said = command(market, "backup", str(folder))
        told = len(buyers.acknowledged)
        # Of three buyers three may be told only now of what they bought before.
        wait_until(lambda: len(buyers.acknowledged) >= told + 4, "somebody has bought after it")
        during = len(buyers.acknowledged) - len(promised)
    assert status == 0, said
    client = market.test_client()
    assert client.post("/api/logout/", headers=ended).status_code == 200
    assert "ALIPAY_APP_PRIVATE_KEY_PATH" in said
    # For nobody else, and no key among them.
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert "README" not in {path.name for path in files}  # it would have ended the restoration in the middle
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path for path in files if path.suffix == ".pem"] == []
    assert [path.name for path in folder.parent.iterdir()] == ["today"]
    assert command(market, "backup", str(folder)) == (1, f"Error: {folder} is not empty\n")

    destroy(market)
    status, said = command(market, "restore", str(folder))
    assert status == 0, said
    assert said.splitlines()[-1].endswith("the ledger is clean, every order's history is whole")
    restored = orders_of(market)
    assert {order_id: restored.get(order_id) for order_id in promised} == dict.fromkeys(promised, tuple(PAID))
    assert len(restored) < len(promised) + during  # what came after the snapshot is gone
    with market.app_context():
        assert audit() == []
        shas = set(db.session.scalars(select(Picture.sha256)))
        for_sale = db.session.scalar(select(func.count()).where(Good.status == GoodStatus.PUBLISHED))
        assert search.status()[0].documents == for_sale  # type: ignore[union-attr] # there is an index
        db.session.remove()
    pictures = Path(market.instance_path) / "pictures"
    assert shas <= {path.name for path in pictures.rglob("*")}
    assert books.trade("of-the-drill", now=1e9).amount_fen == 5
    # What ended after the backup is not alive again; it is not known which did, so nothing is.
    for headers in (ended, alive):
        assert client.get("/api/user/", headers=headers).status_code == 401
    with market.app_context():
        assert db.session.scalar(select(func.count()).where(OneTimeCode.used_at.is_(None))) == 0
        db.session.remove()
    found = assert_envelope(client.get("/test/?q=民谣吉他"), Answer.GOOD_FOUND)
    assert found["items"][0]["id"] == kept.id  # guitars that were not sold come behind it
    [shown] = found["items"][0]["pictures"]
    assert client.get(shown["url"]).status_code == 200
    good = make_good(market, seller)
    buyer = make_user(market)
    bought = lead_order(market, good, buyer, phase=PAID)
    assert bought.id not in restored
    assert client.get(f"/api/order/{bought.id}/", headers=auth_headers(market, buyer)).status_code == 200

    refuse_what_would_harm(market, folder)


def refuse_what_would_harm(market: Flask, folder: Path) -> None:
    """Each refusal leaves everything as it was, a restoration that fails in the middle too."""
    before = whole_database(market)
    status, said = command(market, "restore", str(folder))
    assert (status, "with --yes-overwrite the backup replaces all of it" in said) == (1, True)
    assert "the database has" in said
    with market.app_context(), db.engine.connect() as connection:
        other = psycopg.connect(str(connection.engine.url.render_as_string(False)).replace("+psycopg", ""))
    with other:
        status, said = command(market, "restore", str(folder), "--yes-overwrite")
        assert (status, "1 others are connected to the database" in said) == (1, True)
    manifest = folder / "manifest.json"
    written = json.loads(manifest.read_text())
    for changed, words in (
        ({"rows": {**written["rows"], "users": 99}}, "pg_restore brought"),
        ({"migrations": ["9999"]}, "does not know the migration 9999"),
        ({"format": "saltfish-backup/2", "new": 1}, "this version reads saltfish-backup/1"),
        ({"checksums_sha256": "0" * 64}, "checksums.sha256: is missing or was changed"),
    ):
        manifest.write_text(json.dumps({**written, **changed}))
        status, said = command(market, "restore", str(folder), "--yes-overwrite")
        assert (status, words in said) == (1, True), said
        assert whole_database(market) == before
    manifest.write_text(json.dumps(written))
    picture = next(path for path in (folder / "pictures").rglob("*") if path.is_file())
    whole = picture.read_bytes()
    picture.write_bytes(b"another")
    status, said = command(market, "restore", str(folder), "--yes-overwrite")
    assert (status, f"{picture.relative_to(folder)}: was changed" in said) == (1, True)
    assert whole_database(market) == before
    status, said = command(market, "restore", str(folder.parent), "--yes-overwrite")
    assert (status, "is no backup" in said) == (1, True)
    picture.write_bytes(whole)
    # Where a picture cannot be written, the rows that would name it, and sessions, have not come either.
    there = Path(market.instance_path) / "pictures" / picture.name[:2]
    shutil.rmtree(there)
    there.write_text("in the way")
    status, said = command(market, "restore", str(folder), "--yes-overwrite")
    assert (status, "Not a directory" in said) == (1, True)
    assert whole_database(market) == before


def test_a_restoration_that_finds_no_room_takes_no_picture_away(
    context: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thumbnail has its original's name: other versions of the encoder make other bytes of it."""

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    thumbnail = f"{'ab' * 32}-w240"
    present, kept = (LocalPictureStorage(root / "pictures") for root in (Path(context.instance_path), tmp_path))
    present.put(thumbnail, b"of today")
    kept.put(thumbnail, b"of the backup")
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left on device"):
            service._restore_pictures(tmp_path)
    with present.open(thumbnail) as file:
        assert file.read() == b"of today"
    service._restore_pictures(tmp_path)
    with present.open(thumbnail) as file:
        assert file.read() == b"of the backup"
    assert [path.name for path in (present.root / "ab" / "ab").iterdir()] == [thumbnail]
    present.delete("ab" * 32)


def test_where_nothing_can_be_written_it_says_so(app: Flask) -> None:
    status, said = command(app, "backup", "/proc/nowhere/today")
    assert (status, said) == (
        1,
        "Error: no backup could be written to /proc/nowhere/today: "
        "[Errno 2] No such file or directory: '/proc/nowhere'\n",
    )


def test_a_book_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    broken, odd = tmp_path / "broken.sqlite3", tmp_path / "100% of #1?.sqlite3"
    broken.write_bytes(b"no database" * 100)
    with closing(sqlite3.connect(odd)) as book:
        book.execute("CREATE TABLE trades (number text)")
    with (
        pytest.raises(UnusableFolder, match=r"broken\.sqlite3: file is not a database"),
        new_folder(tmp_path / "b") as new,
    ):
        copy_sqlite(broken, new / "broken.sqlite3")
    with new_folder(tmp_path / "c") as new:
        copy_sqlite(odd, new / "odd.sqlite3")
    assert sorted(path.name for path in tmp_path.iterdir()) == [odd.name, "broken.sqlite3", "c"]
    with closing(sqlite3.connect(tmp_path / "c" / "odd.sqlite3")) as copied:
        assert copied.execute("SELECT count(*) FROM trades").fetchone() == (0,)


def test_programs_of_the_server_s_version_are_preferred(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(version: str) -> Path:
        program = tmp_path / "pg_dump"
        program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n")
        program.chmod(0o755)
        return program

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    own = install("17.2 (Debian 17.2-1)")
    assert find_program("pg_dump", server_major=17) == own
    assert find_program("pg_dump", server_major=18).parent.name == "bin"  # the wheel's
    assert find_program("pg_dump", server_major=16) == own
    install("19.0")
    assert find_program("pg_dump", server_major=19) == own
    assert find_program("pg_dump", server_major=17).parent.name == "bin"
    with pytest.raises(ProgramFailed, match="there is no pg_dump for PostgreSQL 20"):
        find_program("pg_dump", server_major=20)
