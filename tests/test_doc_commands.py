"""Every command line that a document shows is one that its parser takes: `flask …`, `make cli …`, `python -m …`."""

import argparse
import importlib.util
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import click
import pytest
from flask import Flask
from flask.cli import FlaskGroup, ScriptInfo

from tests.test_docs import DOCUMENTS, ROOT, relative

_DOCUMENTS: Final = (*DOCUMENTS, ROOT / "crawler" / "README.md")
_FENCE: Final = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL: Final = {"", "sh", "cron", "crontab", "ini"}
_SPAN: Final = re.compile(r"`([^`]+)`")
_COMMANDS: Final = {
    "flask": re.compile(r"(?:^|[\s(;&=])(?:[\w./-]*/)?flask (.*)"),
    "make cli": re.compile(r'make cli ARGS="([^"]*)"'),
    "make crawl": re.compile(r'make crawl ARGS="([^"]*)"'),
    "python": re.compile(r"(?:^|[\s(;&=])(?:[\w./-]*/)?python3? -m (.*)"),
}
_ENDS: Final = {"||", "&&", "|", ";", "<", ">", ">>", "</dev/null"}

# Programs of others, and modules of ours that read no arguments.
_NOT_PARSED: Final = {"pip", "venv", "scrapy", "tests.crawler.tables", "app.web.server"}


class Shown(NamedTuple):
    """One command line of a document. `is_name`: it stands in a sentence and names a command without its arguments."""

    kind: str
    words: tuple[str, ...]
    is_name: bool


def shown(text: str) -> Iterator[Shown]:
    """The command lines in a document, of its code blocks and of its sentences."""
    for language, block in _FENCE.findall(text):
        for line in block.splitlines() if language in _SHELL else ():
            yield from _commands(line.removeprefix("$ "), in_sentence=False)
    for span in _SPAN.findall(_FENCE.sub("", text)):
        yield from _commands(" ".join(span.split()), in_sentence=True)


def _commands(line: str, *, in_sentence: bool) -> Iterator[Shown]:
    for kind, pattern in _COMMANDS.items():
        for rest in pattern.findall(line):
            words = _words(rest)
            if words and "…" not in words:
                is_name = in_sentence and all(re.fullmatch(r"[a-z][a-z-]*", word) for word in words)
                yield Shown(kind, words, is_name)


def _words(text: str) -> tuple[str, ...]:
    """The words up to a comment, a redirection or another command."""
    words = []
    try:
        split = shlex.split(text.rstrip(")"), comments=True)
    except ValueError:  # it stands between the quotation marks of another command
        split = shlex.split(re.split("[\"']", text)[0], comments=True)
    for word in split:
        if word in _ENDS or word.startswith((">", "2>", "<")):
            break
        words.append("1" if re.fullmatch("[A-Z_]+", word) else word)  # `ORDER_NO` stands for one
    return tuple(words)


EVERYTHING: Final = sorted({(found, relative(path)) for path in _DOCUMENTS for found in shown(path.read_text("utf-8"))})


def refusal_of_flask(app: Flask, words: tuple[str, ...], *, is_name: bool) -> str | None:
    """What `flask` says against these arguments; None where it takes them. Nothing is run."""
    group = FlaskGroup(create_app=lambda: app)
    with click.Context(group, info_name="flask", obj=ScriptInfo(create_app=lambda: app)) as context:
        return _refusal(group, context, list(words), is_name=is_name)


def _refusal(command: click.Command, context: click.Context, rest: list[str], *, is_name: bool) -> str | None:
    while isinstance(command, click.Group):
        if not rest:
            return None if is_name else "a command is missing"
        found = command.get_command(context, rest[0])
        if found is None:
            return f"there is no command {rest[0]}"
        context, command, rest = click.Context(found, parent=context, info_name=rest[0]), found, rest[1:]
    try:
        command.make_context(command.name, rest, parent=context.parent)
    except click.MissingParameter as error:
        return None if is_name else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return None


class Accepted(BaseException):
    """The arguments were parsed."""


def refusal_of_module(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What `python -m module` says against these arguments; None where its parser takes them. It goes no further."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return f"there is no module {module}"
    if module in _NOT_PARSED:
        return None
    parse_args = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> NoReturn:
        parse_args(parser, args, namespace)
        raise Accepted

    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", stop)
        patched.setattr(sys, "argv", [module, *arguments])
        patched.setattr(sys, "path", [*sys.path])
        # As in a process of its own; coverage or another test may have imported it.
        main = module if spec.submodule_search_locations is None else f"{module}.__main__"
        patched.delitem(sys.modules, main, raising=False)
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
        except Accepted:
            return None
        except SystemExit as exit_:
            return f"exit {exit_.code}"
    return "it parses no arguments"


@pytest.fixture
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a document makes in an earlier line are not there when a parser looks for them."""
    for kind in (click.File, click.Path):
        monkeypatch.setattr(kind, "convert", lambda _self, value, _parameter, _context: value)


@pytest.mark.usefixtures("no_files")
def test_every_command_line_shown_is_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = []
    for (kind, words, is_name), document in EVERYTHING:
        if kind in ("flask", "make cli"):
            refusal = refusal_of_flask(app, words, is_name=is_name)
        else:
            module, *arguments = ("crawler", *words) if kind == "make crawl" else words
            refusal = refusal_of_module(module, arguments, monkeypatch)
        if refusal is not None:
            wrong.append(f"{document}: {kind} {' '.join(words)}: {refusal}")
    assert wrong == []


def test_the_documents_show_commands() -> None:
    """Else the test above would be satisfied with nothing."""
    lines = {(found.kind, found.words) for found, _ in EVERYTHING}
    for kind, line in (
        ("flask", "outbox replay"),
        ("flask", "webhooks replay --order-no 1"),
        ("flask", "staff add laowang --role arbiter --reason 入职,负责纠纷"),
        ("flask", "user suspend laowang --reason 多次发布假货 --until 2026-12-06"),
        ("make cli", "order list"),
        ("make cli", "order export 1 --output /tmp/order.json"),
        ("make crawl", "run xianyu_file crawler/samples/search.har"),
        ("python", "statemachine why --state 2,6 --event ship --role buyer"),
        ("python", "crawler run xianyu_search targets.txt --pages 3"),
    ):
        assert (kind, tuple(line.split())) in lines


@pytest.mark.usefixtures("no_files")
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("outbox replay --dead", "No such option"),
        ("outbox play", "there is no command play"),
        ("outbox", "a command is missing"),
        ("order export", "Missing argument 'ORDER_NO'."),
        ("order list --state 9,9", "Invalid value for '--state'"),
        ("staff add laowang", "Missing option '--reason'."),
        ("staff add laowang --reason 值班", None),
    ],
)
def test_what_a_parser_refuses_is_noticed(app: Flask, line: str, refusal: str | None) -> None:
    told = refusal_of_flask(app, tuple(line.split()), is_name=False)
    assert told is None if refusal is None else told is not None and told.startswith(refusal)


def test_what_a_module_refuses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal_of_module("statemachine", ["why", "--state"], monkeypatch) == "exit 2"
    assert refusal_of_module("statemachine", ["table"], monkeypatch) is None
    assert refusal_of_module("no_module", [], monkeypatch) == "there is no module no_module"
    assert Path(sys.argv[0]).name != "no_module"
