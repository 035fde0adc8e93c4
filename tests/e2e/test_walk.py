"""The README's walk on the real product: as typed, from registration to refund, and by a generated client.

Then a power cut, and a clean end.
"""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from supervisor import children
from tests.clients.generation import generate_python_client
from tests.clients.walk import walk as clients_walk
from tests.e2e.product import Product, until
from tests.live import PROJECT, Reply, call

pytestmark = pytest.mark.xdist_group("product")

_WALK_SECONDS = 60
_SILENCE_SECONDS = 12  # the sweep of deadlines comes every 5, the drain of the search topic every 10

ANSWERS = ["发货成功", "确认收货成功", "退款申请成功", "退货发货成功", "退货确认成功,退款处理中"]
HISTORY = [
    "买家 下单 (1, 6)",
    "支付网关 付款 (2, 6)",
    "卖家 发货 (2, 7)",
    "买家 确认收货 (3, 8)",
    "买家 申请退款 (4, 8)",
    "买家 寄回退货 (4, 9)",
    "卖家 确认收到退货 (5, 10)",
]


@pytest.fixture
def python_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client in Python, generated from docs/openapi.json, as `saltfish_client`."""
    generate_python_client(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def product() -> Iterator[Product]:
    # Not pytest's own folder: the engines' unprivileged user must get through.
    with tempfile.TemporaryDirectory(prefix="saltfish-e2e-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        product = Product(folder)
        yield product
        product.delete()


def walk_of_the_readme() -> str:
    """The block as it stands between its marker and the end of its fence."""
    [block] = re.findall(r"<!-- walk -->\n```sh\n(.*?)\n```\n", (PROJECT / "README.md").read_text(), re.DOTALL)
    return str(block)


def walk(product: Product) -> tuple[list[str], str]:
    """Paste the walk into a shell; the lines of its stdout, and the buyer it registered."""
    command = ["bash", "-c", walk_of_the_readme()]
    ran = subprocess.run(
        command,
        cwd=PROJECT,
        env=product.environment,
        capture_output=True,
        text=True,
        timeout=_WALK_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}\n{product.log}"
    seller, buyer = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [each["msg"] for each in (seller, buyer)] == ["注册成功"] * 2
    return ran.stdout.splitlines(), buyer["data"]["username"]


def bought(product: Product, username: str) -> Reply:
    """Log in with the walk's password and list what was bought."""
    credentials = {"username": username, "password": "walk-2026-ok"}
    token = call(product.port, "POST", "/login/", body=credentials).body["data"]["access_token"]
    return call(product.port, "GET", "/api/buy_order/", headers={"Authorization": f"Bearer {token}"})


def quiet(product: Product) -> None:
    """Return once the idle product has said nothing for so long that sweeps, polls and probes were at work."""

    def silent() -> bool:
        said = len(product.said)
        for _ in range(4):
            time.sleep(_SILENCE_SECONDS / 4)
            assert call(product.port, "GET", "/readyz").status == 200
        return len(product.said) == said

    until(silent, seconds=6 * _SILENCE_SECONDS, what="silence")


@pytest.mark.usefixtures("python_client")
def test_the_walks_a_power_cut_and_a_clean_end(product: Product) -> None:
    with product.running():
        (found, *said), buyer = walk(product)
        assert int(found) >= 1  # the index follows the review by a moment; the demo market has a guitar as well
        assert said[: len(ANSWERS)] == ANSWERS
        history = [line.split(" ", 1) for line in said[len(ANSWERS) : -1]]
        assert [step for _, step in history] == HISTORY
        moments = [datetime.fromisoformat(at) for at, _ in history]
        assert moments == sorted(moments)
        assert said[-1] == "(5, 10) 卖家已退款 卖家已收货"
        # Neither a gateway that knocks before anybody is at home, nor a supervisor that does.
        assert [line for line in product.said if "refused" in line] == []
        before = bought(product, buyer).body
        assert [(order["bill_status"], order["order_status"]) for order in before["data"]["items"]] == [(5, 10)]
        # The same by a client that a program made of the OpenAPI document; one product is enough for both walks.
        clients_walk(f"http://127.0.0.1:{product.port}")
        product.kill()
    until(lambda: product.processes() == [], seconds=10, what="nothing left of the killed product")

    with product.running():
        assert bought(product, buyer).body == before
        assert product.listens() == [True, True]
        assert len(product.sockets()) == 2
        quiet(product)
        everything = product.processes()
        assert product.terminate() == 0, product.log
        assert [process for process in everything if process.is_running()] == []
        assert children.marked(str(product.instance)) == []
        assert product.listens() == [False, False]
        assert product.sockets() == []
        assert product.said[-1] == "ended cleanly"
