"""Which folders of runs are deleted: old ones, of which everything was imported."""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from xianyu.lock import exclusive_lock
from xianyu.retention import Pruned, prune
from xianyu.runner import main

from tests.crawler.test_runner import copied, data, environment, run

__all__ = ["data", "environment"]  # fixtures

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)


def make_run(runs: Path, days_ago: float, **changes: Any) -> str:
    """The folder of a run that began so long ago, with one batch, which was imported unless `imported` says else."""
    began = NOW - timedelta(days=days_ago)
    run_id = f"{began:%Y%m%dT%H%M%SZ}-xianyu_search-0a1b"
    folder = runs / run_id
    folder.mkdir(parents=True)
    batches = changes.pop("batches", ["aa"])
    imported: Mapping[str, Any] | None = changes.pop("imported", {"batches": batches})
    manifest = {
        "outcome": "finished",
        "batches": [{"file": f"items-{number}.jsonl", "sha256": digest} for number, digest in enumerate(batches)],
        "rejects": None,
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "pictures").mkdir()
    (folder / "pictures" / "1.jpg").write_bytes(b"x")
    if imported is not None:
        (folder / "imported.json").write_text(json.dumps(imported))
    return run_id


def left(runs: Path) -> set[str]:
    return {path.name for path in runs.iterdir()}


def test_by_age(runs: Path) -> None:
    old, exact, young = (make_run(runs, days) for days in (30.1, 30, 29.9))
    assert prune(runs, now=NOW, days=30, count=0) == Pruned(deleted=(old,), not_imported=(), failed=())
    assert left(runs) == {exact, young}


def test_by_number(runs: Path) -> None:
    oldest, *others = (make_run(runs, days) for days in (4, 3, 2, 1))
    assert prune(runs, now=NOW, days=0, count=3).deleted == (oldest,)
    assert left(runs) == set(others)
    assert prune(runs, now=NOW, days=0, count=9).deleted == ()
    assert prune(runs, now=NOW, days=0, count=1).deleted == tuple(others[:2])


def test_by_both_and_by_none(runs: Path) -> None:
    ids = [make_run(runs, days) for days in (400, 100, 2, 1)]
    assert prune(runs, now=NOW, days=0, count=0) == Pruned(deleted=(), not_imported=(), failed=())
    assert prune(runs, now=NOW, days=30, count=1).deleted == tuple(ids[:3])
    assert left(runs) == {ids[3]}


def test_what_was_not_imported_stays(runs: Path) -> None:
    stays = {
        make_run(runs, 100, imported=None),
        make_run(runs, 101, batches=["aa", "bb"], imported={"batches": ["aa"]}),  # before the run was over
        make_run(runs, 102, batches=[], rejects={"file": "rejects.jsonl", "rows": 1}, imported=None),
    }
    unclear = {
        make_run(runs, 103, outcome="running"),
        make_run(runs, 104, imported={"batches": 5}),
        make_run(runs, 105, imported={}),
    }
    without = make_run(runs, 106)
    (runs / without / "manifest.json").unlink()
    (runs / "mine").mkdir()
    (runs / "20200101T000000Z-xianyu_file-0a1b").symlink_to(runs / "mine")
    before = left(runs)
    found = prune(runs, now=NOW, days=30, count=0)
    assert (found.deleted, set(found.not_imported), found.failed) == ((), stays, ())
    assert left(runs) == before >= unclear


def test_a_run_that_brought_nothing_need_not_be_imported(runs: Path) -> None:
    nothing = make_run(runs, 100, outcome="blocked", batches=[], imported=None)
    killed = make_run(runs, 101, outcome="killed")
    assert prune(runs, now=NOW, days=30, count=0).deleted == (killed, nothing)
    assert left(runs) == set()


def test_a_dry_run_deletes_nothing(runs: Path) -> None:
    old = make_run(runs, 100)
    (runs / f"deleted-{old}").mkdir()
    assert prune(runs, now=NOW, days=30, count=0, dry_run=True).deleted == (old,)
    assert left(runs) == {old, f"deleted-{old}"}


def test_a_deletion_that_was_killed_is_completed(runs: Path) -> None:
    half = runs / "deleted-20260101T000000Z-xianyu_file-0a1b" / "pictures"
    half.mkdir(parents=True)
    prune(runs, now=NOW, days=0, count=0)
    assert left(runs) == set()


def test_a_folder_that_cannot_be_deleted_is_said_and_the_others_are(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (make_run(runs, days) for days in (101, 100))
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name == first:
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    found = prune(runs, now=NOW, days=30, count=0)
    assert found == Pruned(deleted=(second,), not_imported=(), failed=(f"{first}: Permission denied",))
    assert left(runs) == {first}


def test_the_command(data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--data", str(data)]) == 0
    assert capsys.readouterr().out == f"{data}: no run yet\n"
    assert not data.exists()
    runs = data / "runs"
    ids = [make_run(runs, days, **more) for days, more in ((500, {}), (400, {"imported": None}), (0, {}))]
    monkeypatch.setenv("XIANYU_RUN_DAYS", "30")
    stay = "; 1 more are old, and stay as they were not imported"
    assert main(["prune", "--dry-run", "--data", str(data)]) == 0
    assert capsys.readouterr().out == f"{ids[0]}\n1 runs would be deleted{stay}\n"
    assert left(runs) == set(ids)
    with exclusive_lock(data / "lock", "a run"):
        assert main(["prune", "--data", str(data)]) == 75
    capsys.readouterr()
    assert main(["prune", "--data", str(data)]) == 0
    assert capsys.readouterr().out == f"{ids[0]}\n1 runs were deleted{stay}\n"
    assert left(runs) == set(ids[1:])


def test_a_run_deletes_old_ones_and_knows_their_listings_still(data: Path, tmp_path: Path) -> None:
    first = run(data, "run", "xianyu_file", copied(tmp_path))
    old = Path(first.summary["manifest"]).parent
    ancient = old.rename(old.with_name(f"20200101T000000Z-xianyu_file-{old.name[-4:]}"))
    kept = shutil.copytree(ancient, ancient.with_name("20200102T000000Z-xianyu_file-0a1b"))
    batches = [batch["sha256"] for batch in json.loads((ancient / "manifest.json").read_bytes())["batches"]]
    (ancient / "imported.json").write_text(json.dumps({"batches": batches}))
    again = run(data, "run", "xianyu_file", copied(tmp_path))
    assert (again.code, again.summary["listings"], again.summary["unchanged"]) == (0, "0", "8")
    assert left(data / "runs") == {kept.name, again.summary["run_id"]}
    log = (data / "logs" / f"{again.summary['run_id']}.log").read_text("utf-8")
    assert f"1 old runs were deleted: {ancient.name}" in log
    assert "1 old runs stay, as they were not imported" in log
