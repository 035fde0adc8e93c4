"""The stand-in as a process of its own, for tests and benchmarks: start it, set it up, read what it recorded."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tests.crawler.goofish.faults import Fault, Robots
from tests.crawler.goofish.generated_market import Market

_PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Site:
    """A running stand-in."""

    port: int
    record: Path

    @classmethod
    @contextmanager
    def start(cls, folder: Path, *, token_seconds: float = 3600.0) -> Iterator[Self]:
        """A stand-in on a free port until the block is left; what it records goes into `folder`."""
        record = folder / "requests.jsonl"
        record.touch()
        command = [sys.executable, "-m", "tests.crawler.goofish", "--record", str(record)]
        command += ["--token-seconds", str(token_seconds)]
        with subprocess.Popen(command, cwd=_PROJECT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                words = process.stdout.readline().split()
                if words[:2] != ["listening", "on"]:
                    raise RuntimeError(f"the stand-in did not start: {words}")
                yield cls(int(words[2]), record)
            finally:
                process.terminate()

    @property
    def url(self) -> str:
        """What XIANYU_BASE_URL is set to."""
        return f"http://127.0.0.1:{self.port}"

    def open(self, market: Market, *faults: Fault, pause: float = 0.0) -> Market:
        """Show this market, with these faults, from now on; `pause` seconds before each of its answers."""
        fields = asdict(market) | {"faults": [fault.to_json() for fault in faults], "pause": pause}
        self._tell("market", fields)
        return market

    def warm(self, market: Market) -> None:
        """Render all pages of an opened market now."""
        self._tell("warm", {"keyword": market.keyword})

    def robots(self, robots: Robots, *, seconds: float = 0.0) -> None:
        """Answer robots.txt like this from now on."""
        self._tell("robots", {"robots": robots, "seconds": seconds})

    def recorded(self) -> int:
        """How many bytes the record has: where `requests` may begin."""
        return self.record.stat().st_size

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """What was asked for, from this place in the record on."""
        with self.record.open("rb") as record:
            record.seek(since)
            return [json.loads(line) for line in record.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def _tell(self, what: str, fields: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("PUT", f"/stand-in/{what}", body=json.dumps(fields))
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"the stand-in answered {response.status}")
            response.read()
        finally:
            connection.close()
