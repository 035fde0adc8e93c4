"""The options in the environment: defaults, ranges, and what is refused."""

from dataclasses import fields
from pathlib import Path

import pytest
from xianyu.errors import ConfigurationError
from xianyu.options import FLOAT_RANGES, INTEGER_RANGES, PROJECT, Options, is_loopback, read_options, variable_name

LIVE = {"XIANYU_LIVE": "yes", "XIANYU_CONTACT": "ops@example.org"}


def test_without_variables_the_defaults_hold() -> None:
    assert read_options({"PATH": "/bin", "XIANYU_DELAY": " ", "XIANYU_LIVE": ""}) == Options()
    assert Options().data == PROJECT / "data"


def test_every_option_has_a_variable() -> None:
    said = {
        "XIANYU_LIVE": "yes",
        "XIANYU_CONTACT": "https://example.org/crawler",
        "XIANYU_BASE_URL": "http://127.0.0.1:8000/",
        "XIANYU_DATA": "/var/lib/crawler",
        "XIANYU_DELAY": "7.5",
        "XIANYU_JITTER": "0",
        "XIANYU_PAGE_LIMIT": "3",
        "XIANYU_DAILY_BUDGET": "0",
        "XIANYU_ANSWER_TIMEOUT": "2",
        "XIANYU_TIMEOUT": "60",
        "XIANYU_GRACE": "2",
        "XIANYU_REFRESH_DAYS": "14",
        "XIANYU_BATCH": "50",
        "XIANYU_PICTURES": "yes",
        "XIANYU_LOG_DAYS": "1",
        "XIANYU_RUN_DAYS": "30",
        "XIANYU_RUN_COUNT": "100",
        "XIANYU_NOTICE": "ntfy",
        "XIANYU_NOTICE_URL": "https://ntfy.sh/secret-topic",
        "XIANYU_NOTICE_TOKEN": "tk_secret",
        "XIANYU_NOTICE_WHEN": "trouble",
    }
    expected = Options(
        live=True,
        contact="https://example.org/crawler",
        base_url="http://127.0.0.1:8000",
        data=Path("/var/lib/crawler"),
        delay=7.5,
        jitter=0.0,
        page_limit=3,
        daily_budget=0,
        answer_timeout=2.0,
        timeout=60.0,
        grace=2.0,
        refresh_days=14,
        batch=50,
        pictures=True,
        log_days=1,
        run_days=30,
        run_count=100,
        notice="ntfy",
        notice_url="https://ntfy.sh/secret-topic",
        notice_token="tk_secret",
        notice_when="trouble",
    )
    assert read_options(said) == expected
    assert set(said) == {variable_name(field.name) for field in fields(Options)}
    secrets = {"notice_url", "notice_token"}
    assert expected.settings() == {
        variable_name(field.name): getattr(expected, field.name)
        for field in fields(Options)
        if field.name not in secrets
    }
    assert "secret" not in repr(expected)
    assert "secret" not in repr(expected.receiver)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"NOTICE": "ntfy"}, "XIANYU_NOTICE and XIANYU_NOTICE_URL need each other"),
        ({"NOTICE_URL": "https://ntfy.sh/secret"}, "XIANYU_NOTICE and XIANYU_NOTICE_URL need each other"),
        ({"NOTICE": "dingtalk"}, "XIANYU_NOTICE must be ntfy or bark or wecom, not 'dingtalk'"),
        ({"NOTICE_WHEN": "never"}, "XIANYU_NOTICE_WHEN must be always or trouble, not 'never'"),
        ({"NOTICE_URL": "ntfy.sh/secret"}, "XIANYU_NOTICE_URL must be like https://host/path"),
        ({"NOTICE_URL": "file:///secret"}, "XIANYU_NOTICE_URL must be like https://host/path"),
        ({"NOTICE_URL": "https://h/秘密secret"}, "XIANYU_NOTICE_URL must be like https://host/path"),
        ({"NOTICE_URL": "https://me:secret@h/topic"}, "XIANYU_NOTICE_URL must be like https://host/path"),
        ({"NOTICE_URL": "https://h:99999/secret"}, "XIANYU_NOTICE_URL must be like https://host/path"),
        ({"NOTICE_TOKEN": "tk secret"}, "XIANYU_NOTICE_TOKEN must be ASCII, without blanks"),
        ({"RUN_DAYS": "-1"}, "XIANYU_RUN_DAYS must be a whole number from 0 to 3650, not '-1'"),
    ],
)
def test_refusals_of_notices_quote_no_secret(said: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_options({f"XIANYU_{name}": value for name, value in said.items()})
    assert str(caught.value) == why


def test_the_command_line_overrides_the_environment(tmp_path: Path) -> None:
    environ = {"XIANYU_DATA": "/elsewhere", "XIANYU_PAGE_LIMIT": "3"}
    found = read_options(environ, data=tmp_path, page_limit="4")
    assert (found.data, found.page_limit) == (tmp_path, 4)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("XIANYU_LIVE", "YES", "must be yes or no, not 'YES'"),
        ("XIANYU_LIVE", "1", "must be yes or no, not '1'"),
        ("XIANYU_PICTURES", "true", "must be yes or no, not 'true'"),
        ("XIANYU_DELAY", "-1", "must be from 0 to 3600, not '-1'"),
        ("XIANYU_DELAY", "nan", "must be from 0 to 3600, not 'nan'"),
        ("XIANYU_DELAY", "1e3", "must be from 0 to 3600, not '1e3'"),
        ("XIANYU_JITTER", "1.5", "must be from 0 to 1, not '1.5'"),
        ("XIANYU_PAGE_LIMIT", "0", "must be a whole number from 1 to 1000, not '0'"),
        ("XIANYU_PAGE_LIMIT", "２", "must be a whole number from 1 to 1000, not '２'"),
        ("XIANYU_DAILY_BUDGET", "9999999999", "must be a whole number from 0 to 100000"),
        ("XIANYU_BASE_URL", "ftp://host", "must be like https://host or http://host:port"),
        ("XIANYU_BASE_URL", "https://", "must be like"),
        ("XIANYU_BASE_URL", "https://host:x", "must be like"),
        ("XIANYU_BASE_URL", "https://user@host", "must be like"),
        ("XIANYU_BASE_URL", "https://host/?a=b", "must be like"),
        ("XIANYU_BASE_URL", "https://[::1", "must be like"),
        ("XIANYU_CONTACT", "我们", "must be a mail address or a URL"),
        ("XIANYU_CONTACT", "nobody", "must be a mail address or a URL"),
        ("XIANYU_CONTACT", "a@b\r\nX: y", "must be a mail address or a URL"),
        ("XIANYU_CONTACT", "a@" + "b" * 200, "must be a mail address or a URL"),
        ("XIANYU_DELAYS", "5", "unknown setting XIANYU_DELAYS; known are XIANYU_LIVE, "),
    ],
)
def test_invalid_values_are_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_options({name: text})
    assert why in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", [*INTEGER_RANGES, *FLOAT_RANGES])
def test_ranges_include_their_ends(name: str) -> None:
    for end in {**INTEGER_RANGES, **FLOAT_RANGES}[name]:
        assert getattr(read_options({variable_name(name): f"{end:g}" if end < 1e5 else str(int(end))}), name) == end


def test_live_runs_need_permission_a_contact_and_a_delay() -> None:
    read_options(LIVE).check_live_allowed()
    read_options({**LIVE, "XIANYU_DELAY": "1"}).check_live_allowed()
    read_options({**LIVE, "XIANYU_DELAY": "0", "XIANYU_BASE_URL": "http://127.0.0.1:9"}).check_live_allowed()
    for environ, why in (
        ({}, "XIANYU_LIVE=yes"),
        ({**LIVE, "XIANYU_LIVE": "no"}, "XIANYU_LIVE=yes"),
        ({"XIANYU_LIVE": "yes"}, "XIANYU_CONTACT must say"),
        ({**LIVE, "XIANYU_DELAY": "0.9"}, "XIANYU_DELAY must be at least 1 s; it is 0.9"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            read_options(environ).check_live_allowed()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("http://localhost:1", True),
        ("https://h5api.m.goofish.com", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_which_urls_are_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
