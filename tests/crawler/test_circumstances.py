"""What a command line meets on real machines: full disks, closed pipes, odd names, other users, lost terminals.

Each is a line, an exit code, a manifest that is finished, and nothing lost.
"""

import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scrapy.utils.test import get_crawler
from xianyu.console import say, shown
from xianyu.outcomes import Outcome
from xianyu.runner import main
from xianyu.state import STATES, State
from xianyu.stopping import result_of, stop

from tests.crawler.test_runner import Ended, copied, data, end, environment, many, run, run_python
from tests.live import PROJECT
from tests.money.sandbox_server import eventually
from tests.processes import ForkedPython

__all__ = ["data", "environment"]  # fixtures

HAN = "数据"


def manifests(data: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(data.glob("runs/*/manifest.json"))]


# File names


def test_names_that_are_no_utf8(data: Path, tmp_path: Path) -> None:
    """It was a traceback, and a manifest that stayed `running`."""
    good, broken = (tmp_path / os.fsdecode(b"\xb2\xe2\xca\xd4" + end) for end in (b".json", b"-2.json"))
    shutil.copy(copied(tmp_path), good)
    broken.write_text("[]")
    found = run(data, "run", "xianyu_file", good, broken)
    detail = r"\xb2\xe2\xca\xd4-2.json: an empty list"
    assert (found.code, found.complaints) == (4, f"crawler: partial: {detail}\n")
    assert (found.summary["listings"], found.summary["detail"]) == ("8", detail)
    (manifest,) = manifests(data)
    assert (manifest["outcome"], manifest["detail"]) == ("partial", detail)
    (rejects,) = data.glob("runs/*/rejects.jsonl")
    places = {json.loads(line)["place"].split()[0] for line in rejects.read_bytes().splitlines()}
    assert places == {r"\xb2\xe2\xca\xd4.json"}
    (log,) = data.glob("logs/*.log")
    assert f"Not complete: {detail}" in log.read_text("utf-8")


def test_a_data_folder_whose_name_is_no_utf8(tmp_path: Path) -> None:
    data = tmp_path / os.fsdecode(b"\xff")
    found = run(data, "run", "xianyu_file", copied(tmp_path))
    assert (found.code, found.complaints) == (0, "")
    assert found.summary["manifest"].startswith(f"{tmp_path}/\\xff/runs/")
    assert manifests(data)[0]["outcome"] == "finished"
    missing = run(data, "run", "xianyu_file", tmp_path / os.fsdecode(b"\xfe"))
    why = f"no such file: {tmp_path}/\\xfe"
    assert (missing.code, missing.complaints) == (2, f"crawler: configuration: {why}\n")
    assert missing.summary["detail"] == why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("手机 a", "手机 a"),
        (os.fsdecode(b"\xffa\x80"), r"\xffa\x80"),
        ("\ud83d", r"\ud83d"),
    ],
)
def test_what_is_shown_of_a_name(text: str, expected: str) -> None:
    assert shown(text) == expected
    shown(text).encode("utf-8")


