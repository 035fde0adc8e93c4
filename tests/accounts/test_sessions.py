"""Sessions end: whatever becomes of Valkey, of the answer, of the login under way and of the process that ends them."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select, update

from app.accounts import service, sessions
from app.accounts.models import EndReason, LoginSession, User
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import after_commit, transaction
from app.extensions import valkey
from config import Settings
from tests.accounts.steps import all_rows, at_once, bearer, log_in, session_of
from tests.conftest import MakeApp
from tests.factories import PASSWORD, StatementCounter, assert_envelope, auth_headers, make_user
from tests.moderation.steps import waiting_for_locks
from tests.settings import settings_with

OWN = "/api/user/"
REFRESH = "/api/token_refresh/"
LOGOUT = "/api/logout/"
CHANGE = "/api/user/password/"
PASSWORDS = {"old_password": PASSWORD, "new_password": "new-secret-2"}


def own(client: FlaskClient, tokens: Any) -> Any:
    return client.get(OWN, headers=bearer(tokens["access_token"]))


def refresh(client: FlaskClient, tokens: Any) -> Any:
    return client.post(REFRESH, headers=bearer(tokens["refresh_token"]))


def flush(app: Flask) -> None:
    app.extensions["valkey"].flushall()


def logged_in_sessions(app: Flask) -> list[dict[str, Any]]:
    """The rows of sessions that logins made, in their order."""
    with app.app_context(), db.engine.connect() as connection:
        rows = connection.execute(select(LoginSession.__table__).order_by(LoginSession.created_at))
        return [dict(row._mapping) for row in rows if not row.id.startswith("test-session-")]


# --- without Valkey ---


def test_what_ended_stays_ended_when_valkey_is_emptied(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    left, stolen, here, elsewhere = (session_of(client, "alice") for _ in range(4))
    assert_envelope(client.post(LOGOUT, headers=bearer(left["access_token"])), Answer.LOGGED_OUT)
    renewed = assert_envelope(refresh(client, stolen), Answer.TOKEN_REFRESHED)
    with settings_with(app, refresh_reuse_interval=0):
        time.sleep(0.01)
        flush(app)
        assert_envelope(own(client, left), Answer.TOKEN_REVOKED)
        assert_envelope(refresh(client, left), Answer.TOKEN_REVOKED)
        assert_envelope(refresh(client, stolen), Answer.TOKEN_REVOKED)
    assert_envelope(own(client, renewed), Answer.TOKEN_REVOKED)
    flush(app)
    assert_envelope(own(client, renewed), Answer.TOKEN_REVOKED)
    changed = client.post(CHANGE, json=PASSWORDS, headers=bearer(here["access_token"]))
    assert_envelope(changed, Answer.PASSWORD_CHANGED)
    for _ in range(2):
        assert_envelope(own(client, elsewhere), Answer.TOKEN_REVOKED)
        assert_envelope(refresh(client, elsewhere), Answer.TOKEN_REVOKED)
        assert_envelope(own(client, here), Answer.USER_FOUND)
        flush(app)
    assert [row["end_reason"] for row in logged_in_sessions(app)] == [
        EndReason.LOGGED_OUT,
        EndReason.REFRESH_REUSED,
        None,
        EndReason.PASSWORD_CHANGED,
    ]


def test_without_valkey_postgresql_alone_decides(client: FlaskClient, app: Flask, make_app: MakeApp) -> None:
    make_user(app, "alice")
    kept, ended = session_of(client, "alice"), session_of(client, "alice")
    alone = make_app(REDIS_URL="redis://127.0.0.1:1/0").test_client()
    assert_envelope(own(alone, kept), Answer.USER_FOUND)
    assert_envelope(alone.post(LOGOUT, headers=bearer(ended["access_token"])), Answer.LOGGED_OUT)
    for tokens, answer in ((kept, Answer.USER_FOUND), (ended, Answer.TOKEN_REVOKED)):
        assert_envelope(own(alone, tokens), answer)
        assert_envelope(own(client, tokens), answer)
    assert_envelope(refresh(alone, kept), Answer.TOKEN_REFRESHED)
    assert_envelope(refresh(alone, ended), Answer.TOKEN_REVOKED)


# --- the cache ---


def test_a_cached_session_costs_no_statement(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    tokens = session_of(client, "alice")
    counts = []
    for _ in range(3):
        counter = StatementCounter()
        with app.app_context():
            event.listen(db.engine, "before_cursor_execute", counter.on_execute)
            try:
                assert_envelope(
                    client.get("/api/address/", headers=bearer(tokens["access_token"])), Answer.NO_ADDRESSES
                )
            finally:
                event.remove(db.engine, "before_cursor_execute", counter.on_execute)
        counts.append(len(counter.statements))
    assert counts == [2, 1, 1]


def test_a_verdict_is_cached_for_a_limited_time(client: FlaskClient, app: Flask, settings: Settings) -> None:
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    [row] = logged_in_sessions(app)
    own(client, tokens)
    with app.app_context():
        assert valkey().get(f"session:{row['id']}") == str(alice.id)
        assert valkey().ttl(f"session:{row['id']}") in (59, 60)
    assert settings.session_cache_lifetime == 60


def test_a_process_that_dies_around_the_commit_leaves_no_living_verdict(client: FlaskClient, app: Flask) -> None:
    """The row is ended, the note that says so is never written: what `unsure` is for."""
    make_user(app, "alice")
    tokens = session_of(client, "alice")
    [row] = logged_in_sessions(app)
    assert_envelope(own(client, tokens), Answer.USER_FOUND)

    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    def end_and_die() -> None:
        with transaction() as session:
            after_commit(session, die)
            sessions.end_session(user_id=row["user_id"], session_id=row["id"])

    with app.app_context():
        with pytest.raises(Died):
            end_and_die()
        assert valkey().get(f"session:{row['id']}") == "unsure"
    assert_envelope(own(client, tokens), Answer.TOKEN_REVOKED)


def test_a_reader_that_was_overtaken_caches_nothing(client: FlaskClient, app: Flask) -> None:
    """It has read that the session lives; then the session ends; then it would cache what it read."""
    make_user(app, "alice")
    tokens = session_of(client, "alice")
    [row] = logged_in_sessions(app)
    read, ended = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "FROM sessions JOIN users" in " ".join(statement.split()) and "FOR UPDATE" not in statement:
            read.set()
            ended.wait(10)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", hold)
    answers = []
    reader = threading.Thread(target=lambda: answers.append(own(app.test_client(), tokens)))
    try:
        reader.start()
        assert read.wait(10)
        with app.app_context():
            sessions.end_session(user_id=row["user_id"], session_id=row["id"])
    finally:
        ended.set()
        reader.join()
        event.remove(engine, "after_cursor_execute", hold)
    assert_envelope(answers[0], Answer.USER_FOUND)  # it was asked before the end
    assert_envelope(own(client, tokens), Answer.TOKEN_REVOKED)


def test_ending_that_is_rolled_back_ends_nothing(client: FlaskClient, app: Flask) -> None:
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    before = all_rows(app, LoginSession)

    def end_and_fail() -> None:
        with transaction() as session:
            sessions.end_sessions(session, user_id=alice.id, reason=EndReason.SUSPENDED)
            raise ZeroDivisionError

    with app.app_context(), pytest.raises(ZeroDivisionError):
        end_and_fail()
    assert all_rows(app, LoginSession) == before
    assert_envelope(own(client, tokens), Answer.USER_FOUND)


def test_a_session_that_was_overlooked_is_dead_by_its_generation(client: FlaskClient, app: Flask) -> None:
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(User).where(User.id == alice.id).values(generation=1))
    assert_envelope(own(client, tokens), Answer.TOKEN_REVOKED)
    assert_envelope(refresh(client, tokens), Answer.TOKEN_REVOKED)
    with app.app_context(), pytest.raises(Refused) as refused:
        sessions.start_session(user_id=alice.id, generation=0)
    assert refused.value.answer is Answer.WRONG_CREDENTIALS


def test_a_session_that_was_just_used_ends_with_the_password(client: FlaskClient, app: Flask) -> None:
    """It is cached as living, so its generation is not asked for: its end has to reach the cache."""
    make_user(app, "alice")
    here, elsewhere = session_of(client, "alice"), session_of(client, "alice")
    for tokens in (here, elsewhere):
        assert_envelope(own(client, tokens), Answer.USER_FOUND)
    changed = client.post(CHANGE, json=PASSWORDS, headers=bearer(here["access_token"]))
    assert_envelope(changed, Answer.PASSWORD_CHANGED)
    assert_envelope(own(client, elsewhere), Answer.TOKEN_REVOKED)
    assert_envelope(own(client, here), Answer.USER_FOUND)


def test_a_token_of_another_users_session_opens_nothing(client: FlaskClient, app: Flask) -> None:
    alice, bob = make_user(app, "alice"), make_user(app, "bob")
    with app.app_context():
        assert sessions.lives(session_id=f"test-session-{alice.id}", user_id=alice.id)
        assert not sessions.lives(session_id=f"test-session-{alice.id}", user_id=bob.id)
        valkey().flushall()
        assert not sessions.lives(session_id=f"test-session-{alice.id}", user_id=bob.id)


# --- refreshing ---


def test_a_refresh_asked_for_again_answers_the_same_pair(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    first = session_of(client, "alice")
    second = assert_envelope(refresh(client, first), Answer.TOKEN_REFRESHED)
    flush(app)
    assert assert_envelope(refresh(client, first), Answer.TOKEN_REFRESHED) == second
    third = assert_envelope(refresh(client, second), Answer.TOKEN_REFRESHED)
    assert third["refresh_token"] != second["refresh_token"]
    assert third["access_token"] != second["access_token"]
    for tokens in (first, second, third):
        assert_envelope(own(client, tokens), Answer.USER_FOUND)


def test_tabs_that_refresh_at_once_get_the_same_pair(app: Flask, clean: None) -> None:
    make_user(app, "alice")
    client = app.test_client()
    tokens = session_of(client, "alice")
    for _ in range(5):
        held = tokens
        answers = at_once(8, lambda _number: refresh(app.test_client(), held))  # noqa: B023 - called within the round
        pairs = [assert_envelope(answer, Answer.TOKEN_REFRESHED) for answer in answers]
        assert all(pair == pairs[0] for pair in pairs)
        tokens = pairs[0]
    assert_envelope(own(client, tokens), Answer.USER_FOUND)


@pytest.mark.parametrize("seconds", [-11, 11])
def test_a_refresh_token_used_again_later_ends_its_session(client: FlaskClient, app: Flask, seconds: int) -> None:
    """Also where the clock was set back since: it opens no interval again."""
    make_user(app, "alice")
    stolen, other = session_of(client, "alice"), session_of(client, "alice")
    renewed = assert_envelope(refresh(client, stolen), Answer.TOKEN_REFRESHED)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(
            update(LoginSession)
            .where(LoginSession.previous_jti.is_not(None))
            .values(refreshed_at=utcnow() + timedelta(seconds=seconds))
        )
    assert assert_envelope(refresh(client, stolen), Answer.TOKEN_REVOKED) is None
    for tokens in (stolen, renewed):
        assert_envelope(own(client, tokens), Answer.TOKEN_REVOKED)
        assert_envelope(refresh(client, tokens), Answer.TOKEN_REVOKED)
    assert_envelope(own(client, other), Answer.USER_FOUND)
    assert_envelope(refresh(client, other), Answer.TOKEN_REFRESHED)


def test_a_token_two_refreshes_old_ends_its_session_at_once(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    first = session_of(client, "alice")
    second = assert_envelope(refresh(client, first), Answer.TOKEN_REFRESHED)
    third = assert_envelope(refresh(client, second), Answer.TOKEN_REFRESHED)
    assert_envelope(refresh(client, first), Answer.TOKEN_REVOKED)
    assert_envelope(own(client, third), Answer.TOKEN_REVOKED)


def test_a_refresh_makes_the_session_live_longer(client: FlaskClient, app: Flask, settings: Settings) -> None:
    make_user(app, "alice")
    tokens = session_of(client, "alice")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(LoginSession).values(expires_at=utcnow() + timedelta(seconds=60)))
    assert_envelope(refresh(client, tokens), Answer.TOKEN_REFRESHED)
    [row] = logged_in_sessions(app)
    assert row["expires_at"] - row["refreshed_at"] == timedelta(seconds=settings.refresh_token_lifetime)


def test_rows_are_purged_when_their_tokens_are_over(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    over, recent, live = (session_of(client, "alice") for _ in range(3))
    rows = logged_in_sessions(app)
    with app.app_context():
        for row, hours in zip(rows[:2], (25, 23), strict=True):
            with db.engine.begin() as connection:
                expired = utcnow() - timedelta(hours=hours)
                connection.execute(update(LoginSession).where(LoginSession.id == row["id"]).values(expires_at=expired))
        assert sessions.purge_sessions() == 1
    assert [row["id"] for row in logged_in_sessions(app)] == [row["id"] for row in rows[1:]]
    for tokens, answer in ((over, Answer.TOKEN_REVOKED), (recent, Answer.TOKEN_REVOKED), (live, Answer.USER_FOUND)):
        assert_envelope(own(client, tokens), answer)


# --- a login and a change of the password at once ---


def test_a_login_that_verified_the_old_password_gets_no_session(client: FlaskClient, app: Flask) -> None:
    """The change falls between the verification and the session, every time."""
    alice = make_user(app, "alice")
    here = session_of(client, "alice")
    with app.app_context():
        engine = db.engine
    changed = []

    def change(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO sessions") and not changed:
            # In a thread, because one in this application context would join the login's transaction.
            with ThreadPoolExecutor(1) as pool:
                headers = bearer(here["access_token"])
                changed.append(pool.submit(lambda: client.post(CHANGE, json=PASSWORDS, headers=headers)).result())

    event.listen(engine, "before_cursor_execute", change)
    try:
        late = log_in(app.test_client(), "alice")
    finally:
        event.remove(engine, "before_cursor_execute", change)
    assert_envelope(changed[0], Answer.PASSWORD_CHANGED)
    assert assert_envelope(late, Answer.WRONG_CREDENTIALS) is None
    assert [row["id"] for row in logged_in_sessions(app)] == [logged_in_sessions(app)[0]["id"]]
    assert_envelope(own(client, here), Answer.USER_FOUND)
    assert all_rows(app, User)[0]["generation"] == 1
    assert alice.id == all_rows(app, User)[0]["id"]


def test_no_login_outlives_a_change_of_the_password(make_app: MakeApp) -> None:
    """Thirty races of three logins by the old password, another tab's refresh and the change."""
    app = make_app(LOGIN_FAILURES_ALLOWED="1000")  # those that come late know a wrong password
    make_user(app, "alice")
    passwords = [PASSWORD, *(f"new-secret-{number}" for number in range(2, 32))]
    client = app.test_client()
    for old, new in itertools.pairwise(passwords):
        here, tab = session_of(client, "alice", old), session_of(client, "alice", old)
        body = {"old_password": old, "new_password": new}
        acts: list[Callable[[], Any]] = [
            lambda: app.test_client().post(CHANGE, json=body, headers=bearer(here["access_token"])),  # noqa: B023 - called within the round
            lambda: refresh(app.test_client(), tab),  # noqa: B023 - as above
            *[lambda: log_in(app.test_client(), "alice", old)] * 3,  # noqa: B023 - as above
        ]
        change, refreshed, *logins = at_once(len(acts), lambda number: acts[number]())  # noqa: B023 - as above
        assert_envelope(change, Answer.PASSWORD_CHANGED)
        for answer in (refreshed, *logins):
            if answer.status_code == 200:
                tokens = answer.get_json()["data"]
                assert_envelope(own(client, tokens), Answer.TOKEN_REVOKED)
                assert_envelope(refresh(client, tokens), Answer.TOKEN_REVOKED)
        assert_envelope(own(client, here), Answer.USER_FOUND)
        assert_envelope(client.post(LOGOUT, headers=bearer(here["access_token"])), Answer.LOGGED_OUT)
    alive = [row for row in logged_in_sessions(app) if row["ended_at"] is None]
    assert alive == []


