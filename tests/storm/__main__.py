"""`make storm`: the whole product under load while its processes are killed, and whether all is well afterwards.

    python -m tests.storm --minutes 5 --clients 8 --seed 1

Real processes: two web servers, two workers, the search worker, two relays, the scheduler, PostgreSQL, Valkey and the
sandbox gateway, which alone is never killed. Clocks of days run in seconds. Clients fight over the same goods, pay,
ship, ask for refunds, quarrel, withdraw; every few seconds a process gets SIGKILL and is started again, and half-way
Valkey loses all that it holds. Then the killing ends, everything may come to rest, and the checks of
`tests.storm.checks` say what is wrong. After that the services walk a long way beside the model of
`tests/orders/test_model.py`, another one each time. The exit status is 0 where nothing is wrong.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

from flask import Flask
from rich.console import Console
from rich.table import Table

from app.db.database import db
from config import load_settings
from supervisor.options import PROJECT
from tests.applications import running_app
from tests.factories import Made, auth_headers, make_address, make_good, make_user
from tests.storm.checks import facts, settle, violations
from tests.storm.clients import Client, ClientLog, GoodsForSale, Person
from tests.storm.processes import Market, running_market

_PEOPLE_PER_CLIENT = 3
_GOODS_PER_CLIENT = 4
_QUIET_BEFORE_END = 10.0  # seconds at the end in which nothing is killed, so that the last requests get answers
# The longest lease of an outbox message, a wait after a failure, and some orders' last deadlines.
_SETTLE_SECONDS = 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one storm; 0 where everything is well afterwards."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long it lasts, without start and settling")
    parser.add_argument("--clients", type=int, default=8, help="how many clients at the same time")
    parser.add_argument("--kill-every", type=float, default=4.0, metavar="SECONDS", help="mean time between kills")
    parser.add_argument("--seed", type=int, default=None, help="for the dice; the default is printed")
    parser.add_argument("--steps", type=int, default=10_000, help="of the walk beside the model; 0: none")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs though nothing is wrong")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"storm of {options.minutes:g} minutes, {options.clients} clients, seed {seed}", flush=True)
    with running_market(keep=options.keep) as market:
        with running_app(load_settings({**os.environ, **market.env})) as app:
            client_log = ClientLog()
            began = time.monotonic()
            _load_and_kill(app, market, client_log, options, seed)
            loaded = time.monotonic() - began
            left = settle(app, market, seconds=_SETTLE_SECONDS)
            settled = time.monotonic() - began - loaded
            found = [f"not settled within {_SETTLE_SECONDS:g} s: {line}" for line in left]
            found += violations(app, market, client_log)
            _report(app, market, client_log, loaded=loaded, settled=settled)
            for line in found:
                print(f"WRONG: {line}")
            print("all is well" if not found else f"{len(found)} things are wrong", flush=True)
        if found:
            # With the market's folder, where all logs are.
            raise SystemExit(1)
    return _walk(options.steps) if options.steps else 0


def _walk(steps: int) -> int:
    """The long walk beside the model; its exit status."""
    print(f"walking {steps} steps beside the model", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", "-s", "tests/orders/test_model.py"]
    return subprocess.run(command, env={**os.environ, "STORM_STEPS": str(steps)}, cwd=PROJECT, check=False).returncode


def _load_and_kill(app: Flask, market: Market, client_log: ClientLog, options: argparse.Namespace, seed: int) -> None:
    dice = random.Random(seed)
    people = [_person(app, make_user(app, f"storm{number}")) for number in range(options.clients * _PEOPLE_PER_CLIENT)]
    staff = _person(app, make_user(app, "staff", staff=True))
    goods = [
        make_good(app, Made(dice.choice(people).id, {}), price=dice.randrange(100, 90000), trade_mode=8).id
        for _ in range(options.clients * _GOODS_PER_CLIENT)
    ]
    over, goods_for_sale = threading.Event(), GoodsForSale(goods)
    clients = [
        Client(
            number=number,
            seed=seed,
            ports=market.ports,
            people=people[number :: options.clients],
            everybody={person.id: person for person in people},
            staff=staff,
            goods_for_sale=goods_for_sale,
            client_log=client_log,
            over=over,
        )
        for number in range(options.clients)
    ]
    for client in clients:
        client.start()
    end = time.monotonic() + options.minutes * 60
    targets = market.targets()
    next_kill = time.monotonic() + options.kill_every
    flush_at, flushed = time.monotonic() + options.minutes * 30, False
    while time.monotonic() < end:
        if next_kill <= time.monotonic() < end - _QUIET_BEFORE_END:
            next(targets)(dice)
            next_kill = time.monotonic() + options.kill_every * dice.uniform(0.5, 1.5)
        if not flushed and time.monotonic() >= flush_at:
            flushed = market.flush_valkey()
        market.restart_ended()
        time.sleep(0.1)
    assert flushed, "Valkey never answered"
    over.set()
    while any(client.is_alive() for client in clients):
        market.restart_ended()
        clients[0].join(0.1)
        time.sleep(0.05)
    market.wait_until_up()
    with app.app_context():
        db.engine.dispose()  # its connections are to servers that were killed


def _person(app: Flask, user: Made) -> Person:
    return Person(user.id, auth_headers(app, user), make_address(app, user).id)


def _report(app: Flask, market: Market, client_log: ClientLog, *, loaded: float, settled: float) -> None:
    console = Console(width=110)
    requests = Table("request", "sent", "answers by HTTP status", title="What clients did")
    for kind in sorted({kind for kind, _ in client_log.answers}):
        by_status = {status: count for (each, status), count in sorted(client_log.answers.items()) if each == kind}
        shown = ", ".join(f"{status}: {count}" for status, count in by_status.items())
        requests.add_row(kind, str(sum(by_status.values())), shown)
    sent = sum(client_log.answers.values())
    requests.add_row(
        "all", str(sent), f"{sent / loaded:.0f}/s; {client_log.resent} sent again, {client_log.replayed} kept answers"
    )
    console.print(requests)
    kills = Table("killed", "times", "back after (s, median)", "(s, longest)", title="What was killed")
    for what in sorted({kill.what for kill in market.kills}):
        times = [kill.back_after for kill in market.kills if kill.what == what and kill.back_after is not None]
        middle, longest = (f"{statistics.median(times):.1f}", f"{max(times):.1f}") if times else ("never", "never")
        kills.add_row(what, str(sum(kill.what == what for kill in market.kills)), middle, longest)
    kills.add_row("all", str(len(market.kills)), "", "")
    for name, count in Counter(market.ended_by_themselves).items():
        kills.add_row(f"{name}: ended by itself", str(count), "", "")
    console.print(kills)
    left = Table("", "", title=f"What is left after {loaded:.0f} s of storm and {settled:.0f} s of settling")
    for name, count in facts(app).items():
        left.add_row(name, str(count))
    console.print(left)


if __name__ == "__main__":
    sys.exit(main())
