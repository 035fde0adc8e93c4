"""The manifest of a backup: what it holds, of which version, and which keys it takes to go on with it."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from app.backup.files import UnusableFolder, create
from app.settings import settings
from config import Settings, variable_of

MANIFEST: Final = "manifest.json"
FORMAT: Final = "saltfish-backup/1"

_KEYS: Final = ("_secret", "_token", "_password", "_key_path", "_cert_path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What stands in `manifest.json`.

    `began_at` is a moment (ISO 8601, UTC) before the database's snapshot: whatever was acknowledged earlier is in the
    backup. `rows` counts each table of that snapshot. `keys` are settings and where their values were, never what they
    were.
    """

    format: str
    began_at: str
    finished_at: str
    version: str
    migrations: list[str]
    postgresql: str
    rows: dict[str, int]
    pictures: int
    pictures_bytes: int
    missing_pictures: list[str]
    sandbox: list[str]
    keys: dict[str, str]
    checksums_sha256: str


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it, as the last file of a backup."""
    with create(folder / MANIFEST) as file:
        file.write(json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode() + b"\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises UnusableFolder where there is none, or one of another format.

    What a newer version has written beside all this is passed over: what it did to the database, migrations tell.
    """
    try:
        read: dict[str, Any] = dict(json.loads((folder / MANIFEST).read_text("utf-8")))
        if read["format"] != FORMAT:
            raise UnusableFolder(f"{folder} is a backup of the format {read['format']}; this version reads {FORMAT}")
        return Manifest(**{each.name: read[each.name] for each in fields(Manifest)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UnusableFolder(f"{folder} is no backup: {MANIFEST} is missing or cannot be read") from error


def named_keys() -> dict[str, str]:
    """The settings that hold keys and secrets, and where their values are: a file, or the environment."""
    bound = settings()
    named = {
        variable_of(each): str(value) if isinstance(value, Path) else "the environment"
        for each in fields(Settings)
        if each.metadata["secret"] or each.name.endswith(_KEYS)
        if (value := getattr(bound, each.name))
    }
    return {"JWT_SECRET_KEY": str(bound.instance_path / "keys" / "jwt_secret_key")} | named