def test_a_refresh_that_waits_for_a_change_of_the_password_goes_on_in_the_session_that_made_it(
    client: FlaskClient, app: Flask
) -> None:
    """It was told that its session had ended, and another tab of the same browser logged its user out."""
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    [row] = logged_in_sessions(app)
    with ThreadPoolExecutor(1) as pool, app.app_context():
        with transaction() as session:
            sessions.end_sessions(session, user_id=alice.id, reason=EndReason.PASSWORD_CHANGED, keep=row["id"])
            session.flush()
            refreshed = pool.submit(lambda: refresh(app.test_client(), tokens))
            until = time.monotonic() + 20
            while waiting_for_locks(app) == 0:
                assert time.monotonic() < until
        renewed = assert_envelope(refreshed.result(20), Answer.TOKEN_REFRESHED)
    assert_envelope(own(client, renewed), Answer.USER_FOUND)


def test_a_change_kept_under_a_key_ends_the_sessions_when_it_is_committed(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    here, elsewhere = session_of(client, "alice"), session_of(client, "alice")
    assert_envelope(own(client, elsewhere), Answer.USER_FOUND)
    headers = {**bearer(here["access_token"]), "Idempotency-Key": "change-1"}
    for _ in range(2):
        assert_envelope(client.post(CHANGE, json=PASSWORDS, headers=headers), Answer.PASSWORD_CHANGED)
        assert_envelope(own(client, elsewhere), Answer.TOKEN_REVOKED)
        assert_envelope(own(client, here), Answer.USER_FOUND)


def test_a_guesser_in_one_session_slows_only_that_session(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    thief, owner = session_of(client, "alice"), session_of(client, "alice")
    wrong = {**PASSWORDS, "old_password": "wrong-pass-1"}
    before = all_rows(app, User)
    for _ in range(5):
        refused = client.post(CHANGE, json=wrong, headers=bearer(thief["access_token"]))
        assert_envelope(refused, Answer.OLD_PASSWORD_WRONG)
    slowed = client.post(CHANGE, json=PASSWORDS, headers=bearer(thief["access_token"]))
    assert assert_envelope(slowed, Answer.TOO_MANY_REQUESTS) is None
    assert slowed.headers["Retry-After"] == "1"
    assert all_rows(app, User) == before
    changed = client.post(CHANGE, json=PASSWORDS, headers=bearer(owner["access_token"]))
    assert_envelope(changed, Answer.PASSWORD_CHANGED)


def test_a_password_is_verified_once_more_only_with_the_right_one(context: Flask) -> None:
    alice = make_user(context, "alice")
    with pytest.raises(Refused) as refused:
        service.change_password(
            user_id=alice.id + 1, session_id="x", old_password=PASSWORD, new_password="new-secret-2"
        )
    assert refused.value.answer is Answer.NO_SUCH_USER


def test_headers_of_a_user_without_a_login_work_as_well(client: FlaskClient, app: Flask) -> None:
    """What `tests.factories` makes is a session like any other."""
    alice = make_user(app, "alice")
    headers = auth_headers(app, alice)
    assert_envelope(client.get(OWN, headers=headers), Answer.USER_FOUND)
    with app.app_context():
        sessions.end_session(user_id=alice.id, session_id=f"test-session-{alice.id}")
    assert_envelope(client.get(OWN, headers=headers), Answer.TOKEN_REVOKED)
