"""Feeds as crawlers write them, made by hand."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BEGAN = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


def listing(number: int, *, run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
    """A line as `crawler/xianyu/items.py` describes it: a phone for 2,588 yuan, seen when the run began."""
    line = {
        "source": "xianyu",
        "item_id": str(number),
        "url": f"https://www.goofish.com/item?id={number}",
        "title": "自用 iPhone 13 128G 国行 无拆修",
        "description": "自用 iPhone 13 128G 国行 无拆修\n电池效率92,送壳膜",
        "price_fen": 258800,
        "price_raw": "¥2588",
        "price_status": "ok",
        "orig_price_fen": 599900,
        "area": "上海",
        "category_id": "1512",
        "want_count": 3,
        "published_at": "2026-10-30T08:00:00+00:00",
        "fetched_at": BEGAN.isoformat(),
        "keyword": "iphone 13",
        "category": "手机",
        "flags": [],
        "pictures": [],
        "run_id": run_id,
    }
    return line | changes


def at(minutes: int) -> str:
    """A moment so many minutes after BEGAN."""
    return (BEGAN + timedelta(minutes=minutes)).isoformat()


@dataclass
class Feed:
    """A run's folder: `manifest.json` and the batches that were added."""

    folder: Path
    run_id: str = "run-1"
    started_at: datetime = BEGAN
    outcome: str = "finished"
    batches: list[dict[str, Any]] = field(default_factory=list)
    rejects: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def manifest(self) -> Path:
        """Where the manifest lies."""
        return self.folder / "manifest.json"

    def add(self, lines: Sequence[dict[str, Any] | bytes]) -> Path:
        """Add a batch of lines; returns its file."""
        texts = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
        content = b"".join(text + b"\n" for text in texts)
        path = self.folder / f"items-{len(self.batches) + 1:05d}.jsonl"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.batches.append({"file": path.name, "listings": len(lines), "bytes": len(content), "sha256": digest})
        self.write()
        return path

    def add_gone(self, *item_ids: int, minutes: int = 0) -> None:
        """Items that do not exist any more, as the crawler saw so many minutes after BEGAN."""
        rows = [
            {"reason": "gone", "place": "saved.har ret", "item_id": str(item_id), "fetched_at": at(minutes)}
            for item_id in item_ids
        ]
        (self.folder / "rejects.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        self.rejects = {"file": "rejects.jsonl", "rows": len(rows)}
        self.write()

    def write(self, **changes: Any) -> Path:
        """Write the manifest, some fields of it changed; returns where it lies."""
        running = self.outcome == "running"
        manifest = {
            "format": "saltfish-listings",
            "version": 1,
            "source": "xianyu",
            "run_id": self.run_id,
            "spider": "xianyu_file",
            "crawler": "1.0.0",
            "started_at": self.started_at.isoformat(),
            "finished_at": None if running else (self.started_at + timedelta(minutes=5)).isoformat(),
            "outcome": self.outcome,
            "exit_code": None if running else 0,
            "detail": "",
            "counts": {"requests": 7, "pages": 7, "listings": 20, "unchanged": 0, "duplicates": 0, "rejected": 0},
            "batches": self.batches,
            "rejects": self.rejects,
        }
        self.manifest.write_text(json.dumps(manifest | changes), "utf-8")
        return self.manifest


def feed_of(folder: Path, lines: Sequence[dict[str, Any]], **columns: Any) -> Feed:
    """A run that brought `lines`, which get its number."""
    feed = Feed(folder, **columns)
    feed.add([line | {"run_id": feed.run_id} for line in lines])
    return feed
