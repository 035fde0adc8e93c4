"""Options of a run, read from the environment. `config.py` reads the application's own settings from it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config import is_loopback, reachable

from .errors import StartError

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Options:
    """How many processes to start, on which addresses, and the URLs of servers that run already."""

    instance: Path = PROJECT / "instance"
    host: str = "127.0.0.1"
    port: int = 8000
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8001
    web_workers: int = 2
    web_heartbeat_limit: int = 60  # seconds for which a web process may answer nothing
    workers: int = 2
    vision_workers: int = 1
    database_url: str = ""
    redis_url: str = ""
    gateway_url: str = ""
    environment: str = "development"
    environment_said: bool = False

    @property
    def runs_sandbox(self) -> bool:
        """Whether payments go to the sandbox gateway, which we then start."""
        return not self.gateway_url

    @property
    def base_url(self) -> str:
        """Where a browser on this machine finds the web server."""
        return f"http://{reachable(self.host)}:{self.port}"

    @property
    def sandbox_url(self) -> str:
        """Where a browser on this machine finds the sandbox gateway."""
        return f"http://{reachable(self.gateway_host)}:{self.gateway_port}"

    @property
    def open_to_others(self) -> str:
        """`HOST=…` and `GATEWAY_HOST=…`, those of them that other machines reach; empty where none is."""
        wanted = [("HOST", self.host)] + ([("GATEWAY_HOST", self.gateway_host)] if self.runs_sandbox else [])
        return " ".join(f"{variable}={host}" for variable, host in wanted if not is_loopback(host))

    def refuse_open_addresses(self) -> None:
        """Raise `StartError` where other machines would reach us though nobody has said what this is."""
        if self.open_to_others and not self.environment_said:
            raise StartError(
                f"{self.open_to_others} lets other machines in, and SALTFISH_ENV is not set: say "
                "SALTFISH_ENV=production (docs/going-live.md), or SALTFISH_ENV=development to show them the demo "
                "market, whose passwords are public"
            )

    def refuse_taken_ports(self) -> None:
        """Raise `StartError` naming the first address that cannot be listened on."""
        wanted = [("PORT", self.host, self.port)]
        if self.runs_sandbox:
            wanted.append(("GATEWAY_PORT", self.gateway_host, self.gateway_port))
        if len({(host, port) for _, host, port in wanted}) < len(wanted):
            raise StartError(f"PORT and GATEWAY_PORT are both {self.port}: set one of them to another port")
        for variable, host, port in wanted:
            _refuse_taken(variable, host, port)


def read_options(environ: Mapping[str, str]) -> Options:
    """The options in `environ`; empty variables count as unset. Raises `StartError` for a number that is none."""
    default = Options()

    def text(variable: str, otherwise: str = "") -> str:
        return environ.get(variable, "").strip() or otherwise

    def number(variable: str, otherwise: int, lowest: int, highest: int) -> int:
        raw = text(variable, str(otherwise))
        if not (raw.isascii() and raw.isdigit() and lowest <= int(raw) <= highest):
            raise StartError(f"{variable} must be a number from {lowest} to {highest}, not {raw!r}")
        return int(raw)

    return Options(
        instance=(PROJECT / text("INSTANCE_PATH", "instance")).resolve(),
        host=text("HOST", default.host),
        port=number("PORT", default.port, 1, 65535),
        gateway_host=text("GATEWAY_HOST", default.gateway_host),
        gateway_port=number("GATEWAY_PORT", default.gateway_port, 1, 65535),
        web_workers=number("WEB_WORKERS", default.web_workers, 1, 64),
        web_heartbeat_limit=number("WEB_HEARTBEAT_LIMIT", default.web_heartbeat_limit, 5, 86400),
        workers=number("WORKERS", default.workers, 1, 64),
        vision_workers=number("VISION_WORKERS", default.vision_workers, 1, 64),
        database_url=text("DATABASE_URL"),
        redis_url=text("REDIS_URL"),
        gateway_url=text("ALIPAY_GATEWAY_URL"),
        environment=text("SALTFISH_ENV", default.environment),
        environment_said=bool(text("SALTFISH_ENV")),
    )


def _refuse_taken(variable: str, host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise StartError(
            f"cannot listen on {host}:{port} ({error.strerror}): set {variable} to a free port, like "
            f"`{variable}={port + 100} make run`"
        ) from error
