"""Forgotten passwords: the addresses that help, the codes, and staff."""

import re
from datetime import timedelta
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.accounts.models import EndReason, LoginSession, User
from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.messaging import console
from app.messaging.base import Channel
from app.outbox.models import OutboxMessage
from app.recovery import service
from app.recovery.codes import RESEND_SECONDS, STAFF_TRIES, TRIES, VERIFY_CODES_PER_HOUR, code_of, purge_codes
from app.recovery.models import OneTimeCode, Purpose, RecoveryChannel
from app.recovery.schemas import masked
from app.recovery.service import send_code
from app.staff.models import StaffAction
from config import Environment, MessageProvider
from tasks.outbox import work_message
from tests.accounts.steps import all_rows, at_once, bearer, log_in, session_of
from tests.factories import PASSWORD, Made, assert_envelope, auth_headers, make_user, whole_database
from tests.settings import settings_with

RECOVERY = "/api/user/recovery/"
VERIFY = "/api/user/recovery/verify/"
FORGOT = "/api/password/forgot/"
RESET = "/api/password/reset/"
NEW = "new-secret-2"
MAIL = {"channel": "email", "address": "Xiao.Ming+1@example.com", "password": PASSWORD}


def deliver(app: Flask) -> list[dict[str, Any]]:
    """Do the work of the outbox as its worker does; the messages that went out."""
    with app.app_context(), structlog.testing.capture_logs() as lines:
        for row in all_rows(app, OutboxMessage):
            work_message(row["id"], row["attempts"])
    return [line for line in lines if line["event"] == "message_to_the_console"]


def code_in(message: dict[str, Any]) -> str:
    return re.findall(r"\d{8}", message["text"])[0]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def add_channel(app: Flask, user: Made, channel: Channel = Channel.EMAIL, address: str = "a@example.com") -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(
            RecoveryChannel.__table__.insert().values(
                user_id=user.id, channel=channel, address=address, verified_at=utcnow()
            )
        )


