"""Signed webhooks: what is sent, when it counts as delivered, rotation, replay."""

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3
from flask import Flask
from sqlalchemy import func, select

from app.clock import format_moment, utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.money.cases import note_release, open_case
from app.money.models import MoneyCase, MoneyCaseKind, Payment
from app.notifications.models import Notification
from app.orders.models import OrderEventRecord
from app.outbox.models import Topic
from app.outbox.service import PermanentFailure, add_message
from app.webhooks.service import WebhookRefused, send_webhook
from app.webhooks.signing import signed_headers
from statemachine import Role
from statemachine.order import AWAITING_PAYMENT
from tasks.relay import announce_holds, announce_releases, relay_once
from tests.factories import Made
from tests.live import free_port
from tests.notifications.steps import an_order, make_step, outbox
from tests.orders.test_statements import counted
from tests.tasks.steps import work_off
from tests.webhooks.receiver import PREVIOUS_SECRET, SECRET, receiving

pytestmark = pytest.mark.usefixtures("clean")


def relay(app: Flask) -> int:
    """One round."""
    with app.app_context():
        return relay_once()


def send(app: Flask, event_id: int) -> None:
    """What the job does, here."""
    with app.app_context():
        send_webhook(event_id)


def flask_replay(app: Flask, *arguments: str) -> tuple[int, str]:
    """`flask webhooks replay …`: exit status and output."""
    result = app.test_cli_runner().invoke(args=["webhooks", "replay", *arguments])
    return result.exit_code, result.output


def at_of(app: Flask, event_id: int) -> datetime:
    with app.app_context():
        return db.session.get_one(OrderEventRecord, event_id).at


def test_the_signature_is_that_of_the_standard() -> None:
    """The example in the specification's own libraries: their secret, id, time and body."""
    headers = signed_headers(
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_step_reaches_the_operator(app: Flask) -> None:
    order = an_order(app, order_no="20261122000001")
    with receiving(app) as receiver:
        event_id = make_step(app, order, 2)
        assert [relay(app), relay(app), relay(app)] == [1, 1, 0]  # told, then given out
        work_off(app)
        (delivery,) = receiver.deliveries
    assert outbox(app) == []
    assert delivery.path == "/hooks/?shop=1"
    assert delivery.id == f"evt_{event_id}"
    assert abs(delivery.timestamp - time.time()) < 60
    assert delivery.content_type == "application/json"
    assert delivery.signed == (True, False)
    at = format_moment(at_of(app, event_id))
    assert delivery.body == {
        "type": "order.pay",
        "timestamp": at,
        "data": {
            "order_no": "20261122000001",
            "sequence": 2,
            "event": "pay",
            "role": "gateway",
            "from": {"bill_status": 1, "order_status": 6},
            "to": {"bill_status": 2, "order_status": 6, "closed": False},
            "amount": "2600.00",
            "at": at,
        },
    }


def hold(app: Flask, order: Made, *, at: datetime) -> int:
    """A case about 100 yuan that went back of the order without us; its id."""
    with app.app_context(), transaction() as session:
        payment = Payment(
            order_id=order.id, out_trade_no=f"P{order.id}", amount=260000, refunded_elsewhere=10000, created_at=at
        )
        session.add(payment)
        session.flush()
        key = f"refund_elsewhere:{payment.id}:10000"
        open_case(
            session,
            kind=MoneyCaseKind.REFUND_ELSEWHERE,
            key=key,
            reason="the gateway refunded 10000 fen without us",
            order_id=order.id,
            payment_id=payment.id,
            details={"total": 10000},
        )
        case = session.scalars(select(MoneyCase).where(MoneyCase.key == key)).one()
        case.opened_at = at
        return case.id


def test_a_hold_and_its_end_reach_the_operator(app: Flask) -> None:
    order = an_order(app, order_no="20261122000001")
    opened = utcnow()
    case_id = hold(app, order, at=opened)
    with app.app_context(), transaction() as session:
        add_message(session, Topic.ORDER_HELD, case_id, stream=f"order:{order.id}")
        # More goes back before it is sent.
        session.scalars(select(Payment)).one().refunded_elsewhere = 15000
    closed = opened + timedelta(hours=2)
    with receiving(app) as receiver:
        assert [relay(app), relay(app), relay(app)] == [1, 1, 0]
        work_off(app)
        with app.app_context(), transaction() as session:
            case = session.get_one(MoneyCase, case_id)
            case.closed_at, case.decision = closed, "continue"
            note_release(case, total=15000)
            session.scalars(select(Payment)).one().refunded_elsewhere = 20000
            add_message(session, Topic.ORDER_RELEASED, case_id, stream=f"order:{order.id}")
        assert [relay(app), relay(app), relay(app)] == [1, 1, 0]
        work_off(app)
    assert receiver.ids == [f"held_{case_id}", f"released_{case_id}"]
    assert [each.body for each in receiver.deliveries] == [
        {
            "type": f"order.{what}",
            "timestamp": format_moment(at),
            "data": {
                "order_no": "20261122000001",
                "reason": "refunded_elsewhere",
                "refunded": refunded,
                "amount": "2600.00",
                "at": format_moment(at),
            },
        }
        for what, at, refunded in (("held", opened, "100.00"), ("released", closed, "150.00"))
    ]
    assert outbox(app) == []


@pytest.mark.parametrize(
    ("announce", "topic"), [(announce_holds, Topic.HELD_WEBHOOK), (announce_releases, Topic.RELEASED_WEBHOOK)]
)
def test_all_holds_of_a_batch_are_told_at_once(app: Flask, announce: Any, topic: Topic) -> None:
    case_ids = [hold(app, an_order(app), at=utcnow()) for _ in range(3)]
    with receiving(app), counted(app) as statements, app.app_context(), transaction() as session:
        announce(session, case_ids)
    assert statements == ["SELECT money_cases + orders", "INSERT notifications", "INSERT outbox"]
    assert [(each.topic, each.subject_id) for each in outbox(app)] == [(topic.value, case_id) for case_id in case_ids]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Notification)) == 6


