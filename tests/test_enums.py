"""Codes in answers: plain values that are checked, and enums for those who read the OpenAPI document."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from app.clock import MomentOut, format_moment
from app.enums import OneOf, text_enum
from app.orders.schemas import ActionName, AttemptedAction, HistoryEvent, OrderTradeMode
from app.staff.schemas import PostingKind, RefundReason
from app.wallet.schemas import WalletEntryKind
from statemachine import OrderEvent


class Colour(IntEnum):
    """What a thing looks like."""

    RED = 1
    GREEN = 2


COLOUR: TypeAdapter[int] = TypeAdapter(Annotated[int, OneOf(Colour)])


def test_a_code_stays_the_plain_number_that_it_is() -> None:
    assert [type(COLOUR.validate_python(value, strict=True)) for value in (1, 2)] == [int, int]


@pytest.mark.parametrize("value", [0, 3, -1])
def test_another_number_is_no_code(value: int) -> None:
    with pytest.raises(ValidationError, match=f"{value} is no Colour"):
        COLOUR.validate_python(value, strict=True)


def test_a_text_enum_has_a_member_for_each_value() -> None:
    made = text_enum("Step", ["", "buy", "state_case"], about="What happened.")
    assert {member.name: member.value for member in made} == {"NONE": "", "BUY": "buy", "STATE_CASE": "state_case"}
    assert (made.__name__, made.__doc__) == ("Step", "What happened.")


def test_the_enums_of_orders() -> None:
    assert [member.value for member in OrderTradeMode] == [6, 7]
    assert [member.value for member in HistoryEvent] == ["buy", *OrderEvent]
    # What only the system and the gateway do is no action of anybody, and what staff do by a case none of the order.
    actions = {member.value for member in ActionName}
    assert set(OrderEvent) - actions == {"expire", "refund_unshipped", "settle", "lapse", "confirm_external_refund"}
    assert actions - set(OrderEvent) == {"state_case", "hide"}
    assert {member.value for member in AttemptedAction} - actions == {"renew_handover_code", "confirm_external_refund"}


def test_the_enums_of_money() -> None:
    refunding = ["refund_unshipped", "approve_refund", "accept_return", "resolve_for_buyer", "confirm_external_refund"]
    assert {member.value for member in RefundReason} == {*refunding, "payment_late"}
    assert {member.value for member in PostingKind} == {
        *("pay", "receive", "settle", "request_refund", "withdraw_refund", "reject_refund", "lapse"),
        *(*refunding, "resolve_for_seller"),
        *("payment_late", "refund_confirmed", "payout_requested", "payout_confirmed", "payout_failed"),
    }
    assert {member.value for member in WalletEntryKind} == {
        *("receive", "settle", "request_refund", "withdraw_refund", "reject_refund", "lapse", "resolve_for_seller"),
        "confirm_external_refund",
        *("payout_requested", "payout_failed"),
    }


def test_times_are_of_one_form() -> None:
    adapter: TypeAdapter[str] = TypeAdapter(MomentOut)
    moment = format_moment(datetime(2026, 11, 22, 12, 15, tzinfo=UTC))
    assert adapter.validate_python(moment, strict=True) == "2026-11-22T20:15:00+08:00"
    for other in ("2026-11-22T12:15:00Z", "2026-11-22T20:15:00", "2026-11-22", "2026-11-22T20:15:00.5+08:00"):
        with pytest.raises(ValidationError):
            adapter.validate_python(other, strict=True)
