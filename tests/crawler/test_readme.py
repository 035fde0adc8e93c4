"""The crawler's README agrees with the code: tables, commands, names, the manifest that it shows."""

import json
import re
import shlex
from dataclasses import asdict

import pytest
from xianyu.errors import ConfigurationError
from xianyu.items import Flag, PriceStatus
from xianyu.options import Options, read_options
from xianyu.run_folder import Batch, Counts, Manifest, RejectsFile, Search
from xianyu.runner import _parser

from tests.crawler.tables import README, with_tables
from tests.live import PROJECT

TEXT = README.read_text("utf-8")


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
    assert {line.split()[0] for line in command_lines()} == {"run", "status", "forgive"}
    spiders = {line.split()[1] for line in command_lines() if line.startswith("run ")}
    assert spiders == {"xianyu_file", "xianyu_search", "xianyu_detail"}


def test_the_settings_of_the_examples_are_accepted() -> None:
    said = dict(re.findall(r"\b(XIANYU_(?:LIVE|CONTACT))=([^\s`]+)", "\n".join([*blocks("crontab"), *blocks("ini")])))
    read_options(said).check_live_allowed()
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", TEXT, re.MULTILINE)
    assert int(stop) > Options().grace


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
