"""An order's history as a hash chain: each line holds the hash of the one before, so a changed line breaks the chain.

The hash is SHA-256 over the canonical JSON (keys sorted, UTF-8, no spaces) of the fields in `_HASHED_FIELDS`, of which
`previous_hash` is one; the first line's is `GENESIS`. `flask order export` writes the history of an order to a file;
`flask order verify` checks such a file, by itself and against the database.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.columns import Base
from app.db.transactions import row_or_none, rows
from app.orders.models import Order, OrderEventRecord
from statemachine import ORDER, OrderPhase, Role

GENESIS: Final = "0" * 64
FORMAT: Final = "saltfish-order-history/1"

_HASHED_FIELDS: Final = (
    "order_no",
    "sequence",
    "event",
    "role",
    "actor_id",
    "from_bill",
    "from_order",
    "to_bill",
    "to_order",
    "closed",
    "note",
    "at",
    "previous_hash",
)

_FILE_FIELDS: Final = {"format", "order_no", "exported_at", "lines", "last_hash"}


class NoSuchOrder(Exception):  # noqa: N818 - it says what happened
    """There is no order of this number."""


class BadFile(Exception):  # noqa: N818 - it says what happened
    """The file is not an exported history at all."""


# An insert into the table, not the class, and built once: every step appends a line, and only needs its id.
_LINES: Final = Base.metadata.tables[OrderEventRecord.__tablename__]
_APPEND: Final = insert(_LINES).returning(_LINES.c.id)


def record_step(
    session: Session,
    order: Order,
    *,
    event: str,
    role: Role,
    actor_id: int | None,
    source: OrderPhase | None,
    note: str = "",
) -> int:
    """Append the line of a step to the history of `order`; returns the line's id.

    `order` must be in the step's target phase already, with the step's time in `updated_at`; `source` is the phase
    before, None for the purchase. The order, which may be new, is flushed with the line's hash.
    """
    order.history_length += 1
    line: dict[str, Any] = {
        "sequence": order.history_length,
        "event": event,
        "role": role.value,
        "actor_id": actor_id,
        "from_bill": source.bill if source else None,
        "from_order": source.goods if source else None,
        "to_bill": order.bill_status,
        "to_order": order.order_status,
        "closed": order.closed,
        "note": note,
        "at": order.updated_at,
        "previous_hash": order.history_hash or GENESIS,
    }
    order.history_hash = line_hash(content(line, order.order_no))
    session.add(order)
    session.flush()
    line_id: int = session.execute(_APPEND, {**line, "order_id": order.id, "hash": order.history_hash}).scalar_one()
    return line_id


def content(line: Mapping[str, Any], order_no: str) -> dict[str, Any]:
    """The hashed fields of a line; `at` is text: UTC to the microsecond."""
    return {
        "order_no": order_no,
        **{name: line[name] for name in _HASHED_FIELDS if name not in ("order_no", "at")},
        "at": _moment_text(line["at"]),
    }


def line_hash(line: Mapping[str, Any]) -> str:
    """SHA-256 in hex over the canonical JSON of `line`."""
    return hashlib.sha256(orjson.dumps(line, option=orjson.OPT_SORT_KEYS)).hexdigest()


def export(order_no: str) -> dict[str, Any]:
    """The history of an order as a JSON object, to be kept as evidence. Raises NoSuchOrder."""
    order = row_or_none(select(Order.id, Order.history_hash).where(Order.order_no == order_no))
    if order is None:
        raise NoSuchOrder(order_no)
    lines = rows(
        select(OrderEventRecord.__table__)
        .where(OrderEventRecord.order_id == order.id)
        .order_by(OrderEventRecord.sequence)
    )
    return {
        "format": FORMAT,
        "order_no": order_no,
        "exported_at": _moment_text(utcnow()),
        "lines": [{**content(line._asdict(), order_no), "hash": line.hash} for line in lines],
        "last_hash": order.history_hash,
    }


def parse(text: bytes) -> Any:
    """The JSON of an exported file. Raises BadFile for what is no JSON, or JSON that readers interpret differently."""
    try:
        return json.loads(text, object_pairs_hook=_refuse_duplicate_names, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"not JSON: {error}") from error


def verify(exported: object) -> list[str]:
    """The problems of an exported history, one text each; empty where it is intact.

    Checks each hash and each link, that no line is missing, and that the machine allows every step. Needs no database.
    Raises BadFile for what is not an exported history.
    """
    order_no, lines, last_hash = _parts(exported)
    problems: list[str] = []
    previous, phase = GENESIS, None
    for number, line in enumerate(lines, start=1):
        at = f"line {number}"
        if line["sequence"] != number:
            problems.append(f"{at}: has sequence {line['sequence']}")
        if line["order_no"] != order_no:
            problems.append(f"{at}: is about order {line['order_no']}")
        if line["previous_hash"] != previous:
            problems.append(f"{at}: does not follow the line before it")
        if not _hash_fits(line):
            problems.append(f"{at}: was changed, its hash does not fit")
        problems += [f"{at}: {problem}" for problem in _step_problems(line, phase)]
        previous, phase = line["hash"], (line["to_bill"], line["to_order"], line["closed"])
    if last_hash != previous:
        problems.append("the last line is not the one that the order ends with: lines are missing at the end")
    return problems


def compare(exported: object) -> list[str]:
    """The differences between an exported history and the database, which may have more lines by now.

    Raises BadFile as `verify` does.
    """
    order_no, lines, _ = _parts(exported)
    try:
        ours = export(order_no)["lines"]
    except NoSuchOrder:
        return [f"the database has no order {order_no}"]
    problems = [
        f"line {number}: differs from the database"
        for number, (line, our) in enumerate(zip(lines, ours, strict=False), start=1)
        if line != our
    ]
    if len(lines) > len(ours):
        problems.append(f"the database has only {len(ours)} lines")
    return problems


def _refuse_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # JSON parsers differ in which of the two values they use.
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(constant: str) -> Any:
    # Python's parser accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{constant} is no JSON")


def _parts(exported: object) -> tuple[str, list[Mapping[str, Any]], str]:
    """`(order_no, lines, last_hash)` of an exported history. Raises BadFile where its form is wrong."""
    if not isinstance(exported, dict) or exported.get("format") != FORMAT:
        raise BadFile(f"not a file of format {FORMAT}")
    if set(exported) != _FILE_FIELDS:
        raise BadFile(f"the file has not the names {', '.join(sorted(_FILE_FIELDS))}")
    order_no, lines, last_hash = (exported[name] for name in ("order_no", "lines", "last_hash"))
    if not (isinstance(order_no, str) and isinstance(lines, list) and isinstance(last_hash, str) and lines):
        raise BadFile("order_no and last_hash are no texts, or there are no lines")
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, dict) or set(line) != {*_HASHED_FIELDS, "hash"}:
            raise BadFile(f"line {number} has not the fields of a line")
    return order_no, lines, last_hash


def _hash_fits(line: Mapping[str, Any]) -> bool:
    try:
        return bool(line_hash({name: line[name] for name in _HASHED_FIELDS}) == line["hash"])
    except orjson.JSONEncodeError:  # a number or text that orjson cannot encode, so no line of ours has it
        return False


def _step_problems(line: Mapping[str, Any], phase: tuple[Any, ...] | None) -> Sequence[str]:
    """Problems of the step in `line`, which must be one that the machine allows from `phase` (None: no line before)."""
    to = (line["to_bill"], line["to_order"], line["closed"])
    if phase is None:
        begins = line["event"] == ORDER.creation.name and to == tuple(ORDER.start)
        return () if begins else ("a history begins with the purchase",)
    if (line["from_bill"], line["from_order"]) != phase[:2]:
        return ("does not begin where the line before ended",)
    known = any(
        rule.source == phase and rule.event == line["event"] and line["role"] in rule.by and rule.target == to
        for rule in ORDER.rules
    )
    return () if known else ("is a step that the machine does not know",)


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
