"""The crawler's README agrees with the code: tables, commands, names, the manifest that it shows."""

import json
import re
import shlex
from configparser import ConfigParser
from dataclasses import asdict

import pytest
from xianyu.errors import ConfigurationError
from xianyu.items import Flag, PriceStatus
from xianyu.notices import DEADLINE_SECONDS
from xianyu.options import Options, read_options
from xianyu.outcomes import EXIT_CODES, Outcome
from xianyu.run_folder import Batch, Counts, Manifest, RejectsFile, Search
from xianyu.runner import _parser

from tests.crawler.tables import README, with_tables
from tests.live import PROJECT

TEXT = README.read_text("utf-8")
DEPLOY = README.parent / "deploy"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def command_lines() -> list[str]:
    """The arguments of every call of the program."""
    plain = re.findall(r"-m crawler ([^>\n]+?)(?: >>.*)?$", TEXT, re.MULTILINE)
    made = re.findall(r'make crawl ARGS="([^"]+)"', TEXT)
    return [*plain, *made]


def test_the_tables_are_up_to_date() -> None:
    """If this fails: `PYTHONPATH=crawler .venv/bin/python -m tests.crawler.tables`."""
    assert with_tables(TEXT) == TEXT


@pytest.mark.parametrize("line", command_lines())
def test_each_command_is_valid(line: str) -> None:
    parsed = _parser().parse_args(shlex.split(line))
    for name in getattr(parsed, "files", []):
        assert (PROJECT / name).is_file()


def test_every_command_and_spider_is_shown() -> None:
    assert {line.split()[0] for line in command_lines()} == {"run", "status", "forgive", "notice", "prune"}
    spiders = {line.split()[1] for line in command_lines() if line.startswith("run ")}
    assert spiders == {"xianyu_file", "xianyu_search", "xianyu_detail"}


def test_the_settings_of_the_examples_are_accepted() -> None:
    for text in (
        "\n".join(blocks("crontab")),
        (DEPLOY / "crawler.env").read_text("utf-8").replace("#XIANYU", "XIANYU"),
    ):
        read_options(dict(re.findall(r"^(XIANYU_\w+)=(\S+)$", text, re.MULTILINE))).check_live_allowed()


UNITS = ("saltfish-crawler.service", "saltfish-crawler.timer", "saltfish-crawler-failure.service")


def unit(name: str) -> ConfigParser:
    """A unit file of systemd."""
    found = ConfigParser(interpolation=None, delimiters=["="])
    found.optionxform = str  # type: ignore[assignment,method-assign] # names are written as systemd has them
    found.read_string((DEPLOY / name).read_text("utf-8"))
    return found


def test_the_units_of_systemd() -> None:
    """`systemd-analyze verify` agrees; here is what it cannot know."""
    assert {path.name for path in DEPLOY.iterdir()} == {*UNITS, "crawler.env"}
    assert all(f"`{name}`" in TEXT for name in (*UNITS, "crawler.env"))
    run, timer, failure = map(unit, UNITS)
    assert run["Unit"]["OnFailure"] == UNITS[2]
    assert "OnFailure" not in failure["Unit"]
    assert timer["Install"]["WantedBy"] == "timers.target"
    assert run["Service"]["EnvironmentFile"] == failure["Service"]["EnvironmentFile"] == "/etc/saltfish/crawler.env"
    for found in (run, failure):
        _, words = found["Service"]["ExecStart"].split(" -m crawler ")
        _parser().parse_args(shlex.split(words))
    assert shlex.split(failure["Service"]["ExecStart"])[-1] == UNITS[0]
    assert float(run["Service"]["TimeoutStopSec"]) > Options().grace + DEADLINE_SECONDS
    assert int(run["Service"]["SuccessExitStatus"]) == EXIT_CODES[Outcome.ALREADY_RUNNING]
    assert int(failure["Service"]["SuccessExitStatus"]) == EXIT_CODES[Outcome.CONFIGURATION]


def test_the_section_that_the_refusal_mentions_exists() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Options().check_live_allowed()
    (section,) = re.findall(r"read “([^”]+)” in crawler/README\.md", str(caught.value))
    assert f"\n## {section}\n" in TEXT


def test_the_manifest_shown_has_the_keys_of_a_manifest() -> None:
    (shown,) = [json.loads(block) for block in blocks("json")]
    real = asdict(
        Manifest(
            run_id="",
            spider="",
            started_at="",
            counts=Counts(),
            batches=[Batch(file="", listings=0, bytes=0, sha256="")],
            searches=[Search(keyword="", category=None, offers=0, fetched_at="")],
            rejects=RejectsFile(file="", rows=0),
        )
    )
    assert list(shown) == list(real)
    for key in ("counts", "rejects"):
        assert list(shown[key]) == list(real[key])
    for key in ("batches", "searches"):
        assert list(shown[key][0]) == list(real[key][0])
    assert (shown["format"], shown["version"], shown["source"]) == ("saltfish-listings", 1, "xianyu")


def test_all_statuses_and_flags_are_named() -> None:
    (paragraph,) = re.findall(r"^### A listing\n\n(.*?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([a-z]+)`", paragraph))
    assert {*PriceStatus, *Flag} <= named


def test_the_files_that_it_names_exist() -> None:
    for name in re.findall(r"`(xianyu/[\w.]+)`", TEXT):
        assert (README.parent / name).is_file(), name