def test_the_first_step_comes_from_nowhere(app: Flask) -> None:
    event_id = make_step(
        app, an_order(app), event="buy", role=Role.BUYER, source=None, target=AWAITING_PAYMENT, topic=None
    )
    with receiving(app) as receiver:
        send(app, event_id)
    assert receiver.deliveries[0].body["data"]["from"] is None


def test_nothing_is_left_while_webhooks_are_off(app: Flask) -> None:
    make_step(app, an_order(app))
    assert relay(app) == 1
    assert outbox(app) == []


def test_during_a_change_of_secrets_both_sign(app: Flask) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app, webhook_previous_secret=PREVIOUS_SECRET) as receiver:
        send(app, event_id)
    with receiving(app, webhook_secret=PREVIOUS_SECRET) as later:
        send(app, event_id)
    assert [delivery.signed for delivery in (*receiver.deliveries, *later.deliveries)] == [(True, True), (False, True)]
    assert base64.b64decode(SECRET[6:]) != base64.b64decode(PREVIOUS_SECRET[6:])


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_a_delivery(app: Flask, status: int) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app) as receiver:
        receiver.answers.append(status)
        send(app, event_id)
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 429, 500, 503])
def test_anything_else_is_tried_again_and_no_redirect_followed(app: Flask, status: int) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app) as receiver:
        receiver.answers.append(status)
        with pytest.raises(WebhookRefused, match=rf"^the receiver answered {status}$"):
            send(app, event_id)
    assert len(receiver.deliveries) == 1


def test_gone_is_final(app: Flask) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app) as receiver:
        receiver.answers.append(410)
        with pytest.raises(PermanentFailure, match="410 Gone"):
            send(app, event_id)


def test_webhooks_that_were_switched_off_meanwhile_are_kept_as_dead_letters(app: Flask) -> None:
    make_step(app, an_order(app), topic=Topic.WEBHOOK)
    relay(app)
    work_off(app)
    (message,) = outbox(app)
    assert (message.last_error, message.dead_at is not None) == ("PermanentFailure: WEBHOOK_URL is not set", True)


