"""An order's history as a hash chain: each line holds the hash of the one before, so a changed line breaks the chain.

The hash is SHA-256 over the canonical JSON (keys sorted, UTF-8, no spaces) of the fields in `_FIELDS`, of which
`previous_hash` is one; the first line's is `GENESIS`. `flask order export` writes the history of an order to a file;
`flask order verify` checks such a file, by itself and against the database.

What people wrote is not in the line but its digest (`app.db.erasable_texts`); a file carries the words beside it, with
their salt, or says that they were erased. Lines from before that had the words themselves under their hash. It is kept
as `legacy_hash`, so files of format 1, which were made then, can still be checked and compared.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from app.clock import utcnow
from app.db.columns import Base
from app.db.erasable_texts import ErasableText, keep_text, text_digest
from app.db.transactions import row_or_none, rows
from app.orders.models import Order, OrderEventRecord
from statemachine import ORDER, OrderPhase, Role

GENESIS: Final = "0" * 64
FORMAT: Final = "saltfish-order-history/2"
FORMAT_1: Final = "saltfish-order-history/1"

_STEP: Final = ("event", "role", "actor_id", "from_bill", "from_order", "to_bill", "to_order", "closed")
_FIELDS: Final = ("order_no", "sequence", *_STEP, "note_digest", "legacy_hash", "at", "previous_hash")
_FIELDS_1: Final = ("order_no", "sequence", *_STEP, "note", "at", "previous_hash")

# By format: the hashed fields of a line, and what stands beside them.
_LINES_OF: Final = {FORMAT: (_FIELDS, {"hash", "words"}), FORMAT_1: (_FIELDS_1, {"hash"})}
_FILE_FIELDS: Final = {"format", "order_no", "exported_at", "lines", "last_hash"}
_THERE: Final = {"text", "salt"}
_ERASED: Final = {"erased_at", "erased_by", "erased_why"}


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
    with session.no_autoflush:  # the order is flushed once, with its new hash
        digest = keep_text(session, note, written_at=order.updated_at)
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
        "note_digest": digest,
        "legacy_hash": None,
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
        **{name: line[name] for name in _FIELDS if name not in ("order_no", "at")},
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
        select(_LINES, *(getattr(ErasableText, name) for name in ("salt", "text", *sorted(_ERASED))))
        .outerjoin(ErasableText, ErasableText.digest == _LINES.c.note_digest)
        .where(_LINES.c.order_id == order.id)
        .order_by(_LINES.c.sequence)
    )
    return {
        "format": FORMAT,
        "order_no": order_no,
        "exported_at": _moment_text(utcnow()),
        "lines": [{**content(line._asdict(), order_no), "hash": line.hash, "words": _words(line)} for line in lines],
        "last_hash": order.history_hash,
    }


def parse(text: bytes) -> Any:
    """The JSON of an exported file. Raises BadFile for what is no JSON, or JSON that readers interpret differently."""
    try:
        return json.loads(text, object_pairs_hook=_refuse_duplicate_names, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"not JSON: {error}") from error


def verify(exported: object) -> list[str]:
    """The problems of an exported history, one text each; empty where it is intact. Erased words are no problem.

    Checks each hash and each link, the words, that no line is missing, and that the machine allows every step. Needs no
    database. Raises BadFile for what is not an exported history.
    """
    form, order_no, lines, last_hash = _parts(exported)
    fields, _ = _LINES_OF[form]
    problems: list[str] = []
    previous, previous_legacy, phase = GENESIS, GENESIS, None
    for number, line in enumerate(lines, start=1):
        at = f"line {number}"
        if line["sequence"] != number:
            problems.append(f"{at}: has sequence {line['sequence']}")
        if line["order_no"] != order_no:
            problems.append(f"{at}: is about order {line['order_no']}")
        if line["previous_hash"] != previous:
            problems.append(f"{at}: does not follow the line before it")
        if not _hash_fits({name: line[name] for name in fields}, line["hash"]):
            problems.append(f"{at}: was changed, its hash does not fit")
        if form == FORMAT:
            problems += [f"{at}: {problem}" for problem in _words_problems(line, previous_legacy)]
            previous_legacy = line["legacy_hash"]
        problems += [f"{at}: {problem}" for problem in _step_problems(line, phase)]
        previous, phase = line["hash"], (line["to_bill"], line["to_order"], line["closed"])
    if last_hash != previous:
        problems.append("the last line is not the one that the order ends with: lines are missing at the end")
    return problems


def erasures(exported: object) -> list[str]:
    """Which words of an exported history were erased, one text each. Raises BadFile as `verify` does."""
    form, _, lines, _ = _parts(exported)
    if form == FORMAT_1:
        return []
    return [
        f"line {number}: its words were erased at {words['erased_at']} by {words['erased_by']}: {words['erased_why']}"
        for number, words in enumerate((line["words"] for line in lines), start=1)
        if _is(words, _ERASED)
    ]


def compare(exported: object) -> list[str]:
    """The differences between an exported history and the database, which may have more lines by now.

    Words that were erased since are no difference. Raises BadFile as `verify` does.
    """
    form, order_no, lines, _ = _parts(exported)
    try:
        ours = export(order_no)["lines"]
    except NoSuchOrder:
        return [f"the database has no order {order_no}"]
    differs = _differs_from if form == FORMAT else _differs_from_legacy
    before = [{"legacy_hash": GENESIS}, *ours]
    problems = [
        f"line {number}: differs from the database"
        for number, (line, our, our_previous) in enumerate(zip(lines, ours, before, strict=False), start=1)
        if differs(line, our, our_previous)
    ]
    if len(lines) > len(ours):
        problems.append(f"the database has only {len(ours)} lines")
    return problems


def _words(line: Row[Any]) -> dict[str, Any] | None:
    """What a file has beside the digest of a line of the database; None where nobody wrote anything."""
    if line.note_digest is None:
        return None
    if line.erased_at is None:
        return {"text": line.text, "salt": line.salt}
    return {**{name: line._mapping[name] for name in _ERASED}, "erased_at": _moment_text(line.erased_at)}


def _is(words: object, names: set[str]) -> bool:
    return isinstance(words, dict) and set(words) == names and all(isinstance(each, str) for each in words.values())


def _words_problems(line: Mapping[str, Any], previous_legacy: Any) -> Sequence[str]:
    """Problems of the words beside a line, and of the hash that it had when it held them itself."""
    words, digest, legacy_hash = line["words"], line["note_digest"], line["legacy_hash"]
    if digest is None:
        if words is not None:
            return ("has words that nobody wrote",)
        text = ""
    elif _is(words, _ERASED):
        return ()
    elif not _is(words, _THERE):
        return ("its words are missing",)
    else:
        text = words["text"]
        if not _digest_fits(text, words["salt"], digest):
            return ("its words were changed",)
    legacy = {**{name: line[name] for name in _FIELDS_1 if name != "note"}, "note": text}
    if legacy_hash is not None and not _hash_fits({**legacy, "previous_hash": previous_legacy}, legacy_hash):
        return ("was changed when it still held its words, its legacy hash does not fit",)
    return ()


def _digest_fits(text: str, salt: str, digest: Any) -> bool:
    try:
        return bool(text_digest(text, salt) == digest)
    except ValueError:  # a salt that is no hex, a text that is no Unicode
        return False


def _differs_from(line: Mapping[str, Any], our: Mapping[str, Any], _our_previous: Mapping[str, Any]) -> bool:
    if _is(line["words"], _THERE) and _is(our["words"], _ERASED):
        our = {**our, "words": line["words"]}
    return line != our


def _differs_from_legacy(line: Mapping[str, Any], our: Mapping[str, Any], our_previous: Mapping[str, Any]) -> bool:
    words = our["words"] or {"text": ""}
    as_it_was = {
        **{name: our[name] for name in _FIELDS_1 if name != "note"},
        "note": words.get("text", line["note"]),
        "previous_hash": our_previous["legacy_hash"],
        "hash": our["legacy_hash"],
    }
    return line != as_it_was


def _refuse_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # JSON parsers differ in which of the two values they use.
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(constant: str) -> Any:
    # Python's parser accepts NaN and Infinity, which are not JSON.
    raise ValueError(f"{constant} is no JSON")


def _parts(exported: object) -> tuple[str, str, list[Mapping[str, Any]], str]:
    """`(format, order_no, lines, last_hash)` of an exported history. Raises BadFile where its form is wrong."""
    form = exported.get("format") if isinstance(exported, dict) else None
    if not isinstance(exported, dict) or not isinstance(form, str) or form not in _LINES_OF:
        raise BadFile(f"not a file of format {FORMAT} or {FORMAT_1}")
    if set(exported) != _FILE_FIELDS:
        raise BadFile(f"the file has not the names {', '.join(sorted(_FILE_FIELDS))}")
    order_no, lines, last_hash = (exported[name] for name in ("order_no", "lines", "last_hash"))
    if not (isinstance(order_no, str) and isinstance(lines, list) and isinstance(last_hash, str) and lines):
        raise BadFile("order_no and last_hash are no texts, or there are no lines")
    hashed, beside = _LINES_OF[form]
    for number, line in enumerate(lines, start=1):
        if not isinstance(line, dict) or set(line) != {*hashed, *beside}:
            raise BadFile(f"line {number} has not the fields of a line")
    return form, order_no, lines, last_hash


def _hash_fits(fields: Mapping[str, Any], expected: Any) -> bool:
    try:
        return bool(line_hash(fields) == expected)
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
