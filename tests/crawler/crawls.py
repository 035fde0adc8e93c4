"""Whole crawls as cron starts them, with hardly any environment, and what they write to the data folder."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ahocorasick_rs import BytesAhoCorasick

from tests.crawler.goofish.generated_market import Market
from tests.crawler.goofish.process import Site
from tests.live import PROJECT
from tests.money.sandbox_server import eventually
from tests.processes import ForkedPython

_AT_MOST_S = 60

Process = ForkedPython | subprocess.Popen[str]
"""A running crawler."""


@dataclass(frozen=True)
class Crawl:
    """A run that has ended."""

    code: int
    printed: str
    complaints: str
    folder: Path | None
    """The folder of the run in `runs/`; None if it made none."""
    requests: list[dict[str, Any]]
    """What the site recorded during the run."""
    started: datetime
    ended: datetime

    @property
    def asked(self) -> list[tuple[str, int, str]]:
        """Keyword or item id, page and answer of each request of the API."""
        of_api = [request for request in self.requests if "subject" in request]
        return [(request["subject"], request["page"], request["answer"]) for request in of_api]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest, parsed."""
        assert self.folder is not None, self.complaints
        found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())
        return found

    @property
    def outcome(self) -> str:
        """The outcome in the manifest."""
        return str(self.manifest["outcome"])

    @cached_property
    def listings(self) -> list[dict[str, Any]]:
        """All lines of the batches that the manifest names."""
        assert self.folder is not None
        return lines_of(self.folder)

    @cached_property
    def rejects(self) -> list[dict[str, Any]]:
        """All lines of the file of rejects."""
        named = self.manifest["rejects"]
        if named is None:
            return []
        assert self.folder is not None
        lines = (self.folder / named["file"]).read_bytes().splitlines()
        assert len(lines) == named["rows"]
        return [json.loads(line) for line in lines]


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The listings of a run's finished batches; each batch must be just what the manifest says."""
    listings = []
    for batch in json.loads((folder / "manifest.json").read_bytes())["batches"]:
        content = (folder / batch["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (batch["bytes"], batch["sha256"])
        lines = content.splitlines()
        assert len(lines) == batch["listings"]
        listings += [json.loads(line) for line in lines]
    return listings


@dataclass(frozen=True)
class Operator:
    """Runs the crawler with one data folder and against one site."""

    site: Site
    data: Path
    forked: bool = True
    """Fork the runs from a process that has imported Scrapy, instead of starting `python -m crawler`."""

    def targets(self, *keywords: str) -> Path:
        """A file of targets. In a keyword, a tab may separate a label."""
        path = self.data.parent / f"{self.data.name}-targets.txt"
        path.write_text("".join(f"{keyword}\n" for keyword in keywords), "utf-8")
        return path

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """What cron sets, and the `XIANYU_` variables; those in `variables` are named without that prefix."""
        chosen = {
            "LIVE": "yes",
            "CONTACT": "https://example.org/crawler",
            "BASE_URL": self.site.url,
            "DATA": str(self.data),
            "DELAY": "0",
            **variables,
        }
        return {
            "PATH": os.defpath,
            "HOME": str(self.data.parent),
            "SHELL": "/bin/sh",
            **{f"XIANYU_{name}": value for name, value in chosen.items()},
        }

    def start(self, *keywords: str, spider: str = "xianyu_search", **variables: str) -> Process:
        """Start a run, without waiting for its end."""
        arguments = ["-m", "crawler", "run", spider, str(self.targets(*keywords))]
        environ = self.environment(variables)
        if self.forked:
            return ForkedPython(arguments, environ=environ)
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def crawl(self, *keywords: str, spider: str = "xianyu_search", **variables: str) -> Crawl:
        """Run the crawler to its end."""
        with self.running(*keywords, spider=spider, **variables) as run:
            return run.wait()

    @contextmanager
    def running(self, *keywords: str, spider: str = "xianyu_search", **variables: str) -> "Iterator[Running]":
        """A run under way. It is killed if it has not ended at the end of the block."""
        before = self.runs()
        recorded = self.site.recorded()
        started = datetime.now(UTC)
        with self.start(*keywords, spider=spider, **variables) as process:
            try:
                yield Running(self, process, before, recorded, started)
            finally:
                process.kill()

    def runs(self) -> set[Path]:
        """The folders of all runs so far."""
        folder = self.data / "runs"
        return set(folder.iterdir()) if folder.exists() else set()


@dataclass(frozen=True)
class Running:
    """A run under way."""

    operator: Operator
    process: Process
    before: set[Path]
    recorded: int
    started: datetime

    def requests(self) -> list[dict[str, Any]]:
        """What the site recorded since it began."""
        return self.operator.site.requests(self.recorded)

    def wait_for_pages(self, pages: int) -> None:
        """Wait until the site has answered so many complete pages."""
        eventually(lambda: self._running() and self.pages() >= pages, within_s=_AT_MOST_S, what=f"page {pages}")

    def pages(self) -> int:
        """How many complete pages the site has answered."""
        return sum(request["answer"] == "page" for request in self.requests())

    def folders(self) -> set[Path]:
        """Its folder, once it has one."""
        return self.operator.runs() - self.before

    def logs(self) -> list[Path]:
        """Its log, once it has one."""
        paths = [self.operator.data / "logs" / f"{folder.name}.log" for folder in self.folders()]
        return [path for path in paths if path.exists()]

    def _running(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        return True

    def wait(self) -> Crawl:
        """Wait for its end."""
        printed, complaints = self.process.communicate(timeout=_AT_MOST_S)
        new = self.folders()
        assert len(new) <= 1, new
        return Crawl(
            code=self.process.returncode,
            printed=printed,
            complaints=complaints,
            folder=new.pop() if new else None,
            requests=self.requests(),
            started=self.started,
            ended=datetime.now(UTC),
        )


def expected_listings(*markets: Market, numbers: Iterable[int] | None = None) -> dict[str, dict[str, Any]]:
    """The listings of these markets' goods by item id: of all goods, or of those with these numbers."""
    if numbers is None:
        return {item_id: fields for market in markets for item_id, fields in market.listings().items()}
    wanted = list(numbers)
    return {
        market.item_id(number): market.good(number).listing(market.keyword) for market in markets for number in wanted
    }


def found_listings(crawl: Crawl) -> dict[str, dict[str, Any]]:
    """All listings of a crawl by item id, each only once. The fields that depend on the run are checked and removed."""
    found = {}
    for line in crawl.listings:
        listing = dict(line)
        assert listing.pop("run_id") == crawl.manifest["run_id"]
        fetched_at = datetime.fromisoformat(listing.pop("fetched_at"))
        assert crawl.started.replace(microsecond=0) <= fetched_at <= crawl.ended
        assert listing.pop("category") is None
        found[listing["item_id"]] = listing
    assert len(found) == len(crawl.listings)
    return found


_SECRETS = re.compile(rb"_m_h5_tk=|sign=[0-9a-f]")


def personal_data(folder: Path, *markets: Market) -> list[str]:
    """Personal data of the markets' sellers, tokens and signatures in any file below `folder`."""
    people = [text for market in markets for good in market.goods() for text in good.seller.personal_data]
    automaton = BytesAhoCorasick([text.encode() for text in people])
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found |= {people[number] for number, _, _ in automaton.find_matches_as_indexes(content)}
            found |= {secret.decode() for secret in _SECRETS.findall(content)}
    return sorted(found)