# Standard output


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes a file descriptor the standard output, with an encoding."""
    opened: list[io.TextIOWrapper] = []

    def become(descriptor: int, encoding: str = "utf-8") -> None:
        opened.append(io.TextIOWrapper(open(descriptor, "wb"), encoding=encoding, errors="strict"))  # noqa: SIM115 -- closed below
        monkeypatch.setattr(sys, "stdout", opened[-1])

    yield become
    for file in opened:
        file.close()


def unread_pipe() -> int:
    """A pipe whose reader has gone, as `head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.fixture
def once_run(data: Path, tmp_path: Path) -> Path:
    assert run(data, "run", "xianyu_file", copied(tmp_path)).code == 0
    return data


def test_nobody_reads(
    once_run: Path, output: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status | head` was a traceback."""
    for words, code in (["status"], 0), (["forgive"], 0), (["run", "xianyu_search", "none"], 2):
        output(unread_pipe())
        assert main([*words, "--data", str(once_run)]) == code
        assert "roken pipe" not in capsys.readouterr().err
    output(unread_pipe())
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    monkeypatch.setattr(sys, "stdout", None)  # `>&-`
    assert main(["status", "--data", str(once_run)]) == 0
    assert capsys.readouterr().err == ""


def test_nobody_reads_a_real_process(once_run: Path) -> None:
    """Python writes again when it ends, and its exit code was 120."""
    with subprocess.Popen(
        [sys.executable, "-m", "crawler", "status", "--data", str(once_run)],
        cwd=PROJECT,
        stdout=(pipe := unread_pipe()),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(pipe)
        assert process.communicate(timeout=60)[1] == ""
        assert process.returncode == 0


def test_standard_output_on_a_full_disk(
    once_run: Path, output: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    output(os.open("/dev/full", os.O_WRONLY))
    assert main(["status", "--data", str(once_run)]) == 1
    assert capsys.readouterr().err == "crawler: standard output: No space left on device\n"
    output(os.open("/dev/full", os.O_WRONLY))
    assert say("again") is False


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_an_ascii_terminal_and_a_path_in_han(
    tmp_path: Path, encoding: str, output: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    data = tmp_path / HAN
    output(writing, encoding)
    assert main(["status", "--data", str(data)]) == 0
    assert main(["run", "xianyu_search", "x", "--data", str(data)]) == 2
    with pytest.raises(SystemExit):
        main(["--help"])
    written = os.read(reading, 65536).decode(encoding)
    os.close(reading)
    assert written.startswith(f"{tmp_path}/\\u6570\\u636e: no run yet\n")
    assert r"\u95f2\u9c7c" in written
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_on_an_ascii_terminal(tmp_path: Path) -> None:
    data = tmp_path / HAN
    found = run_python(data, "run", "xianyu_file", copied(tmp_path), environ={"PYTHONIOENCODING": "ascii"})
    assert (found.code, found.complaints) == (0, "")
    assert found.printed.isascii()
    assert Path(found.summary["manifest"]).parent.parent == data / "runs"


# Signals


def reading_files(data: Path, folder: Path, number: signal.Signals, *, ignored: bool = False) -> Ended:
    """A run over many files, which is sent this signal after its first batch."""
    names = [many(folder, 500)]
    for copy in range(3):
        names.append(folder / f"{copy}.json")
        shutil.copy(names[0], names[-1])
    words = ["crawler", "run", "xianyu_file", *map(str, names), "--data", str(data)]
    code = (
        f"import runpy, signal, sys; sys.argv = {words!r};"
        f" {ignored} and signal.signal({int(number)}, signal.SIG_IGN); runpy.run_module('crawler', run_name='__main__')"
    )
    with ForkedPython(["-c", code], environ={"PATH": os.defpath, "XIANYU_BATCH": "100"}) as process:
        eventually(lambda: bool(list(data.glob("runs/*/items-*.jsonl"))), within_s=60, what="a batch")
        process.send_signal(number)
        return end(process)


def test_a_lost_terminal_stops_a_run_in_good_order(data: Path, tmp_path: Path) -> None:
    """Its exit code was 129, and its manifest stayed `running`."""
    found = reading_files(data, tmp_path, signal.SIGHUP)
    assert (found.code, found.complaints) == (4, "crawler: stopped: SIGHUP\n")
    (manifest,) = manifests(data)
    assert (manifest["outcome"], manifest["exit_code"], manifest["detail"]) == ("stopped", 4, "SIGHUP")
    assert manifest["finished_at"] is not None
    assert manifest["counts"]["listings"] == sum(batch["listings"] for batch in manifest["batches"]) >= 100


def test_under_nohup_a_lost_terminal_stops_nothing(data: Path, tmp_path: Path) -> None:
    found = reading_files(data, tmp_path, signal.SIGHUP, ignored=True)
    assert (found.code, found.complaints, found.summary["listings"]) == (0, "", "500")


# Full disks


def limited_to(size: int, data: Path, saved: Path) -> Ended:
    """A run in which no file can grow beyond `size` bytes."""
    words = ["crawler", "run", "xianyu_file", str(saved), "--data", str(data)]
    code = (
        f"import resource, runpy, sys; sys.argv = {words!r};"
        f" resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}));"
        " runpy.run_module('crawler', run_name='__main__')"
    )
    with ForkedPython(["-c", code], environ={"PATH": os.defpath, "XIANYU_BATCH": "100"}) as process:
        return end(process)


def test_a_full_disk_is_one_line_at_any_moment(data: Path, tmp_path: Path) -> None:
    """It was hundreds of lines: `logging` complained of each that it could not write."""
    saved = many(tmp_path, 120)
    for size in (700, 3_000, 33_000, 50_000):
        if size == 3_000:
            data.mkdir(exist_ok=True)
            State(data / "state.sqlite3").close()
        found = limited_to(size, data, saved)
        assert found.code == 1, (size, found)
        assert len(found.complaints.splitlines()) == 1, (size, found)
        assert found.summary["outcome"] == "fault", (size, found)
    whole = run(data, "run", "xianyu_file", saved)
    assert (whole.code, whole.complaints) == (0, "")
    written = [
        json.loads(line)["item_id"]
        for manifest in manifests(data)
        for batch in manifest["batches"]
        for line in (data / "runs" / manifest["run_id"] / batch["file"]).read_bytes().splitlines()
    ]
    assert sorted(set(written)) == [str(9_100_000_000_000 + number) for number in range(120)]
    assert {manifest["outcome"] for manifest in manifests(data)} <= {"fault", "killed", "finished"}
    assert list(data.rglob("*.part")) == []


def test_a_cooldown_that_cannot_be_recorded_is_no_secret(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block stays the outcome, and the crawl stops nevertheless."""

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    crawler = get_crawler()
    STATES[crawler] = state
    monkeypatch.setattr(state, "start_cooldown", full)
    stop(crawler, Outcome.BLOCKED, "RGV587", retry_after=60)
    found = result_of(crawler)
    assert (found.outcome, found.faults) == (
        Outcome.BLOCKED,
        ["the cool-down cannot be recorded: database or disk is full"],
    )
    assert found.unrecorded_wait is not None
    assert found.unrecorded_wait.total_seconds() == 60


# Files of another user


def test_folders_of_another_user(data: Path, tmp_path: Path, once_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root no folder is closed to us, so what the system says of others is told to the program."""
    closed = {data / "runs"}
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) not in closed)
    before = manifests(once_run)
    assert main(["run", "xianyu_file", str(copied(tmp_path)), "--data", str(data)]) == 2
    assert manifests(data) == before


def test_files_that_may_not_be_read(
    once_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Path.read_bytes
    (run_folder,) = (once_run / "runs").iterdir()

    def read_bytes(path: Path) -> bytes:
        if path.parent == run_folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert main(["status", "--data", str(once_run)]) == 0
    assert f"{run_folder.name:<40} cannot be read (Permission denied)" in capsys.readouterr().out
    assert main(["run", "xianyu_file", str(copied(tmp_path)), "--data", str(once_run)]) == 2
    assert capsys.readouterr().err == f"crawler: [Errno 13] Permission denied: '{run_folder}/manifest.json'\n"
