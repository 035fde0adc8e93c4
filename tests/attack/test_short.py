"""The short form of `make attack`: one attack of each kind, some seconds, bare and behind nginx."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from flask import Flask

from tests.applications import empty_stores
from tests.attack.attacks import QUICK, Target
from tests.attack.siege import SECONDS_LIMIT, Figures, besiege, rest
from tests.factories import auth_headers, make_good, make_user
from tests.live import LiveServer
from tests.nginx import nginx_before

_SECONDS = 1.0
# A bomb costs as much of the decoder as it may; so it may less here, or its end would take longer than all the rest.
_LIMITS = {"CONNECTIONS_LIMIT": "300", "PICTURE_SECONDS_LIMIT": "1", "PICTURE_PATIENCE": "2"}
_NOTIFICATIONS = 5


@dataclass(frozen=True)
class Besieged:
    """The product, its good, and where it can be reached."""

    targets: dict[str, Target]
    pid: int
    before: Figures


@pytest.fixture(scope="module")
def besieged(app: Flask, environment: dict[str, str]) -> Iterator[Besieged]:
    """Two web processes with nearly the limits that they have anywhere, and nginx in front of them."""
    empty_stores(app)
    seller = make_user(app)
    good = make_good(app, seller)
    token = auth_headers(app, seller)["Authorization"].removeprefix("Bearer ")
    with ExitStack() as stack:
        server = stack.enter_context(
            LiveServer.start({**environment, **_LIMITS, "REFUSED_NOTIFICATIONS_KEPT": str(_NOTIFICATIONS)}, workers=2)
        )
        ports = {"bare": server.port, "nginx": stack.enter_context(nginx_before(server.port))}
        yield Besieged(
            {
                name: Target(
                    port=port, good_id=good.id, token=token, seconds=_SECONDS, connections=1200, upload=8 * 1024 * 1024
                )
                for name, port in ports.items()
            },
            server.process.pid,
            Figures.now(app, server.process.pid),
        )


@pytest.mark.parametrize("front", ["bare", "nginx"])
def test_nobody_else_notices_and_nothing_is_left(app: Flask, besieged: Besieged, front: str) -> None:
    target = besieged.targets[front]
    reports = [besiege(target, attack, besieged.pid) for attack in QUICK]
    reports.append(rest(target, 1.0, besieged.pid))
    assert [report for report in reports if not report.is_harmless] == []
    assert [report.name for report in reports if report.asked < 2] == []
    assert [(report.name, report.outcomes) for report in reports if not report.was_received] == []
    assert Figures.now(app, besieged.pid).left_since(besieged.before, notifications=_NOTIFICATIONS) == []
    assert reports[-1].slowest < SECONDS_LIMIT / 2
