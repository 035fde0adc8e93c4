"""Notices of how a run ended: three protocols, refusals, and that nothing of it touches the run or tells a secret."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import xianyu.notices
from xianyu.clock import utcnow
from xianyu.notices import MAX_TEXT_BYTES, Notice, NoticeForm, Receiver, request_of, send
from xianyu.outcomes import Outcome
from xianyu.runner import main
from xianyu.state import State

from tests.crawler.receivers import KEY, TOKEN, Services, services
from tests.crawler.test_runner import copied, data, environment, run

__all__ = ["data", "environment"]  # fixtures

HOST = "market-1"
FORMS = sorted(NoticeForm)


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.setattr(xianyu.notices, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    with services() as found:
        yield found


def receiver(found: Services, form: NoticeForm, **more: str) -> Receiver:
    return Receiver(form=form, **{"url": found.addresses[form], **more})


NOTICE = Notice(title="Crawler, xianyu_search: blocked", text="相机, page 2\n😀", urgent=True)


def test_each_form(receivers: Services) -> None:
    for form in FORMS:
        assert send(receiver(receivers, form), NOTICE) is None
    assert receivers.taken == [
        {"form": "bark", "title": NOTICE.title, "text": NOTICE.text, "level": "timeSensitive"},
        {"form": "ntfy", "title": NOTICE.title, "text": NOTICE.text, "priority": 4, "tags": ["warning"]},
        {"form": "wecom", "text": f"{NOTICE.title}\n{NOTICE.text}"},
    ]
    receivers.taken.clear()
    quiet = Notice(title="题目 1", text="好")
    for form in FORMS:
        assert send(receiver(receivers, form), quiet) is None
    assert [(each.get("title"), each["text"]) for each in receivers.taken] == [
        ("题目 1", "好"),
        ("题目 1", "好"),
        (None, "题目 1\n好"),
    ]
    assert (receivers.taken[0]["level"], receivers.taken[1]["priority"]) == ("active", 3)


def test_tokens(receivers: Services) -> None:
    receivers.needs_token = True
    assert send(receiver(receivers, NoticeForm.NTFY), NOTICE) == "ntfy answered HTTP 403"
    assert send(receiver(receivers, NoticeForm.NTFY, token=TOKEN), NOTICE) is None
    assert send(receiver(receivers, NoticeForm.BARK, url=f"{receivers.url}/push", token=KEY), NOTICE) is None
    assert [each["form"] for each in receivers.taken] == ["ntfy", "bark"]


@pytest.mark.parametrize("form", FORMS)
def test_a_long_text_is_cut_between_characters(receivers: Services, form: NoticeForm) -> None:
    assert send(receiver(receivers, form), Notice(title="t", text="字" * 5000)) is None
    (taken,) = receivers.taken
    text = taken["text"].removeprefix("t\n")
    assert (set(text), text[-1]) == ({"字", "…"}, "…")
    assert MAX_TEXT_BYTES - 5 < len(text.encode()) <= MAX_TEXT_BYTES


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("failures", "requests", "problem"),
    [
        ([503], 2, None),
        ([429], 2, None),
        ([503, 500], 2, "{} answered HTTP 500"),
        ([404], 1, "{} answered HTTP 404"),
        ([302], 1, "{} answered HTTP 302"),
    ],
)
def test_it_is_tried_again_once_where_that_may_help(
    receivers: Services, form: NoticeForm, failures: list[int | float], requests: int, problem: str | None
) -> None:
    receivers.failures += failures
    assert send(receiver(receivers, form), NOTICE) == (problem and problem.format(form))
    assert len(receivers.requests) == requests
    assert len(receivers.taken) == (problem is None)
    assert "/elsewhere" not in receivers.requests


def test_refusals_with_http_200(receivers: Services) -> None:
    wrong = {
        NoticeForm.WECOM: ("/cgi-bin/webhook/send?key=other-secret", "wecom answered errcode 93000"),
        NoticeForm.BARK: ("/other-secret", "bark answered HTTP 403"),
    }
    for form, (path, problem) in wrong.items():
        assert send(receiver(receivers, form, url=receivers.url + path), NOTICE) == problem
    assert receivers.taken == []
    # An address of something else, which takes anything.
    topic = receivers.addresses["ntfy"]
    receivers.failures += [200, 200]
    assert send(Receiver(form=NoticeForm.BARK, url=topic), NOTICE) == "bark answered without code"
    assert send(Receiver(form=NoticeForm.WECOM, url=topic), NOTICE) == "wecom answered without errcode"


def test_nobody_there(receivers: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xianyu.notices, "ANSWER_SECONDS", 0.2)
    receivers.failures += [1.0, 1.0]
    found = send(receiver(receivers, NoticeForm.NTFY), NOTICE)
    assert found in ("ntfy could not be reached: TimeoutError", "ntfy could not be reached: timed out")
    monkeypatch.setattr(xianyu.notices, "DEADLINE_SECONDS", 0.1)
    receivers.failures += [1.0, 1.0]
    assert send(receiver(receivers, NoticeForm.NTFY), NOTICE) == "ntfy did not answer in 0.1 s"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(xianyu.notices, "DEADLINE_SECONDS", 60)
    found = send(Receiver(form=NoticeForm.BARK, url=f"http://127.0.0.1:{port}/{KEY}"), NOTICE)
    assert found == "bark could not be reached: Connection refused"


def test_a_line_break_makes_no_header() -> None:
    request = request_of(Receiver(form=NoticeForm.NTFY, url="http://h/t"), Notice(title="a\r\nX: 1", text="b"))
    assert request.get_header("Title") == "a X: 1"


# Under the command line


def said(found: Services, form: str, **more: str) -> dict[str, str]:
    return {"XIANYU_NOTICE": form, "XIANYU_NOTICE_URL": found.addresses[form], **more}


def test_a_run_tells_how_it_ended(data: Path, tmp_path: Path, receivers: Services) -> None:
    found = run(data, "run", "xianyu_file", copied(tmp_path), environ=said(receivers, "wecom"))
    assert (found.code, found.complaints) == (0, "")
    (taken,) = receivers.taken
    lines = taken["text"].splitlines()
    assert lines[:3] == [
        "Crawler, xianyu_file: finished",
        "8 listings new or changed, 0 unchanged, 2 rejected; 1 pages, 0 requests; exit code 0.",
        found.summary["run_id"],
    ]
    assert "secret" not in "".join(path.read_text("utf-8") for path in data.glob("*/**/*") if path.suffix == ".log")


def test_a_notice_that_is_not_taken_is_a_line_and_no_exit_code(data: Path, tmp_path: Path, receivers: Services) -> None:
    receivers.failures += [404]
    found = run(data, "run", "xianyu_file", copied(tmp_path), environ=said(receivers, "bark"))
    assert (found.code, found.summary["outcome"]) == (0, "finished")
    assert found.complaints == "crawler: the notice was not taken: bark answered HTTP 404\n"
    (log,) = data.glob("logs/*.log")
    assert log.read_text("utf-8").endswith("The notice was not taken: bark answered HTTP 404\n")
    assert "secret" not in log.read_text("utf-8")


def test_a_run_that_cannot_begin_tells_it_too(
    data: Path, receivers: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in said(receivers, "ntfy").items():
        monkeypatch.setenv(name, value)
    assert main(["run", "xianyu_search", "targets.txt", "--data", str(data)]) == 2
    assert receivers.taken[0]["title"] == "Crawler, xianyu_search: configuration"
    assert receivers.taken[0]["text"].startswith("It did not begin; exit code 2.\nthis run would talk to the site")
    assert receivers.taken[0]["priority"] == 4

    for name, value in {"LIVE": "yes", "CONTACT": "ops@example.org"}.items():
        monkeypatch.setenv(f"XIANYU_{name}", value)
    data.mkdir()
    state = State(data / "state.sqlite3")
    state.start_cooldown(utcnow(), Outcome.BLOCKED, "RGV587_ERROR")
    state.close()
    receivers.failures += [500, 500]
    assert main(["run", "xianyu_search", "targets.txt", "--data", str(data)]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == "crawler: the notice was not taken: ntfy answered HTTP 500"

    assert main(["status", "--data", str(data)]) == 0
    assert len(receivers.taken) == 1


@pytest.mark.parametrize(("when", "told"), [("always", 1), ("trouble", 0)])
def test_whether_a_success_is_told(data: Path, tmp_path: Path, receivers: Services, when: str, told: int) -> None:
    environ = said(receivers, "bark", XIANYU_NOTICE_WHEN=when)
    assert run(data, "run", "xianyu_file", copied(tmp_path), environ=environ).code == 0
    assert len(receivers.taken) == told
    if when == "trouble":
        assert run(data, "run", "xianyu_file", "none.json", environ=environ).code == 2
        assert [each["title"] for each in receivers.taken] == ["Crawler, xianyu_file: configuration"]


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ({"SERVICE_RESULT": "oom-kill", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"}, "oom-kill KILL"),
        ({"SERVICE_RESULT": "timeout", "EXIT_CODE": "killed", "EXIT_STATUS": "TERM"}, "timeout TERM"),
        ({"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"}, "exit-code 1"),
        ({"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "203"}, "exit-code 203"),
        ({}, "no reason given"),
        ({"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "3"}, None),
        ({"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "4"}, None),
    ],
)
def test_a_unit_of_systemd_that_failed(
    unit: dict[str, str],
    text: str | None,
    receivers: Services,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Killed by the system, it could not tell it itself. What a run has told is not told twice."""
    for name, value in {**said(receivers, "wecom"), **{f"MONITOR_{key}": value for key, value in unit.items()}}.items():
        monkeypatch.setenv(name, value)
    assert main(["notice", "--unit", "saltfish-crawler.service"]) == 0
    told = [each["text"] for each in receivers.taken]
    assert told == ([] if text is None else [f"Crawler\nsaltfish-crawler.service failed: {text}\n{HOST}"])
    told_itself = f"saltfish-crawler.service ended with {unit.get('EXIT_STATUS')}, which the run has told itself"
    assert capsys.readouterr().out == f"{'the notice was taken' if text else told_itself}\n"


def test_a_try(receivers: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["notice"]) == 2
    assert "XIANYU_NOTICE and XIANYU_NOTICE_URL do not say whom to tell" in capsys.readouterr().err
    for name, value in said(receivers, "ntfy").items():
        monkeypatch.setenv(name, value)
    assert main(["notice", "好", "吗"]) == 0
    assert receivers.taken[0]["text"] == f"好 吗\n{HOST}"
    receivers.failures += [404]
    assert main(["notice"]) == 1
    assert capsys.readouterr().err == "crawler: the notice was not taken: ntfy answered HTTP 404\n"
