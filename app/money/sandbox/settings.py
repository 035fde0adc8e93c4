"""The sandbox's settings; no other module of it reads the environment."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from . import DEFAULT_APP_ID, DEFAULT_SELLER_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """The sandbox's settings: `store` is the SQLite file, `keys` the directory that `keys.create_keys` filled.

    `notify_factor` scales Alipay's waits between repeated notifications: with 0.01 the first wait, 4 minutes, becomes
    2.4 seconds. With `bills_at_once` the bill of a day can be downloaded during the day, not only on the next morning.
    """

    store: Path
    keys: Path
    host: str = "127.0.0.1"
    port: int = 8001
    app_id: str = DEFAULT_APP_ID
    seller_id: str = DEFAULT_SELLER_ID
    notify_factor: float = 1.0
    notify_timeout_s: float = 10.0
    bills_at_once: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"GATEWAY_PORT must be 0 to 65535, not {self.port}")
        if not (math.isfinite(self.notify_factor) and self.notify_factor > 0):
            raise ValueError(f"SANDBOX_NOTIFY_FACTOR must be above 0, not {self.notify_factor}")
        if not (math.isfinite(self.notify_timeout_s) and self.notify_timeout_s > 0):
            raise ValueError(f"SANDBOX_NOTIFY_TIMEOUT must be above 0, not {self.notify_timeout_s}")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "SandboxSettings":
        """The settings in the environment; ValueError names the variable that is missing or wrong."""
        given: dict[str, Any] = {}
        for field, (variable, read) in _VARIABLES.items():
            text = environment.get(variable, "")
            if not text:
                continue
            try:
                given[field] = read(text)
            except ValueError as error:
                raise ValueError(f"{variable} is not valid: {text!r}") from error
        for field in ("store", "keys"):
            if field not in given:
                raise ValueError(f"{_VARIABLES[field][0]} is not set")
        settings = cls(**given)
        if not (_is_loopback(settings.host) or environment.get("SALTFISH_ENV")):
            raise ValueError(f"GATEWAY_HOST={settings.host} lets other machines in, and SALTFISH_ENV is not set")
        return settings

    def to_environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads back as these settings."""
        return {variable: str(getattr(self, field)) for field, (variable, _) in _VARIABLES.items()}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _flag(text: str) -> bool:
    if text not in ("0", "1", "False", "True"):
        raise ValueError(text)
    return text in ("1", "True")


_VARIABLES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "store": ("SANDBOX_STORE", Path),
    "keys": ("SANDBOX_KEYS", Path),
    "host": ("GATEWAY_HOST", str),
    "port": ("GATEWAY_PORT", int),
    "app_id": ("ALIPAY_APP_ID", str),
    "seller_id": ("ALIPAY_SELLER_ID", str),
    "notify_factor": ("SANDBOX_NOTIFY_FACTOR", float),
    "notify_timeout_s": ("SANDBOX_NOTIFY_TIMEOUT", float),
    "bills_at_once": ("SANDBOX_BILLS_AT_ONCE", _flag),
}
