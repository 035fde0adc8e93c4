"""Search while its writer is killed, and beside a writer that commits: in tests with few steps, by hand with many.

    python -m tests.search.crashes --kills 25 --seconds 60

A search must never fail, nor show what is not for sale; in the end both engines hold what is for sale.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import flask_migrate
from flask import Flask

from app.db.transactions import transaction
from app.goods.models import Good
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.search import service
from app.search.checks import check_engines
from config import Environment, load_settings
from statemachine import GoodStatus
from supervisor.options import Options
from supervisor.product import temporary_engines
from tests.applications import running_app
from tests.factories import Made, make_good, make_user
from tests.processes import run_forked
from tests.search.steps import announce

GOODS: Final = 10

# A drain that is killed at its so manieth operation on files, or that ends before.
_KILLED_DRAIN: Final = """
import os, signal, sys
from app import create_app
from app.db.transactions import transaction
from app.goods.models import Good
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.search import service

left = {operation}
def count(event, _arguments):
    global left
    if event in ("open", "os.remove", "os.rename", "os.mkdir", "fcntl.flock", "fcntl.lockf", "mmap.__new__"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

with create_app().app_context():
    service.search_index().analyser.index_tokens("先载入")
    sys.addaudithook(count)
    service.drain_outbox()
"""


class Lamps:
    """Ten lamps of which each step sells one and puts another one, sold before, up again, under a new title."""

    def __init__(self, app: Flask) -> None:
        owner = make_user(app)
        self._app = app
        self.goods: list[Made] = [make_good(app, owner, title="台灯 0") for _ in range(GOODS)]
        # Odd while the good is not for sale, and never again the same number.
        self.turns: Counter[int] = Counter()
        for good in self.goods:
            announce(app, good.id)

    def step(self, number: int) -> None:
        """Sell one, and put the one up again that the step before sold."""
        sold, back = self.goods[number % GOODS], self.goods[(number - 1) % GOODS]
        self._set(sold, status=GoodStatus.SOLD)
        self.turns[sold.id] += 1
        if self.turns[back.id] % 2:
            self.turns[back.id] += 1
            self._set(back, status=GoodStatus.PUBLISHED, title=f"台灯 {number}")

    def _set(self, good: Made, **values: Any) -> None:
        with self._app.app_context(), transaction() as session:
            row = session.get_one(Good, good.id)
            for name, value in values.items():
                setattr(row, name, value)
            add_message(session, Topic.SEARCH_INDEX, good.id)

    def look(self) -> int:
        """Search once; returns how many are found. Those that were sold the whole time must not be among them."""
        before = dict(self.turns)
        answer = self._app.test_client().get("/test/", query_string={"q": "台灯", "size": 100})
        assert answer.status_code == 200, answer.text
        shown = {item["id"] for item in answer.get_json()["data"]["items"]}
        stale = {good_id for good_id in shown if before.get(good_id, 0) % 2 and before[good_id] == self.turns[good_id]}
        assert not stale, f"sold and shown: {stale}"
        return len(shown)


def kill_writers(app: Flask, environment: Mapping[str, str], *, kills: int) -> int:
    """Kill so many drains, each at a later operation than the one before; returns how many operations a drain has."""
    lamps = Lamps(app)
    killed = operation = most = 0
    while killed < kills:
        lamps.step(killed)
        operation += 3
        code = _KILLED_DRAIN.format(operation=operation)
        ended = run_forked(["-c", code], environ=os.environ | environment, timeout=120)
        if ended.returncode == -signal.SIGKILL:
            killed, most = killed + 1, max(most, operation)
        else:
            assert ended.returncode == 0, ended.stderr
            operation = 0
        assert lamps.look() <= GOODS
    assert_whole(app)
    return most


def read_beside_writer(app: Flask, *, readers: int, goes_on: Callable[[int], bool]) -> tuple[int, int]:
    """Let `readers` search while goods change and drains commit, while `goes_on(steps)`; returns looks and steps.

    No reader ends before it has looked twice, however slow the machine is.
    """
    lamps, stop = Lamps(app), threading.Event()
    assert_whole(app)

    def read() -> int:
        looks = 0
        while looks < 2 or not stop.is_set():
            assert lamps.look() >= GOODS - 3
            looks += 1
        return looks

    steps = 0
    with ThreadPoolExecutor(readers) as pool:
        reading = [pool.submit(read) for _ in range(readers)]
        try:
            while goes_on(steps):
                lamps.step(steps)
                with app.app_context():
                    service.drain_outbox()
                steps += 1
        finally:
            stop.set()
        looks = sum(each.result() for each in reading)
    assert_whole(app)
    return looks, steps


def assert_whole(app: Flask) -> None:
    """After a drain both engines hold what is for sale."""
    with app.app_context():
        service.drain_outbox()
        for each in check_engines():
            assert each.ok, each


def main(arguments: Sequence[str] | None = None) -> None:
    """Both, on engines of their own, each way of answering in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.search.crashes", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--readers", type=int, default=8)
    options = parser.parse_args(arguments)
    for engine in ("whoosh", "postgres"):
        with tempfile.TemporaryDirectory(prefix="saltfish-crashes-") as folder, temporary_engines(Options()) as urls:
            environment = {
                **urls,
                "SALTFISH_ENV": Environment.TESTING.value,
                "INSTANCE_PATH": folder,
                "SEARCH_INDEX_PATH": str(Path(folder) / "search"),
                "SEARCH_ENGINE": engine,
                "JWT_SECRET_KEY": "secret-key-of-the-tests-0123456789abcdef",
                "RATE_LIMITS_ENABLED": "0",
                "LOG_LEVEL": "ERROR",
            }
            with running_app(load_settings(environment)) as app:
                with app.app_context():
                    flask_migrate.upgrade()
                if engine == "whoosh":  # with PostgreSQL a drain writes no file
                    operations = kill_writers(app, environment, kills=options.kills)
                    print(f"{engine}: {options.kills} drains killed, the last at operation {operations}: all well")
                end = time.monotonic() + options.seconds
                looks, steps = read_beside_writer(
                    app, readers=options.readers, goes_on=lambda _steps, end=end: time.monotonic() < end
                )
                print(f"{engine}: {looks} searches by {options.readers} readers beside {steps} commits: all well")


if __name__ == "__main__":
    main()
