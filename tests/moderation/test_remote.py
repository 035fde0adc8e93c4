"""The second opinion of somebody else's service: Baidu's, against a server that speaks its protocol."""

import io
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from app.moderation.remote import opinion_version, with_opinion_on_picture, with_opinion_on_text
from app.moderation.remote.base import Unavailable
from app.moderation.remote.breaker import FAILURES, PAUSE, CircuitBreaker
from app.moderation.remote.opinion import await_turn
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from tests.conftest import MakeApp
from tests.moderation.baidu import KEY, SECRET, Baidu, baidu, verdict

OWN = Judgement("rules-7")
DOUBT = Hit(Category.FRAUD, "fraud.word", "可疑", Decision.REVIEW)


def picture(colour: str, width: int = 3000, height: int = 1500) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def service() -> Iterator[Baidu]:
    """A server of its own."""
    with baidu() as running:
        yield running


@pytest.fixture
def asked(make_app: MakeApp, service: Baidu) -> Iterator[Baidu]:
    """The application asks the server."""
    with make_app(**service.environment).app_context():
        yield service


def test_nobody_is_asked_unless_a_setting_says_so(make_app: MakeApp, service: Baidu) -> None:
    with make_app(**{**service.environment, "MODERATION_PROVIDER": "none"}).app_context():
        assert with_opinion_on_text(OWN, "骂人") == OWN
        assert with_opinion_on_picture(OWN, picture("red")) == OWN
        assert opinion_version() == ""
    assert service.paths == []


def test_what_the_service_finds_is_added(asked: Baidu) -> None:
    """The token is asked for once."""
    found = with_opinion_on_text(Judgement("rules-7", (DOUBT,)), "骂人的话")
    abuse = Hit(Category.ABUSE, "abuse.baidu", "内容未通过第三方审核", Decision.REJECT, 0.97)
    assert found == Judgement("rules-7+baidu", (DOUBT, abuse))
    assert with_opinion_on_text(OWN, "旧书") == Judgement("rules-7+baidu")
    assert with_opinion_on_picture(OWN, picture("blue")) == Judgement("rules-7+baidu")
    nude = Hit(Category.PORNOGRAPHY, "pornography.baidu", "内容未通过第三方审核", Decision.REVIEW, 0.83)
    assert with_opinion_on_picture(OWN, picture("red")).hits == (nude,)
    assert (asked.texts, asked.tokens) == (["骂人的话", "旧书"], ["24.token-0"])
    assert opinion_version() == "+baidu"


def test_pictures_are_sent_small_and_none_that_is_too_small(asked: Baidu) -> None:
    for width, height in ((3000, 1500), (100, 900), (40, 40)):
        with_opinion_on_picture(OWN, picture("blue", width, height))
    assert asked.pictures == [(1280, 640), (128, 900), (128, 128)]


def test_long_texts_are_sent_in_parts(asked: Baidu) -> None:
    text = "长" * 8000 + "骂"
    assert with_opinion_on_text(OWN, text).decision is Decision.REJECT
    assert "".join(asked.texts) == text
    assert len(asked.texts) == 2


def test_what_we_have_refused_is_not_sent(asked: Baidu) -> None:
    refused = Judgement("rules-7", (Hit(Category.WEAPONS, "weapons.word", "违禁", Decision.REJECT),))
    assert with_opinion_on_text(refused, "骂") == Judgement("rules-7+baidu", refused.hits)
    assert with_opinion_on_text(OWN, " \n") == Judgement("rules-7+baidu")
    assert asked.paths == []


def test_a_token_that_is_no_longer_valid_is_changed_once(asked: Baidu) -> None:
    with_opinion_on_text(OWN, "旧书")
    asked.tokens.append("24.of-somebody-else")
    assert with_opinion_on_text(OWN, "骂").decision is Decision.REJECT
    assert asked.tokens == ["24.token-0", "24.of-somebody-else", "24.token-2"]
    asked.script = [{"error_code": 111, "error_msg": "Access token expired"}] * 2
    assert with_opinion_on_text(OWN, "骂") == OWN
    assert len(asked.tokens) == 4


def test_an_answer_with_a_strange_entry_still_counts(asked: Baidu) -> None:
    strange = {"conclusionType": [2], "subType": {}}, 7, {"conclusionType": 2, "subType": [5], "probability": "high"}
    asked.script = [{"conclusionType": 2, "data": list(strange)}]
    [hit] = with_opinion_on_text(OWN, "旧书").hits
    assert (hit.category, hit.policy, hit.confidence) == (Category.CONTRABAND, Decision.REJECT, 1.0)


