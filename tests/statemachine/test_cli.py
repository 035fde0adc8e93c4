"""The command line: what it prints, where, and with which exit status."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from statemachine import GOOD, ORDER
from statemachine.__main__ import main
from statemachine.export import dot, json, mermaid, svg, table

ROOT = Path(__file__).parents[2]
Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *argv: str) -> str:
    """What is said about bad arguments: one line, exit status 2, nothing on standard output."""
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err.strip()


def test_the_kept_pictures_are_those_of_the_machines() -> None:
    """As CI checks: whoever changes a machine has to draw it again with `make diagrams`."""
    done = subprocess.run(
        [sys.executable, "-m", "statemachine", "diagram", "--all", "--check", "docs/states"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("machine", "fmt", "lang", "expected"),
    [
        ("order", "mermaid", "zh", mermaid.render(ORDER, "zh")),
        ("good", "dot", "en", dot.render(GOOD, "en")),
        ("order", "json", "en", json.render(ORDER, "en")),
        ("good", "svg", "zh", svg.render(GOOD, "zh")),
        (
            "good",
            "sql",
            "zh",
            "(good_status, deleted, taken_down) IN ((1,false,false),(2,false,false),(3,false,false),(4,false,false),"
            "(5,false,false),(1,true,false),(2,true,false),(4,true,false),(5,true,false),(1,false,true),(2,false,true),"
            "(3,false,true),(4,false,true),(5,false,true))\n",
        ),
    ],
)
def test_diagrams_go_to_standard_output(machine: str, fmt: str, lang: str, expected: str, capsys: Capture) -> None:
    assert main(["diagram", "--machine", machine, "--format", fmt, "--lang", lang]) == 0
    assert capsys.readouterr().out == expected


def test_a_diagram_is_written_checked_and_found_stale(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "deep" / "order.mmd"
    again = (
        f"draw it again: python -m statemachine diagram --lang zh --machine order --format mermaid --output {file}\n"
    )
    assert main(["diagram", "--check", str(file)]) == 1
    assert capsys.readouterr().err == f"{file} does not exist; {again}"
    assert not file.exists()
    assert main(["diagram", "--output", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == mermaid.render(ORDER, "zh")
    assert main(["diagram", "--check", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    file.write_text(file.read_text(encoding="utf-8").replace("发货", "寄货"), encoding="utf-8")
    before = file.read_bytes()
    assert main(["diagram", "--check", str(file)]) == 1
    assert capsys.readouterr().err == f"{file} differs from the machine; {again}"
    assert file.read_bytes() == before


def test_all_diagrams_are_written_and_checked_at_once(tmp_path: Path, capsys: Capture) -> None:
    assert main(["diagram", "--all", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.mmd", "good.svg", "order.mmd", "order.svg"]
    assert main(["diagram", "--all", "--check", str(tmp_path)]) == 0
    (tmp_path / "good.svg").unlink()
    assert main(["diagram", "--all", "--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path / 'good.svg'} does not exist; "
        f"draw it again: python -m statemachine diagram --lang zh --all {tmp_path}\n"
    )


def test_the_table_is_printed(capsys: Capture) -> None:
    assert main(["table", "--machine", "good", "--lang", "en"]) == 0
    assert capsys.readouterr().out == table.render(GOOD, "en")


@pytest.mark.parametrize(
    ("argv", "status", "answer"),
    [
        (["--state", "2,6", "--event", "ship", "--role", "buyer"], 1, "拒绝: 只有卖家可以发货"),
        (["--state", "2, 6", "--event", "ship", "--role", "seller"], 0, "允许: (2,6) → (2,7); 条件: 非当面交易"),
        (["--state", "1,6", "--event", "pay", "--role", "gateway", "--lang", "en"], 0, "allowed: (1,6) → (2,6)"),
        (
            ["--state", "4,9", "--event", "contest_return", "--role", "seller"],
            0,
            "允许: (4,9) → (4,9); 条件: 无争议",
        ),
        (
            ["--state", "1,6", "--closed", "--event", "pay", "--role", "gateway"],
            1,
            "拒绝: 订单当前为“未付款,已取消”,不能付款",
        ),
        (
            ["--state", "1,6,closed", "--event", "pay", "--role", "gateway"],
            1,
            "拒绝: 订单当前为“未付款,已取消”,不能付款",
        ),
        (
            ["--machine", "good", "--state", "4", "--closed", "--event", "edit", "--role", "owner"],
            1,
            "拒绝: 商品当前为“已删除”,不能编辑",
        ),
        (
            ["--machine", "good", "--state", "3", "--event", "edit", "--role", "owner", "--lang", "en"],
            1,
            "refused: cannot edit while the good is “in trade”",
        ),
    ],
)
def test_why_answers_and_tells_by_its_status(argv: list[str], status: int, answer: str, capsys: Capture) -> None:
    assert main(["why", *argv]) == status
    assert capsys.readouterr() == (answer + "\n", "")


def test_bad_arguments_are_said_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert refused(capsys) == "python -m statemachine: the following arguments are required: command"
    assert "invalid choice: 'png'" in refused(capsys, "diagram", "--format", "png")
    assert "invalid choice: 'fr'" in refused(capsys, "table", "--lang", "fr")
    assert "invalid choice: 'bid'" in refused(capsys, "why", "--machine", "bid")
    assert refused(capsys, "why", "--state", "2,6", "--event", "fly", "--role", "buyer").startswith(
        "python -m statemachine: the order has no event 'fly' (it has pay, cancel, "
    )
    assert refused(capsys, "why", "--state", "2,6", "--event", "pay", "--role", "king") == (
        "python -m statemachine: the order has no role 'king' (it has buyer, seller, system, gateway, staff)"
    )
    assert refused(capsys, "why", "--state", "5,6", "--event", "pay", "--role", "buyer").startswith(
        "python -m statemachine: the order has no state '5,6' (it has 1,6 1,6,closed 2,6 "
    )
    assert refused(capsys, "why", "--state", "2,6", "--closed", "--event", "pay", "--role", "buyer").startswith(
        "python -m statemachine: the order has no closed state '2,6' (it has "
    )
    file = str(tmp_path / "order.svg")
    assert refused(capsys, "diagram", "--output", file, "--check", file) == (
        "python -m statemachine: --output goes with neither --check nor --all"
    )
    assert (
        refused(capsys, "diagram", "--output", str(tmp_path)) == f"python -m statemachine: {tmp_path}: Is a directory"
    )


def test_it_runs_as_a_program(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    argv = ["statemachine", "why", "--state", "2,6", "--event", "ship", "--role", "buyer"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "statemachine" / "__main__.py"), run_name="__main__")
    assert stopped.value.code == 1
    assert capsys.readouterr() == ("拒绝: 只有卖家可以发货\n", "")
