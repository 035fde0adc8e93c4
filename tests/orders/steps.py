"""What a step of an order leaves, checked whole."""

from datetime import timedelta
from typing import Any

from app.orders.history import GENESIS
from statemachine import GoodStatus, OrderPhase
from statemachine.order import REFUND_REQUESTED_RECEIVED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_UNSHIPPED
from tests.orders.table import DEADLINES, GOOD_AT, Effect

Database = dict[str, list[dict[str, Any]]]

LEFT = timedelta(days=3, hours=5, seconds=7, microseconds=11)
"""The time that a stopped deadline had left, where a test wants to see it again."""
RESUMABLE = [REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED]
STEP_TABLES = {"orders", "order_events", "outbox"}
MONEY_TABLES = {"ledger_accounts", "ledger_transactions", "ledger_entries"}


def added(before: Database, after: Database, table: str) -> list[dict[str, Any]]:
    """The new rows of a table that only grows."""
    assert after[table][: len(before[table])] == before[table]
    return after[table][len(before[table]) :]


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    (row,) = rows
    return row


def money_moved(before: Database, after: Database) -> dict[str, int]:
    """By how much the accounts of each kind changed."""
    sums: dict[str, int] = {}
    for database, sign in ((before, -1), (after, 1)):
        for account in database["ledger_accounts"]:
            sums[account["kind"]] = sums.get(account["kind"], 0) + sign * account["balance"]
    return {kind: amount for kind, amount in sums.items() if amount}


def assert_done(
    before: Database, after: Database, effect: Effect, *, event: str, role: str, note: str = ""
) -> dict[str, Any]:
    """All that a step of the one order leaves is there, and nothing else; its line of the history."""
    old, new = only(before["orders"]), only(after["orders"])
    source = OrderPhase(old["bill_status"], old["order_status"], old["closed"])
    assert (new["bill_status"], new["order_status"], new["closed"]) == effect.target
    assert new["closed_reason"] == (event if effect.target.closed else None)
    assert_timers(old, new, effect)
    # The history has one line more, which follows the one before.
    line = only(added(before, after, "order_events"))
    assert (line["sequence"], line["event"], line["role"]) == (old["history_length"] + 1, event, role)
    assert line["actor_id"] == new.get(f"{role}_id")
    assert (line["from_bill"], line["from_order"]) == source[:2]
    assert (line["to_bill"], line["to_order"], line["closed"]) == effect.target
    said = [each for each in after["erasable_texts"] if each not in before["erasable_texts"]]
    assert {each["digest"]: each["text"] for each in said}.get(line["note_digest"], "") == note
    assert line["at"] == new["updated_at"]
    assert (line["previous_hash"], line["hash"]) == (old["history_hash"], new["history_hash"])
    assert line["previous_hash"] != GENESIS
    # The money went where the table says, in one ledger transaction.
    amount = new["amount"]
    assert money_moved(before, after) == {kind: times * amount for kind, times in effect.money.items()}
    booked = [(each["key"], each["kind"]) for each in added(before, after, "ledger_transactions")]
    assert booked == ([(f"order:{new['id']}:{line['sequence']}:{event}", event)] if effect.money else [])
    assert len(added(before, after, "ledger_entries")) == len(effect.money)
    refunds = [(each["amount"], each["reason"], each["state"]) for each in added(before, after, "refunds")]
    sent_back = "refund_clearing" in effect.money
    assert refunds == ([(amount, event, "pending")] if sent_back else [])
    # The good stands where it should.
    assert only(before["goods"])["status"] == GOOD_AT.get(source, 4)
    assert only(after["goods"])["status"] == GOOD_AT.get(effect.target, 4) == (effect.good or GOOD_AT.get(source, 4))
    # PostgreSQL's search has it with the same commit.
    found = added(before, after, "search_documents")
    assert [each["good_id"] for each in found] == ([new["good_id"]] if effect.good is GoodStatus.PUBLISHED else [])
    # What is to be done afterwards.
    left = {(each["topic"], each["subject_id"], each["stream"]) for each in added(before, after, "outbox")}
    wanted = {("order_step", line["id"], f"order:{new['id']}")}
    if sent_back:
        payment = only(after["payments"])
        wanted.add(("payment_refund", only(after["refunds"])["id"], f"payment:{payment['id']}"))
    if effect.good:
        wanted.add(("search_index", new["good_id"], None))
    assert left == wanted
    # Nothing else was touched.
    changed = {table for table in after if after[table] != before[table]}
    money_tables = MONEY_TABLES if effect.money else set()
    words = {"erasable_texts"} if note else set()
    assert changed == STEP_TABLES | words | money_tables | set(effect.writes) | (
        {"refunds"} if sent_back else set()
    ) | ({"goods"} if effect.good else set()) | ({"search_documents"} if found else set())
    return line


def assert_timers(old: dict[str, Any], new: dict[str, Any], effect: Effect) -> None:
    """The deadline, the reminder and the time stored of a stopped one, to the microsecond."""
    now, deadline = new["updated_at"], DEADLINES.get(effect.target)
    deadline_at = remind_at = None
    if effect.deadline != "none":
        assert deadline is not None
        match effect.deadline:
            case "begins":
                deadline_at = now + deadline.after
            case "goes on":
                deadline_at = now + LEFT
            case "longer":
                deadline_at = old["deadline_at"] + deadline.after
            case "stays":
                deadline_at = old["deadline_at"]
        remind_at = deadline_at - deadline.reminder
    assert (new["deadline_at"], new["remind_at"]) == (deadline_at, remind_at)
    paused = effect.target in RESUMABLE
    requested = paused and old["bill_status"] != 4
    assert new["clock_left"] == (old["deadline_at"] - now if requested else LEFT if paused else None)
    moved = (old["bill_status"], old["order_status"], old["closed"]) != effect.target
    assert new["phase_since"] == (now if moved else old["phase_since"])
