"""`scrapy check`: what the callbacks yield for the saved samples, without any network."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scrapy.exceptions import ContractFail
from xianyu.contracts import FieldsContract, ListingsContract, RejectsContract
from xianyu.items import Listing
from xianyu.parsing import Reject
from xianyu.spiders.xianyu_file import XianyuFile

from tests.live import PROJECT


def scrapy_check(project: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "scrapy", "check"], cwd=project, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_contracts_hold() -> None:
    checked = scrapy_check(PROJECT / "crawler")

    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr
    assert "Ran 9 contracts" in checked.stderr
    assert checked.stderr.endswith("\nOK\n")


def test_a_damaged_sample_breaks_them(tmp_path: Path) -> None:
    project = tmp_path / "elsewhere"
    shutil.copytree(PROJECT / "crawler", project, ignore=shutil.ignore_patterns("data", "__pycache__", ".venv"))
    search, detail = project / "samples" / "search.json", project / "samples" / "detail.json"
    search.write_text(search.read_text("utf-8").replace('"title": "尼康', '"name": "尼康'), "utf-8")
    detail.write_text(detail.read_text("utf-8").replace('"soldPrice"', '"price"'), "utf-8")

    checked = scrapy_check(project)

    assert checked.returncode == 1
    failures = [line for line in checked.stderr.splitlines() if line.startswith(("FAIL: ", "ERROR: ", "scrapy."))]
    # The spiders are checked at the same time, so their order is undefined.
    assert sorted(zip(failures[::2], failures[1::2], strict=True)) == [
        ("FAIL: [xianyu_detail] parse (@fields post-hook)", "scrapy.exceptions.ContractFail: nothing in price_fen"),
        ("FAIL: [xianyu_search] parse (@listings post-hook)", "scrapy.exceptions.ContractFail: 7 listings, not 8"),
        ("FAIL: [xianyu_search] parse (@rejects post-hook)", "scrapy.exceptions.ContractFail: 3 rejects, not 2"),
    ]


def listing(**fields: Any) -> Listing:
    return Listing(item_id="1", url="u", title="t", fetched_at="f", run_id="r", **fields)


@pytest.mark.parametrize(
    ("contract", "arguments", "output", "complaint"),
    [
        (ListingsContract, ("2",), [listing(), listing(), Reject(None, "gone", "ret")], None),
        (ListingsContract, ("1", "3"), [listing(), listing()], None),
        (ListingsContract, ("3", "4"), [listing(), listing()], "2 listings, not 3 to 4"),
        (ListingsContract, ("1",), [listing(), listing()], "2 listings, not 1"),
        (RejectsContract, ("1",), [listing(), Reject(None, "gone", "ret")], None),
        (RejectsContract, ("0",), [Reject(None, "gone", "ret")], "1 rejects, not 0"),
        (FieldsContract, ("price_fen", "flags"), [listing(price_fen=0, flags=["sold"]), Reject(None, "", "")], None),
        (
            FieldsContract,
            ("area", "price_raw"),
            [listing(area="上海"), listing(price_raw="5")],
            "nothing in area, price_raw",
        ),
    ],
)
def test_what_a_contract_demands(
    contract: Any, arguments: tuple[str, ...], output: list[Any], complaint: str | None
) -> None:
    checked = contract(XianyuFile().parse, *arguments)

    if complaint is None:
        checked.post_process(output)
    else:
        with pytest.raises(ContractFail) as raised:
            checked.post_process(output)
        assert str(raised.value) == complaint