def test_nobody_answers(app: Flask) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app, webhook_url=f"http://127.0.0.1:{free_port()}/"), pytest.raises(urllib3.exceptions.HTTPError):
        send(app, event_id)


def test_a_receiver_that_takes_too_long(app: Flask) -> None:
    event_id = make_step(app, an_order(app), topic=None)
    with receiving(app, webhook_timeout=1) as receiver:
        receiver.open_door.clear()
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            send(app, event_id)
    assert len(receiver.deliveries) == 1


# Again


def test_replay_of_an_order(app: Flask) -> None:
    order, other = an_order(app), an_order(app)
    ids = [make_step(app, order, sequence, topic=None) for sequence in (1, 2)]
    make_step(app, other, topic=None)
    with receiving(app) as receiver:
        assert flask_replay(app, "--order-no", order.order_no) == (0, "2 steps will be sent again\n")
        # What waits is not doubled.
        assert flask_replay(app, "--order-no", order.order_no) == (0, "0 steps will be sent again\n")
        assert [(message.subject_id, message.stream) for message in outbox(app)] == [
            (event_id, f"webhook:order:{order.id}") for event_id in ids
        ]
        for _ in ids:
            relay(app)
            work_off(app)
    assert receiver.ids == [f"evt_{event_id}" for event_id in ids]
    assert outbox(app) == []


def test_replay_takes_what_was_given_up(app: Flask) -> None:
    order = an_order(app)
    event_id = make_step(app, order, topic=Topic.WEBHOOK)
    with receiving(app) as receiver:
        receiver.answers.append(410)
        relay(app)
        work_off(app)
        assert outbox(app)[0].dead_at is not None
        assert flask_replay(app, "--order-no", order.order_no) == (0, "1 steps will be sent again\n")
        (message,) = outbox(app)
        assert (message.subject_id, message.dead_at, message.attempts) == (event_id, None, 0)


def test_replay_since_a_moment(app: Flask) -> None:
    order = an_order(app)
    make_step(app, order, 1, topic=None)
    between = utcnow()
    later = make_step(app, order, 2, topic=None)
    with receiving(app):
        in_shanghai = between.astimezone().isoformat()
        assert flask_replay(app, "--since", in_shanghai) == (0, "1 steps will be sent again\n")
        assert [message.subject_id for message in outbox(app)] == [later]
        tomorrow = (utcnow() + timedelta(days=1)).isoformat()
        assert flask_replay(app, "--since", tomorrow) == (0, "0 steps will be sent again\n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "give either --order-no or --since"),
        (["--order-no", "1", "--since", "2026-11-22T00:00:00Z"], 2, "give either --order-no or --since"),
        (["--since", "yesterday"], 2, "'yesterday' is not like 2026-11-22T20:15:00+08:00"),
        (["--since", "2026-11-22T20:15:00"], 2, "'2026-11-22T20:15:00' is not like 2026-11-22T20:15:00+08:00"),
        (["--order-no", "404"], 1, "Error: there is no order 404"),
    ],
)
def test_replay_of_nonsense(app: Flask, arguments: list[str], code: int, told: str) -> None:
    make_step(app, an_order(app), topic=None)
    with receiving(app):
        exit_code, output = flask_replay(app, *arguments)
    assert exit_code == code
    assert told in output
    assert outbox(app) == []


def test_replay_while_off(app: Flask) -> None:
    order = an_order(app)
    make_step(app, order, topic=None)
    assert flask_replay(app, "--order-no", order.order_no) == (
        1,
        "Error: WEBHOOK_URL is not set: there is nobody to send to\n",
    )
    assert outbox(app) == []


def test_what_is_said_of_people(app: Flask) -> None:
    """Nothing: whoever reads along learns neither names nor addresses."""
    order = an_order(app)
    event_id = make_step(app, order, event="reject_refund", role=Role.SELLER, note="请加微信 13800138000", topic=None)
    with receiving(app) as receiver:
        send(app, event_id)
    said: Any = receiver.deliveries[0].body
    assert set(said["data"]) == {"order_no", "sequence", "event", "role", "from", "to", "amount", "at"}
    assert "13800138000" not in str(said)
