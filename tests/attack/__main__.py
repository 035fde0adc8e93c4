"""`python -m tests.attack` (`make attack`): every attack on the product, bare and behind nginx, on this machine only.

PostgreSQL and Valkey are started for it unless DATABASE_URL and REDIS_URL name them. Exit status 1 where anybody else
was answered later than after two seconds, or wrongly, a web process grew beyond 500 MB, an attack was not received as
it is meant, or rows, files or memory were left a while afterwards.
"""

import argparse
import resource
import sys
from contextlib import ExitStack

import flask_migrate
from rich.console import Console
from rich.table import Table

from app.factory import build_app
from app.money.sandbox.keys import create_keys
from benchmarks.servers import prepared, serving_product
from config import load_settings
from tests.attack.attacks import ALL, Target
from tests.attack.siege import MEMORY_LIMIT, Figures, Report, besiege, rest
from tests.factories import auth_headers, make_good, make_user
from tests.nginx import nginx_before


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each attack")
    parser.add_argument("--workers", type=int, default=2, help="web processes")
    parser.add_argument("--connections", type=int, default=4000, help="of the largest crowd")
    parser.add_argument("--upload", type=int, default=104 * 1024 * 1024, help="bytes of the largest body")
    parser.add_argument("--rest", type=float, default=60.0, help="seconds to look on afterwards")
    parser.add_argument("--only", default="", help="part of the names of the attacks to run")
    parser.add_argument("--without-nginx", action="store_true", help="only the product itself")
    return parser.parse_args()


def main() -> int:
    """Run all of them and print what others noticed."""
    arguments = _arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # or the crowds stay small
    with prepared() as (environ, folder), ExitStack() as stack:
        env = {
            **environ,
            "SALTFISH_ENV": "development",
            "INSTANCE_PATH": str(folder),
            "SEARCH_INDEX_PATH": str(folder / "search"),
            "JWT_SECRET_KEY": "secret-key-of-the-attack-0123456789ab",
            "TRUSTED_PROXIES": "0",
        }
        create_keys(folder / "keys")  # or notifications end in a fault before anything is looked at
        loaded = load_settings({**env, "LOG_LEVEL": "WARNING"})
        app = build_app(loaded)
        with app.app_context():
            flask_migrate.upgrade()
        seller = make_user(app)
        good = make_good(app, seller)
        token = auth_headers(app, seller)["Authorization"].removeprefix("Bearer ")
        server = stack.enter_context(serving_product(arguments, env, folder))
        fronts = {"bare": server.port}
        if not arguments.without_nginx:
            fronts["nginx"] = stack.enter_context(nginx_before(server.port))
        reports: list[tuple[str, Report]] = []
        left: list[str] = []
        before = Figures.now(app, server.pid)
        for name, port in fronts.items():
            target = Target(
                port=port,
                good_id=good.id,
                token=token,
                seconds=arguments.seconds,
                connections=arguments.connections,
                upload=arguments.upload,
            )
            for attack in (each for each in ALL if arguments.only in each.__name__):
                reports.append((name, besiege(target, attack, server.pid)))
                _show(*reports[-1])
            reports.append((name, rest(target, arguments.rest, server.pid)))
            now = Figures.now(app, server.pid)
            kept = loaded.refused_notifications_kept
            left += [f"{name}: {each}" for each in now.left_since(before, notifications=kept)]
    Console(width=None if sys.stdout.isatty() else 120).print(_table(reports))
    print("left afterwards:", "; ".join(left) or "nothing")
    return 0 if not left and all(report.is_harmless and report.was_received for _, report in reports) else 1


def _show(front: str, report: Report) -> None:
    print(f"{front}: {report.name} {report.slowest:.2f} s, {report.memory >> 20} MB", file=sys.stderr, flush=True)


def _table(reports: list[tuple[str, Report]]) -> Table:
    table = Table(caption=f"what others noticed; web processes may have {MEMORY_LIMIT >> 20} MB")
    for column in ("", "attack", "asked", "slowest s", "wrong", "MB", ""):
        table.add_column(column, justify="left" if column in ("", "attack") else "right")
    for front, report in reports:
        table.add_row(
            front,
            report.name.replace("_", " "),
            str(report.asked),
            f"{report.slowest:.2f}",
            str(len(report.failures)),
            str(report.memory >> 20),
            _verdict(report),
        )
    return table


def _verdict(report: Report) -> str:
    if not report.is_harmless:
        return f"HARM {report.failures[:2]}"
    return "" if report.was_received else f"NOT AS MEANT {dict(report.outcomes)}"


if __name__ == "__main__":
    sys.exit(main())
