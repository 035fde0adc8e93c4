"""Reads what crawlers hand over: a manifest, and beside it the batches that it names, one JSON object a line.

Format `saltfish-listings`, version 1; `crawler/xianyu/items.py` says what a line means. A feed comes from a program
that reads untrusted pages, so nothing in it is trusted: fields are checked, and files only read from the manifest's
folder. Unknown fields are ignored, so that a newer crawler may send more.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

MAX_PRICE_FEN: Final = 99_999_999_999
"""999,999,999.99 yuan: sellers who ask more do not mean it as a price."""

MANIFEST_BYTES: Final = 16 * 1024 * 1024
BATCH_BYTES: Final = 256 * 1024 * 1024

_MAX_INTEGER: Final = 2**31 - 1
CLOCKS_DIFFER: Final = timedelta(hours=1)
"""So much the crawler's clock may be ahead of ours."""
IMPORTED: Final = "imported.json"
"""The file beside a manifest that tells the crawler which batches were imported: it deletes no others."""
_NEVER_BEFORE: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NEVER_AFTER: Final = datetime(2100, 1, 1, tzinfo=UTC)


class BadManifest(Exception):  # noqa: N818 - it says what was met
    """A manifest that cannot be used at all."""


class DamagedBatch(Exception):  # noqa: N818 - it says what was met
    """A batch that is missing, or not what the manifest says of it."""