def test_too_many_queries_in_a_second_are_repeated_once(asked: Baidu) -> None:
    busy = {"error_code": 18, "error_msg": "Open api qps request limit reached"}
    asked.script = [busy]
    assert with_opinion_on_text(OWN, "骂").decision is Decision.REJECT
    asked.script = [busy, busy]
    assert with_opinion_on_text(OWN, "骂") == OWN


@pytest.mark.parametrize(
    "answer",
    [
        500,
        302,
        b"<html>",
        b"[]",
        b"[" * 100_000,
        {"error_code": [18]},
        {"error_code": {"a": "x" * 10_000}},
        {"conclusionType": [1]},
        b" " * 1_000_001,
        {"conclusion": "审核失败", "conclusionType": 4},
        {"error_code": 282000, "error_msg": "internal error"},
        {},
    ],
)
def test_where_it_gives_no_verdict_our_own_counts(asked: Baidu, answer: Any) -> None:
    """Under a version that does not name it, so that it is asked again."""
    asked.script = [answer]
    assert with_opinion_on_text(OWN, "骂") == OWN


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (verdict(2, type=12, subType=99), (Category.CONTRABAND, Decision.REJECT, 1.0)),
        (verdict(3, type=12, subType=4, probability="?"), (Category.CONTACT, Decision.REVIEW, 1.0)),
        ({"conclusionType": 2, "data": "none"}, (Category.CONTRABAND, Decision.REJECT, 1.0)),
        ({"conclusionType": 3}, (Category.CONTRABAND, Decision.REVIEW, 1.0)),
    ],
)
def test_verdicts_of_other_shapes(asked: Baidu, answer: Any, expected: tuple[Category, Decision, float]) -> None:
    asked.script = [answer]
    [hit] = with_opinion_on_text(OWN, "x").hits
    assert (hit.category, hit.policy, hit.confidence) == expected


def test_who_fails_again_and_again_is_not_asked(asked: Baidu) -> None:
    asked.script = [500] * FAILURES
    for _ in range(FAILURES + 3):
        assert with_opinion_on_text(OWN, "骂") == OWN
    assert len(asked.paths) == 1 + FAILURES  # the token, and each once


def test_an_allowance_that_is_used_up_ends_asking_at_once(asked: Baidu) -> None:
    asked.script = [{"error_code": 17, "error_msg": "Open api daily request limit reached"}]
    for _ in range(3):
        assert with_opinion_on_text(OWN, "骂") == OWN
    assert len(asked.paths) == 2


def test_who_is_slow_is_not_waited_for(make_app: MakeApp, service: Baidu) -> None:
    service.delay = 60
    with make_app(**service.environment, MODERATION_PROVIDER_TIMEOUT="1").app_context():
        began = time.monotonic()
        assert with_opinion_on_text(OWN, "骂") == OWN
        assert time.monotonic() - began < 20


def test_no_log_line_has_a_secret_or_a_word(
    make_app: MakeApp, service: Baidu, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = service.environment | {"BAIDU_SECRET_KEY": "another-secret-word", "LOG_LEVEL": "DEBUG"}
    with make_app(**environment).app_context():
        assert with_opinion_on_text(OWN, "骂") == OWN
    with make_app(**service.environment | {"BAIDU_URL": "http://127.0.0.1:1"}).app_context():
        assert with_opinion_on_text(OWN, "骂") == OWN
    said = "".join(capsys.readouterr())
    assert said.count("moderation_provider_unavailable") == 2
    for hidden in (KEY, SECRET, "another-secret-word", "24.token", "骂"):
        assert hidden not in said


def test_all_processes_together_keep_to_the_rate(asked: Baidu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each second has its count in Valkey; the third query of a second with two waits for the next one."""
    now = [1_000_000.25]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("app.moderation.remote.opinion.time.time", lambda: now[0])
    monkeypatch.setattr("app.moderation.remote.opinion.time.sleep", sleep)
    for _ in range(3):
        await_turn(2)
    assert slept == [0.75]
    monkeypatch.setattr("app.moderation.remote.opinion.time.monotonic", iter(range(0, 100, 2)).__next__)
    with pytest.raises(Unavailable):
        await_turn(0)


def test_the_circuit_closes_after_an_answer() -> None:
    now = [0.0]
    circuit = CircuitBreaker(clock=lambda: now[0])
    for _ in range(FAILURES - 1):
        circuit.failed()
    circuit.succeeded()
    for _ in range(FAILURES - 1):
        circuit.failed()
    assert circuit.allows(), "not so many in a row"
    circuit.failed()
    assert not circuit.allows()
    now[0] = PAUSE
    allowed = []
    threads = [threading.Thread(target=lambda: allowed.append(circuit.allows())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 7 + [True], "one tries for all"
    circuit.succeeded()
    assert circuit.allows()
    circuit.failed(pause=900)
    now[0] += 899
    assert not circuit.allows()
    now[0] += 1
    assert circuit.allows()
