"""Whole runs over saved answers, and the file of items for `xianyu_detail`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from xianyu.errors import ConfigurationError
from xianyu.spiders.xianyu_detail import read_items
from xianyu.spiders.xianyu_file import existing_files

from tests.live import PROJECT
from tests.processes import ForkedPython

SAMPLES: Final = PROJECT / "crawler" / "samples"
PERSONAL: Final = (b"SAMPLE-COOKIE", "示例卖家".encode(), b"2200000000000", b"U0FNUExF", b"sample_ricoh1", b"0013 8000")


def run(data: Path, *arguments: str | Path) -> tuple[int | None, str]:
    """Run `xianyu_file`. Returns the exit code and what it wrote to standard error."""
    words = ["-m", "crawler", "run", "xianyu_file", *map(str, arguments)]
    environ = {"PATH": os.defpath, "XIANYU_DATA": str(data)}
    with ForkedPython(words, environ=environ) as process:
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors


def manifest_of(data: Path) -> tuple[Path, dict[str, Any]]:
    """The folder and the manifest of the last run."""
    path = max(data.glob("runs/*/manifest.json"), key=lambda each: each.stat().st_mtime_ns)
    return path.parent, json.loads(path.read_bytes())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_readable_answers_are_kept_and_broken_ones_named(tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    (saved / "folder.json").mkdir(parents=True)
    sample = (SAMPLES / "search.json").read_text("utf-8")
    answers = saved / "b, list.json"
    answers.write_text(f"[{sample}, 5]", "utf-8")
    os.utime(answers, (1_790_000_000, 1_790_000_000))
    (saved / "c-cut.json").write_text(sample[:5000], "utf-8")
    (saved / "d-other.json").write_text('{"ret": ["SUCCESS"], "data": {"resultList": [{}]}}', "utf-8")
    (saved / "e-page.json").write_text("<!doctype html>", "utf-8")
    missing = saved / "missing.har"

    code, errors = run(data, "--category", "数码", SAMPLES / "search.har", answers, f"{saved}/[c-z]*.json", missing)

    assert code == 4, errors
    folder, manifest = manifest_of(data)
    assert (manifest["outcome"], manifest["exit_code"]) == ("partial", 4)
    assert manifest["counts"] == {
        "requests": 0,
        "pages": 4,
        "listings": 8,
        "unchanged": 0,
        "duplicates": 3,
        "recommended": 0,
        "rejected": 2,
        "left_out": 0,
    }
    assert json.loads((folder / "stats.json").read_bytes())["xianyu/broken"] == 6
    (log,) = (data / "logs").iterdir()
    assert re.findall(r"Not complete: (.*)", log.read_text("utf-8")) == [
        "b, list.json [1]: neither an answer of the search nor of the item detail",
        "c-cut.json: not JSON: damaged",
        "d-other.json: not one of 1 rows can be read; the first: no item",
        "e-page.json: not JSON: html",
        "folder.json: Is a directory",
        "missing.har: No such file or directory",
    ]
    (batch,) = manifest["batches"]
    found = {line["item_id"]: line for line in lines(folder / batch["file"])}
    assert {line["category"] for line in found.values()} == {"数码"}
    from_archive, from_list = found["9000000000001"], found["9000000000003"]
    assert (from_archive["keyword"], from_archive["fetched_at"]) == ("相机", "2026-09-21T11:02:12Z")
    assert (from_list["keyword"], from_list["fetched_at"]) == (None, "2026-09-21T14:13:20Z")
    assert lines(folder / "rejects.jsonl") == [
        {"reason": "no title", "place": "b, list.json [0] data.resultList[8]", "item_id": "9000000000009"},
        {"reason": "no item", "place": "b, list.json [0] data.resultList[9]", "item_id": None},
    ]
    everything = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert [trace for trace in PERSONAL if trace in everything] == []
    assert all(any(trace in path.read_bytes() for path in SAMPLES.iterdir()) for trace in PERSONAL)

    code, _ = run(data, "--category", "数码", answers.parent / "b*.json", SAMPLES / "detail.json")

    assert code == 4  # the list still has its broken element
    counts = manifest_of(data)[1]["counts"]
    assert (counts["listings"], counts["unchanged"], counts["duplicates"]) == (0, 8, 1)


def test_the_time_of_a_fast_clock_is_replaced_by_the_present(tmp_path: Path) -> None:
    answer = tmp_path / "search.json"
    answer.write_bytes((SAMPLES / "search.json").read_bytes())
    os.utime(answer, (4_000_000_000, 4_000_000_000))

    code, _ = run(tmp_path / "data", answer)

    assert code == 0
    folder, manifest = manifest_of(tmp_path / "data")
    (batch,) = manifest["batches"]
    assert manifest["started_at"] <= lines(folder / batch["file"])[0]["fetched_at"] <= manifest["finished_at"]


def test_only_answers_of_another_schema_end_as_schema_changed(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"ret": ["SUCCESS"], "data": {"resultList": [{}, {}]}}', "utf-8")

    code, _ = run(tmp_path / "data", other)

    assert code == 5
    _, manifest = manifest_of(tmp_path / "data")
    assert (manifest["outcome"], manifest["batches"]) == ("schema_changed", [])
    assert manifest["detail"] == "other.json: not one of 2 rows can be read; the first: no item"


def test_without_any_file_the_configuration_is_wrong(tmp_path: Path) -> None:
    code, errors = run(tmp_path / "data", tmp_path / "a.json", f"{tmp_path}/*.har")

    assert code == 2
    assert manifest_of(tmp_path / "data")[1]["outcome"] == "configuration"
    assert f"no such file: {tmp_path}/a.json, {tmp_path}/*.har" in errors


def test_files_are_paths_patterns_or_a_list_with_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "b.json", "c,d.json", "e[1].json"):
        (tmp_path / name).touch()

    def names(*given: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in existing_files(given)]

    assert names("b.json,a.json") == ["b.json", "a.json"]
    assert names("c,d.json", "a.json") == ["c,d.json", "a.json"]
    assert names("e[1].json") == ["e[1].json"]
    assert names("*.json") == ["a.json", "b.json", "c,d.json", "e[1].json"]
    assert names("b.json", str(tmp_path / "*.json"))[:2] == ["b.json", "a.json"]
    assert names(" a.json , ,*.har") == ["a.json", "*.har"]
    assert names("a.json", "x" * 300) == ["a.json", "x" * 300]
    for nothing in ([], [""], [","], ["*.har"], ["x" * 300]):
        with pytest.raises(ConfigurationError):
            existing_files(nothing)


def test_the_file_of_single_items(tmp_path: Path) -> None:
    path = tmp_path / "items.txt"
    path.write_bytes(
        "\ufeff# mine\r\n\r\n 900123 \r\nhttps://www.goofish.com/item?spm=1&id=900124&categoryId=0\n900123\n".encode()
    )

    assert read_items(path) == ["900123", "900124"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no item in it; write one number on a line"),
        (b"# none\n", "no item in it; write one number on a line"),
        ("1\n９００\nx\n2 3\n-4\n".encode(), "no item's number in line 2, 3, 4, 5"),
        (b"\xff\xfe1\n", "not UTF-8"),
        (None, "No such file or directory"),
    ],
)
def test_an_invalid_file_of_items(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    path = tmp_path / "items.txt"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigurationError) as raised:
        read_items(path)

    assert str(raised.value).endswith(f": {complaint}")
    assert str(path) in str(raised.value)


def test_without_xianyu_live_no_item_is_requested(tmp_path: Path) -> None:
    items = tmp_path / "items.txt"
    items.write_text("900123\n", "utf-8")

    ended = subprocess.run(
        [sys.executable, "-m", "scrapy", "crawl", "xianyu_detail", "-a", f"items={items}", "-s", "STATS_DUMP=1"],
        cwd=PROJECT / "crawler",
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "Stopping: configuration (XIANYU_LIVE is not yes)" in ended.stderr
    assert "downloader/request_count" not in ended.stderr
    assert "'finish_reason'" in ended.stderr