class BadLine(Exception):  # noqa: N818 - it says what was met
    """A line that is no listing. `reasons` do not quote it: it may hold personal data."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds NUL, which the database cannot keep")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


_STORABLE: Final = AfterValidator(_without_nul)
Moment = Annotated[AwareDatetime, Field(ge=_NEVER_BEFORE, lt=_NEVER_AFTER)]
RunId = Annotated[str, Field(pattern=r"\A[A-Za-z0-9_-]{1,80}\z")]
Source = Annotated[str, Field(pattern=r"\A[a-z0-9_]{1,20}\z")]
Count = Annotated[int, Field(ge=0, le=_MAX_INTEGER)]
PriceFen = Annotated[int, Field(gt=0, le=MAX_PRICE_FEN)]

FILE_NAME: Final = r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\z"

_STRICT: Final = ConfigDict(strict=True, extra="ignore", frozen=True)


class Batch(BaseModel):
    """A finished batch: the name of its file beside the manifest, and what must be in it."""

    model_config = _STRICT

    file: Annotated[str, Field(pattern=FILE_NAME)]
    listings: Count
    bytes: Annotated[int, Field(ge=0, le=BATCH_BYTES)]
    sha256: Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class RejectsFile(BaseModel):
    """The file beside the manifest that names rows which are no listing, such as deleted items."""

    model_config = _STRICT

    file: Annotated[str, Field(pattern=FILE_NAME)]
    rows: Count


class Gone(BaseModel):
    """A row of the rejects that names an item of which the site says that it does not exist any more."""

    model_config = _STRICT

    reason: Literal["gone"]
    item_id: Annotated[str, Field(pattern=r"\A[0-9]{1,32}\z")]
    fetched_at: Moment | None = None


class Search(BaseModel):
    """How many offers the site counts for a keyword. Crawlers before 1.1 do not tell."""

    model_config = _STRICT

    keyword: Annotated[str, Field(max_length=200), _STORABLE, AfterValidator(_not_blank)]
    category: Annotated[str, Field(max_length=100), _STORABLE] | None = None
    offers: Count
    fetched_at: Moment


class Manifest(BaseModel):
    """What a run says of itself. While it runs, and if it was killed, `batches` are those finished so far."""

    model_config = _STRICT

    format: Literal["saltfish-listings"]
    version: Literal[1]
    source: Source
    run_id: RunId
    spider: Annotated[str, Field(min_length=1, max_length=40), _STORABLE]
    started_at: Moment
    finished_at: Moment | None
    outcome: Annotated[str, Field(min_length=1, max_length=40), _STORABLE]
    exit_code: Annotated[int, Field(ge=0, le=255)] | None
    detail: Annotated[str, Field(max_length=10_000), _STORABLE] = ""
    counts: Annotated[dict[Annotated[str, _STORABLE], Count], Field(max_length=100)]
    batches: Annotated[tuple[Batch, ...], Field(max_length=1_000_000)]
    rejects: RejectsFile | None = None
    not_after: Moment | None = None
    """When the run was over at the latest, if the crawler has noticed that its clock was ahead."""
    searches: Annotated[tuple[Search, ...], Field(max_length=100_000)] = ()

    @property
    def is_running(self) -> bool:
        """Whether the run may bring more."""
        return self.outcome == "running"

    @property
    def listings(self) -> int:
        """How many lines all batches have together."""
        return sum(batch.listings for batch in self.batches)


class FeedListing(BaseModel):
    """A line of a batch. Prices are fen; `price_fen` is set exactly where `price_status` is `ok`.

    `price_fen` is what the site shows; where a coupon has lowered it, `coupon_off_fen` says by how much.
    """

    model_config = _STRICT

    source: Source
    item_id: Annotated[str, Field(pattern=r"\A[0-9]{1,32}\z")]
    url: Annotated[str, Field(pattern=r"\Ahttps://[^\s]+\z", max_length=500), _STORABLE]
    title: Annotated[str, Field(max_length=2000), _STORABLE, AfterValidator(_not_blank)]
    description: Annotated[str, Field(max_length=20_000), _STORABLE] | None = None
    price_fen: PriceFen | None
    price_status: Annotated[str, Field(max_length=40)]
    orig_price_fen: PriceFen | None = None
    coupon_off_fen: PriceFen | None = None
    condition: Annotated[str, Field(max_length=100), _STORABLE] | None = None
    brand: Annotated[str, Field(max_length=200), _STORABLE] | None = None
    free_shipping: bool | None = None
    area: Annotated[str, Field(max_length=100), _STORABLE] | None = None
    category_id: Annotated[str, Field(max_length=32), _STORABLE] | None = None
    want_count: Count | None = None
    published_at: Moment | None = None
    fetched_at: Moment
    category: Annotated[str, Field(max_length=100), _STORABLE] | None = None
    flags: Annotated[tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=20)] = ()
    run_id: RunId

    @model_validator(mode="after")
    def _has_a_price_or_none(self) -> Self:
        if (self.price_status == "ok") != (self.price_fen is not None):
            raise ValueError("price_status and price_fen contradict each other")
        if self.coupon_off_fen is not None and self.price_fen is None:
            raise ValueError("coupon_off_fen is off no price")
        return self

    @property
    def asked_fen(self) -> int | None:
        """What the seller asks: the price that is shown, without what a coupon has taken off it."""
        return None if self.price_fen is None else self.price_fen + (self.coupon_off_fen or 0)


def read_manifest(path: Path) -> Manifest:
    """The manifest at `path`. Raises BadManifest with all that is wrong with it."""
    try:
        if path.stat().st_size > MANIFEST_BYTES:
            raise BadManifest(f"is larger than {MANIFEST_BYTES} bytes")
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadManifest(error.strerror or "cannot be read") from error
    except ValidationError as error:
        raise BadManifest("; ".join(_reasons(error))) from error


def read_batch(folder: Path, batch: Batch) -> list[bytes]:
    """The lines of a batch, once all that its manifest says of it is true. Raises DamagedBatch."""
    content = _content(folder / batch.file, size=batch.bytes)
    if hashlib.sha256(content).hexdigest() != batch.sha256:
        raise DamagedBatch("does not have the SHA-256 that the manifest says")
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    if len(lines) != batch.listings:
        raise DamagedBatch(f"has {len(lines)} lines, not {batch.listings}")
    return lines


def _content(path: Path, *, size: int | None = None) -> bytes:
    """What is in a file beside a manifest, which has `size` bytes. Raises DamagedBatch."""
    try:
        # A name without a slash may still be a link to somewhere else.
        if path.is_symlink() or not path.is_file():
            raise DamagedBatch("is no file" if path.exists() else "is missing")
        found = path.stat().st_size
        if size is not None and found != size:
            raise DamagedBatch(f"has {found} bytes, not {size}")
        if found > BATCH_BYTES:
            raise DamagedBatch(f"is larger than {BATCH_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DamagedBatch(error.strerror or "cannot be read") from error


def read_gone(folder: Path, rejects: RejectsFile) -> list[Gone]:
    """The items in the rejects of a run that do not exist any more; its other rows are passed over.

    Raises DamagedBatch if the file is missing or has fewer rows than the manifest says: the last may be half written.
    """
    lines = _content(folder / rejects.file).splitlines()
    if len(lines) < rejects.rows:
        raise DamagedBatch(f"has {len(lines)} lines, not {rejects.rows}")
    found = []
    for line in lines[: rejects.rows]:
        with suppress(ValidationError):
            found.append(Gone.model_validate_json(line))
    return found


def mark_imported(folder: Path, manifest: Manifest, batches: Sequence[Batch], *, now: datetime) -> None:
    """Write beside a manifest that these of its batches were imported. Raises `OSError`."""
    fields = {
        "format": "saltfish-import",
        "run_id": manifest.run_id,
        "imported_at": now.isoformat(timespec="seconds"),
        "batches": [batch.sha256 for batch in batches],
    }
    part = folder / f".{IMPORTED}.{os.getpid()}"
    try:
        part.write_bytes(orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        part.replace(folder / IMPORTED)
    finally:
        part.unlink(missing_ok=True)


def read_line(line: bytes, manifest: Manifest) -> FeedListing:
    """The listing of a line of one of the manifest's batches. Raises BadLine."""
    try:
        listing = FeedListing.model_validate_json(line)
    except ValidationError as error:
        raise BadLine(_reasons(error)) from error
    if listing.source != manifest.source or listing.run_id != manifest.run_id:
        raise BadLine(["is of another run than its manifest"])
    return listing


def _reasons(error: ValidationError) -> list[str]:
    """What pydantic found, each with its place and none with its content."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in found]