@pytest.fixture(autouse=True)
def unused_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger that was used keeps the processors of that time, and `capture_logs` would not see what it says."""
    for module in (console, service):
        monkeypatch.setattr(module, "log", structlog.get_logger(module.__name__))


@pytest.fixture
def alice(app: Flask, clean: None) -> Made:
    return make_user(app, "alice")


@pytest.fixture
def headers(app: Flask, alice: Made) -> dict[str, str]:
    return auth_headers(app, alice)


def reset(client: FlaskClient, code: str, username: str = "Alice", **options: Any) -> Any:
    return client.post(RESET, json={"username": username, "code": code, "new_password": NEW}, **options)


def forgotten(app: Flask, client: FlaskClient) -> str:
    """A code that came by mail."""
    assert_envelope(client.post(FORGOT, json={"username": "alice"}), Answer.RESET_REQUESTED)
    [message] = deliver(app)
    return code_in(message)


# --- addresses ---


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [("email", "Xiao.Ming+1@example.com", "X***@example.com"), ("mobile", "13800138000", "138****8000")],
)
def test_an_address_counts_once_its_code_came_back(
    app: Flask, client: FlaskClient, headers: dict[str, str], channel: str, address: str, shown: str
) -> None:
    assert assert_envelope(client.get(RECOVERY, headers=headers), Answer.RECOVERY_FOUND) == {
        "email": None,
        "mobile": None,
    }
    body = {"channel": channel, "address": address, "password": PASSWORD}
    assert assert_envelope(client.post(RECOVERY, json=body, headers=headers), Answer.CODE_SENT) is None
    [message] = deliver(app)
    assert message["to"] == address
    assert deliver(app) == []
    assert assert_envelope(client.get(RECOVERY, headers=headers), Answer.RECOVERY_FOUND)[channel] is None
    code = code_in(message)
    given = {"channel": channel, "code": f" {code[:4]} {code[4:]} "}
    data = assert_envelope(client.post(VERIFY, json=given, headers=headers), Answer.RECOVERY_VERIFIED)
    assert data[channel]["address"] == shown
    [row] = all_rows(app, RecoveryChannel)
    assert (row["channel"], row["address"]) == (channel, address)
    again = client.post(VERIFY, json=given, headers=headers)
    assert assert_envelope(again, Answer.CODE_WRONG) is None


def test_another_address_takes_the_place_of_the_first(
    app: Flask, client: FlaskClient, alice: Made, headers: dict[str, str]
) -> None:
    add_channel(app, alice)
    client.post(RECOVERY, json=MAIL, headers=headers)
    assert all_rows(app, RecoveryChannel)[0]["address"] == "a@example.com"
    [message] = deliver(app)
    other = client.post(VERIFY, json={"channel": "mobile", "code": code_in(message)}, headers=headers)
    assert_envelope(other, Answer.CODE_WRONG)
    client.post(VERIFY, json={"channel": "email", "code": code_in(message)}, headers=headers)
    assert [row["address"] for row in all_rows(app, RecoveryChannel)] == [MAIL["address"]]
    body = {"channel": "email", "password": PASSWORD}
    data = assert_envelope(client.delete(RECOVERY, json=body, headers=headers), Answer.RECOVERY_REMOVED)
    assert data == {"email": None, "mobile": None}
    assert all_rows(app, RecoveryChannel) == []


def test_a_stolen_session_sets_and_removes_no_address(
    app: Flask, client: FlaskClient, alice: Made, headers: dict[str, str]
) -> None:
    add_channel(app, alice)
    before = whole_database(app)
    wrong_password = {"password": "wrong-pass-1"}
    for response in (
        client.post(RECOVERY, json=MAIL | wrong_password, headers=headers),
        client.delete(RECOVERY, json={"channel": "email"} | wrong_password, headers=headers),
    ):
        assert assert_envelope(response, Answer.OLD_PASSWORD_WRONG) is None
    assert whole_database(app) == before


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("email", "13800138000"),
        ("email", "a@b"),
        ("email", "a@example.com, b@example.com"),
        ("email", "a@example.com\r\nBcc: b@example.com"),
        ("email", "<a@example.com>"),
        ("email", "a..b@example.com"),
        ("email", ".a@example.com"),
        ("email", "a.@example.com"),
        ("email", "a" * 65 + "@example.com"),
        ("email", "a@-example.com"),
        ("email", "a@example..com"),
        ("email", "小明@example.com"),
        ("email", "a" * 250 + "@example.com"),
        ("mobile", "a@example.com"),
        ("mobile", "12800138000"),
        ("mobile", "+86138001380"),
        ("mobile", "010-62345678"),
        ("mobile", "98765432"),
        ("pigeon", "a@example.com"),
    ],
)
def test_addresses_that_are_none(
    app: Flask, client: FlaskClient, headers: dict[str, str], channel: str, address: str
) -> None:
    before = whole_database(app)
    body = {"channel": channel, "address": address, "password": PASSWORD}
    assert_envelope(client.post(RECOVERY, json=body, headers=headers), Answer.MALFORMED)
    assert whole_database(app) == before


@pytest.mark.parametrize("channel", ["email", "mobile"])
def test_what_nothing_carries_is_refused(
    app: Flask, client: FlaskClient, headers: dict[str, str], channel: str
) -> None:
    before = whole_database(app)
    body = {
        "channel": channel,
        "address": "a@example.com" if channel == "email" else "13800138000",
        "password": PASSWORD,
    }
    with settings_with(app, environment=Environment.PRODUCTION):
        refused = client.post(RECOVERY, json=body, headers=headers)
    assert assert_envelope(refused, Answer.CHANNEL_UNAVAILABLE) is None
    assert whole_database(app) == before


@pytest.mark.parametrize("address", ["a..b@example.com", "a@example.com\r\nBcc: b@example.com"])
def test_an_address_that_takes_no_mail_ends_with_a_line_in_the_log(
    app: Flask, client: FlaskClient, alice: Made, address: str
) -> None:
    """As from before such addresses were refused."""
    add_channel(app, alice, address=address)
    client.post(FORGOT, json={"username": "alice"})
    smtp = {
        "mail_provider": MessageProvider.SMTP,
        "smtp_host": "127.0.0.1",
        "smtp_port": 1,
        "mail_from": "a@example.com",
    }
    with settings_with(app, **smtp), app.app_context(), structlog.testing.capture_logs() as lines:
        for row in all_rows(app, OutboxMessage):
            work_message(row["id"], row["attempts"])
    assert all_rows(app, OutboxMessage) == []
    assert [line for line in lines if line["log_level"] != "info"] == [
        {
            "event": "code_undeliverable",
            "log_level": "warning",
            "code_id": 1,
            "channel": "email",
            "reason": "InvalidHeaderDefect" if ".." in address else "ValueError",
        }
    ]


def test_an_account_is_not_flooded(app: Flask, client: FlaskClient, alice: Made, headers: dict[str, str]) -> None:
    add_channel(app, alice)
    for _ in range(VERIFY_CODES_PER_HOUR):
        client.post(RECOVERY, json=MAIL, headers=headers)
    before = whole_database(app)
    refused = client.post(RECOVERY, json=MAIL, headers=headers)
    assert assert_envelope(refused, Answer.TOO_MANY_CODES) is None
    assert refused.headers["Retry-After"] == "3600"
    assert whole_database(app) == before


def test_many_requests_send_one_code_that_is_good(app: Flask, client: FlaskClient, alice: Made) -> None:
    """Strangers who ask for codes bar nobody, and fill no mailbox."""
    add_channel(app, alice)

    def ask(number: int) -> Any:
        elsewhere = {"REMOTE_ADDR": f"198.51.100.{number % 4}"}
        return app.test_client().post(FORGOT, json={"username": "alice"}, environ_base=elsewhere)

    answers = at_once(4, ask) + [ask(number) for number in range(20)]
    assert {answer.data for answer in answers} == {answers[0].data}
    [message] = deliver(app)
    assert len(all_rows(app, OneTimeCode)) == 1
    assert_envelope(reset(client, code_in(message)), Answer.PASSWORD_RESET)
    assert_envelope(ask(0), Answer.RESET_REQUESTED)  # what was used is under way no more
    assert len(deliver(app)) == 1


@pytest.mark.parametrize(
    "changes", [{"created_at": OneTimeCode.created_at - timedelta(seconds=RESEND_SECONDS)}, {"tries_left": 0}]
)
def test_a_code_is_sent_again_when_it_is_time_or_the_last_is_spoiled(
    app: Flask, client: FlaskClient, alice: Made, changes: dict[str, Any]
) -> None:
    add_channel(app, alice)
    first = forgotten(app, client)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OneTimeCode).values(**changes))
    second = forgotten(app, client)
    assert second != first
    good = second if "tries_left" in changes else first  # both are, unless the first is spoiled
    assert_envelope(reset(client, good), Answer.PASSWORD_RESET)


@pytest.mark.parametrize(
    ("address", "shown"),
    [("a@example.com", "a***@example.com"), ("13800138000", "138****8000"), ("+85298765432", "+852****5432")],
)
def test_addresses_are_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


# --- forgotten passwords ---


def test_a_forgotten_password_is_set_anew(app: Flask, client: FlaskClient, alice: Made) -> None:
    add_channel(app, alice)
    add_channel(app, alice, Channel.MOBILE, "13800138000")
    kept = session_of(client, "alice")
    assert_envelope(client.post(FORGOT, json={"username": " ALICE "}), Answer.RESET_REQUESTED)
    [message] = deliver(app)
    assert message["to"] == "a@example.com"
    code = code_in(message)
    assert code not in str(whole_database(app))  # it is kept nowhere
    assert assert_envelope(reset(client, code), Answer.PASSWORD_RESET) is None
    assert_envelope(client.get("/api/user/", headers=bearer(kept["access_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(client.post("/api/token_refresh/", headers=bearer(kept["refresh_token"])), Answer.TOKEN_REVOKED)
    assert {row["end_reason"] for row in all_rows(app, LoginSession)} == {EndReason.PASSWORD_RESET}
    assert_envelope(log_in(client, "alice"), Answer.WRONG_CREDENTIALS)
    session_of(client, "alice", NEW)
    assert_envelope(reset(client, code), Answer.CODE_WRONG)


def test_asking_leaves_the_same_trace_for_every_name(app: Flask, client: FlaskClient, alice: Made) -> None:
    """The same answer, the same rows; only the job that sends looks whether there is such a user."""
    add_channel(app, alice)
    make_user(app, "bob")
    before = whole_database(app)
    answers = [client.post(FORGOT, json={"username": name}) for name in ("alice", "bob", "nobody")]
    assert len({answer.data for answer in answers}) == 1
    changed = whole_database(app)
    assert [name for name, rows in changed.items() if rows != before[name]] == ["one_time_codes", "outbox"]
    rows = all_rows(app, OneTimeCode)
    assert [row["username_key"] for row in rows] == ["alice", "bob", "nobody"]
    for row in rows:
        assert (row["channel"], row["address"], row["tries_left"]) == (None, None, TRIES[Purpose.RESET])
    assert [message["to"] for message in deliver(app)] == ["a@example.com"]
    with app.app_context(), db.engine.connect() as connection:
        codes = [code_of(row) for row in connection.execute(select(OneTimeCode.__table__).order_by(OneTimeCode.id))]
    refused = [reset(client, code, username=name) for name, code in (("nobody", codes[2]), ("nobody", codes[0]))]
    refused.append(reset(client, wrong(codes[0]), username="alice"))
    assert len({answer.data for answer in refused}) == 1
    assert_envelope(refused[0], Answer.CODE_WRONG)


def test_a_code_allows_few_guesses(app: Flask, client: FlaskClient, alice: Made) -> None:
    add_channel(app, alice)
    code = forgotten(app, client)
    before = all_rows(app, User)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OneTimeCode).values(tries_left=5))  # of the hundred
    for number in range(5):
        guess = reset(client, wrong(code), environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})
        assert_envelope(guess, Answer.CODE_WRONG)
    assert_envelope(reset(client, code, environ_base={"REMOTE_ADDR": "192.0.2.99"}), Answer.CODE_WRONG)
    assert all_rows(app, User) == before
    assert [row["tries_left"] for row in all_rows(app, OneTimeCode)] == [0]


@pytest.mark.parametrize("by_staff", [False, True])
def test_a_strangers_guesses_leave_the_owner_the_codes(
    app: Flask, client: FlaskClient, alice: Made, by_staff: bool
) -> None:
    add_channel(app, alice)
    result = app.test_cli_runner().invoke(args=["user", "reset-code", "alice", "--reason", "来函核实"])
    codes = {False: forgotten(app, client), True: result.output.split()[0]}
    for network in range(2):
        stranger = {"REMOTE_ADDR": f"192.0.2.{network}"}
        for _ in range(5):
            assert_envelope(reset(client, wrong(codes[False]), environ_base=stranger), Answer.CODE_WRONG)
        assert_envelope(reset(client, wrong(codes[False]), environ_base=stranger), Answer.TOO_MANY_REQUESTS)
    left = {row["by_staff"]: row["tries_left"] for row in all_rows(app, OneTimeCode)}
    assert left == {False: TRIES[Purpose.RESET] - 10, True: STAFF_TRIES}
    assert_envelope(reset(client, codes[by_staff], environ_base={"REMOTE_ADDR": "192.0.2.99"}), Answer.PASSWORD_RESET)
    session_of(client, "alice", NEW)


@pytest.mark.parametrize("by_staff", [False, True])
def test_strangers_everywhere_leave_the_codes_to_an_owner_at_home(
    app: Flask, client: FlaskClient, alice: Made, by_staff: bool
) -> None:
    """Twenty addresses have all the guesses that a code bears."""
    add_channel(app, alice)
    home, elsewhere = {"REMOTE_ADDR": "198.51.100.7"}, {"REMOTE_ADDR": "192.0.2.99"}
    assert_envelope(log_in(client, "alice", environ_base=home), Answer.LOGGED_IN)
    result = app.test_cli_runner().invoke(args=["user", "reset-code", "alice", "--reason", "来函核实"])
    code = {False: forgotten(app, client), True: result.output.split()[0]}[by_staff]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OneTimeCode).values(tries_left=0))
    before = all_rows(app, User), all_rows(app, OneTimeCode)
    assert_envelope(reset(client, code, environ_base=elsewhere), Answer.CODE_WRONG)
    # Nor has a home more guesses than any other network.
    for _ in range(4):
        assert_envelope(reset(client, "0" * len(code), environ_base=home), Answer.CODE_WRONG)
    assert (all_rows(app, User), all_rows(app, OneTimeCode)) == before
    assert_envelope(reset(client, code, environ_base=home), Answer.PASSWORD_RESET)
    session_of(client, "alice", NEW)


def test_guesses_at_home_are_few(app: Flask, client: FlaskClient, alice: Made) -> None:
    add_channel(app, alice)
    home = {"REMOTE_ADDR": "198.51.100.7"}
    assert_envelope(log_in(client, "alice", environ_base=home), Answer.LOGGED_IN)
    code = forgotten(app, client)
    for _ in range(5):
        assert_envelope(reset(client, wrong(code), environ_base=home), Answer.CODE_WRONG)
    assert_envelope(reset(client, code, environ_base=home), Answer.TOO_MANY_REQUESTS)
    assert [row["tries_left"] for row in all_rows(app, OneTimeCode)] == [TRIES[Purpose.RESET]]


def test_guessing_codes_is_slowed(app: Flask, client: FlaskClient, alice: Made) -> None:
    for _ in range(5):
        assert_envelope(reset(client, "00000000"), Answer.CODE_WRONG)
    slowed = reset(client, "00000000")
    assert assert_envelope(slowed, Answer.TOO_MANY_REQUESTS) is None
    assert slowed.headers["Retry-After"] == "1"
    session_of(client, "alice")  # with the password nobody waits


def test_simultaneous_uses_of_a_code_set_one_password(app: Flask, client: FlaskClient, alice: Made) -> None:
    add_channel(app, alice)
    code = forgotten(app, client)

    def use(number: int) -> Any:
        body = {"username": "alice", "code": code, "new_password": f"new-secret-{number}"}
        return app.test_client().post(RESET, json=body, environ_base={"REMOTE_ADDR": f"192.0.2.{number}"})

    answers = at_once(4, use)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    [winner] = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    session_of(client, "alice", f"new-secret-{winner}")


def test_a_code_ends(app: Flask, client: FlaskClient, alice: Made) -> None:
    add_channel(app, alice)
    code = forgotten(app, client)
    client.post(FORGOT, json={"username": "bob"})
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(OneTimeCode).values(expires_at=utcnow() - timedelta(seconds=1)))
    assert_envelope(reset(client, code), Answer.CODE_WRONG)
    assert deliver(app) == []  # what could not be sent in time is not sent late
    with app.app_context():
        purge_codes()
        assert len(all_rows(app, OneTimeCode)) == 2
        with db.engine.begin() as connection:
            connection.execute(update(OneTimeCode).values(expires_at=utcnow() - timedelta(hours=25)))
        purge_codes()
        send_code(1)
    assert all_rows(app, OneTimeCode) == []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"code": "1234567"}, {"code": ["须为 8 或 12 位数字"]}),
        ({"code": "１２３４５６７８ 0000"}, {"code": ["须为 8 或 12 位数字"]}),
        ({"code": 12345678}, {"code": ["须为文字"]}),
        ({"new_password": "short-1"}, {"new_password": ["须为 8 至 64 个字符"]}),
        ({"username": "alice_no1", "new_password": "Alice_no1"}, {"new_password": ["不能与用户名相同"]}),
    ],
)
def test_resets_that_are_malformed(
    app: Flask, client: FlaskClient, alice: Made, body: dict[str, Any], errors: dict[str, Any]
) -> None:
    before = whole_database(app)
    sent = {"username": "alice", "code": "12345678", "new_password": NEW, **body}
    assert assert_envelope(client.post(RESET, json=sent), Answer.MALFORMED) == {"errors": errors}
    assert whole_database(app) == before


# --- staff ---


def test_staff_hand_out_a_code(app: Flask, client: FlaskClient, alice: Made) -> None:
    staff = make_user(app, "service", staff=True)
    url = f"/api/staff/user/{alice.id}/reset_code/"
    issued = assert_envelope(
        client.post(url, json={"reason": "电话核实"}, headers=auth_headers(app, staff)), Answer.RESET_CODE_ISSUED
    )
    [action] = all_rows(app, StaffAction)
    assert (action["actor_id"], action["action"], action["subject_id"]) == (staff.id, "issue_reset_code", alice.id)
    assert action["details"] == {"expires_at": issued["expires_at"]}
    listed = client.get("/api/staff/actions/", headers=auth_headers(app, staff)).get_json()["data"]
    assert [(each["action_text"], each["reason"]) for each in listed["items"]] == [("签发密码重置码", "电话核实")]
    assert all_rows(app, OutboxMessage) == []
    assert_envelope(reset(client, issued["code"]), Answer.PASSWORD_RESET)
    session_of(client, "alice", NEW)


def test_staff_take_over_no_colleague(app: Flask, client: FlaskClient, alice: Made) -> None:
    staff, colleague = make_user(app, "service", staff=True), make_user(app, "colleague", staff=True)
    before = whole_database(app)
    for user_id, answer in ((colleague.id, Answer.FORBIDDEN), (999, Answer.NO_SUCH_USER)):
        url = f"/api/staff/user/{user_id}/reset_code/"
        response = client.post(url, json={"reason": "电话核实"}, headers=auth_headers(app, staff))
        assert assert_envelope(response, answer) is None
    assert whole_database(app) == before


def test_an_operator_hands_out_a_code(app: Flask, client: FlaskClient, alice: Made) -> None:
    runner = app.test_cli_runner()
    result = runner.invoke(args=["user", "reset-code", "ALICE", "--reason", "来函核实"])
    assert result.exit_code == 0
    code, until = re.fullmatch(r"(\d{12})  \(until (.+)\)\n", result.output).groups()  # type: ignore[union-attr] # it matches
    [action] = all_rows(app, StaffAction)
    assert (action["actor_id"], action["details"]) == (None, {"expires_at": until})
    assert_envelope(reset(client, code), Answer.PASSWORD_RESET)
    before = whole_database(app)
    missing = runner.invoke(args=["user", "reset-code", "nobody", "--reason", "来函核实"])
    assert (missing.exit_code, missing.output) == (1, "Error: there is no user nobody\n")
    assert whole_database(app) == before
