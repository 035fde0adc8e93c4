"""The fake site as a process, for tests and benchmarks: start it, control it, and read which requests it recorded."""

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
    """A running fake site."""

    port: int
    record: Path

    @classmethod
    @contextmanager
    def start(cls, folder: Path, *, token_uses: int | None = None) -> Iterator[Self]:
        """Run a fake site on a free port during the block. It records requests in a file in `folder`.

        `token_uses` is for how many requests a token is valid; None for any number.
        """
        record = folder / "requests.jsonl"
        record.touch()
        command = [sys.executable, "-m", "tests.crawler.goofish", "--record", str(record)]
        if token_uses is not None:
            command += ["--token-uses", str(token_uses)]
        with subprocess.Popen(command, cwd=_PROJECT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                words = process.stdout.readline().split()
                if words[:2] != ["listening", "on"]:
                    raise RuntimeError(f"the fake site did not start: {words}")
                yield cls(int(words[2]), record)
            finally:
                process.terminate()

    @property
    def url(self) -> str:
        """The value for `XIANYU_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    def open(self, market: Market, *faults: Fault, pause: float = 0.0) -> Market:
        """Serve this market from now on, with these faults, and with `pause` seconds before each answer."""
        fields = asdict(market) | {"faults": [fault.to_json() for fault in faults], "pause": pause}
        self._control("market", fields)
        return market

    def warm(self, market: Market) -> None:
        """Render all pages of a market in advance."""
        self._control("warm", {"keyword": market.keyword})

    def robots(self, robots: Robots, *, seconds: float = 0.0, pause: float = 0.0) -> None:
        """Answer robots.txt so from now on: after `pause` seconds, or for `Robots.HANG`, not for `seconds`."""
        self._control("robots", {"robots": robots, "seconds": seconds, "pause": pause})

    def recorded(self) -> int:
        """The size of the record in bytes, for `requests(since=…)`."""
        return self.record.stat().st_size

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """The recorded requests, from this size of the record on."""
        with self.record.open("rb") as record:
            record.seek(since)
            return [json.loads(line) for line in record.read().splitlines(keepends=True) if line.endswith(b"\n")]

    def _control(self, what: str, fields: dict[str, Any]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("PUT", f"/control/{what}", body=json.dumps(fields))
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"the fake site answered {response.status}")
            response.read()
        finally:
            connection.close()
