"""`flask moderation`: what the checks say of texts and pictures that somebody names."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import click
from rich.table import Table

from app.categories import CATEGORY_TEXT
from app.categories import Category as GoodCategory
from app.console import Moment, SteadyGroup, print_table, printable, progress_bar
from app.moderation.pictures import check_picture, rules_version
from app.moderation.recheck import recheck_goods
from app.moderation.text import TextContext, check_texts
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from app.settings import settings
from app.vision import is_installed

moderation_commands = SteadyGroup("moderation", help="The checks of texts and pictures.")


class _CategoryName(click.ParamType[Category | GoodCategory]):
    """A kind of rules by its name, or a category of goods by its number or name."""

    name = "category"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Category | GoodCategory:
        """What `value` names."""
        if value in set(Category):
            return Category(value)
        for category, text in CATEGORY_TEXT.items():
            if value in (str(int(category)), text):
                return GoodCategory(category)
        return self.fail(f"{value!r} is none of {', '.join(Category)}, nor a category of goods", param, ctx)


_BATCH: Final = 500
_BATCH_BYTES: Final = 1_000_000
"""Texts are checked together up to this size, so that many long ones take no more memory than one."""


@moderation_commands.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--json", "as_json", is_flag=True, help="JSON Lines: text, decision, hits with category, code, start, end"
)
def check(file: IO[bytes], *, as_json: bool) -> None:
    """Say what the check finds in the texts of FILE (- is standard input), one on each line, in their order.

    Nothing is stored. What depends on a good (its category, price and seller, texts of other goods) is not known here.
    """
    for texts in _batches(file):
        for text, judgement in zip(texts, check_texts([(text, TextContext()) for text in texts]), strict=True):
            click.echo(_text_as_json(text, judgement) if as_json else _text_as_text(text, judgement))


def _batches(file: IO[bytes]) -> Iterator[list[str]]:
    """The lines of the file, of any length and of any bytes (what is no UTF-8 is read as U+FFFD)."""
    batch: list[str] = []
    size = 0
    for line in file:
        batch.append(line.decode("utf-8", "replace").rstrip("\r\n"))
        size += len(line)
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _text_as_json(text: str, judgement: Judgement) -> str:
    found = {
        "text": text,
        "decision": judgement.decision.value,
        "hits": [
            {
                "category": hit.category.value,
                "code": hit.code,
                "start": hit.span and hit.span.start,
                "end": hit.span and hit.span.end,
                "reason": hit.reason,
            }
            for hit in judgement.hits
        ],
    }
    return json.dumps(found, ensure_ascii=False)


def _text_as_text(text: str, judgement: Judgement) -> str:
    reasons = ";".join(dict.fromkeys(hit.reason for hit in judgement.hits))
    return printable(f"{judgement.decision.value}: {text}" + (f" [{reasons}]" if reasons else ""))


@moderation_commands.command()
@click.option("--since", type=Moment(days=True), required=True, help="Goods published since then.")
@click.option(
    "--category", "names", multiple=True, type=_CategoryName(), help="Kinds of rules, or categories of goods."
)
@click.option("--dry-run", is_flag=True, help="Change nothing; print what would be looked at.")
def recheck(since: datetime, names: tuple[Category | GoodCategory, ...], *, dry_run: bool) -> None:
    """Check texts and pictures of public goods again by the present rules; what does not pass a person looks at.

    The goods stay public meanwhile. --category may be given several times: a kind of rules (weapons, contact …) counts
    its hits only, a category of goods by its number or name (1, 手机 …) checks those goods only. What a person let pass
    stays passed. Of pictures those are looked at that the present rules have not judged; about a third of a second
    each, in this process.
    """
    kinds = frozenset(name for name in names if isinstance(name, Category))
    of_goods = frozenset(name for name in names if isinstance(name, GoodCategory))
    with progress_bar(quiet_in_pipes=True) as bar:
        task = bar.add_task("checking goods", total=None)
        report = recheck_goods(
            since=since,
            kinds=kinds,
            of_goods=of_goods,
            dry_run=dry_run,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    looked_at = "left out" if report.looked_at is None else str(report.looked_at)
    table = Table("goods checked", "pictures looked at", "do not pass", "sent to review")
    table.add_row(str(report.checked), looked_at, str(report.stopped), str(report.opened))
    print_table(table)
    if report.looked_at is None:
        click.echo("Pictures were left out: the extra vision, which looks at them, is not installed.", err=True)
    if report.missing:
        were = "1 picture was" if report.missing == 1 else f"{report.missing} pictures were"
        click.echo(f"{were} left out: their files are not in {settings().instance_path / 'pictures'}.", err=True)


@moderation_commands.command("check-picture")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--json", "as_json", is_flag=True, help="JSON Lines: file, decision, hits with category, code, box, reason"
)
def check_pictures(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Say what the check finds in each of FILES, a line for each, in their order.

    Nothing is stored, and no database is asked: whether a picture looks like a banned one is not said here. A file that
    cannot be read is refused like a broken picture; the exit status is then 1.
    """
    if not is_installed():
        click.echo(
            "The extra vision is not installed: text, codes and nudity are not looked for, PICTURES_UNSEEN="
            f"{settings().pictures_unseen.value} decides.",
            err=True,
        )
    unread = False
    for path in files:
        try:
            with path.open("rb") as file:
                judgement = check_picture(file.read(settings().picture_bytes_limit + 1))
        except (OSError, ValueError) as error:  # ValueError: a NUL in its name
            unread = True
            judgement = _unreadable(error)
        click.echo(_as_json(path, judgement) if as_json else _as_text(path, judgement))
    if unread:
        raise click.exceptions.Exit(1)


def _unreadable(error: OSError | ValueError) -> Judgement:
    why = error.strerror if isinstance(error, OSError) else str(error)
    hit = Hit(Category.QUALITY, "quality.unreadable_file", f"文件无法读取:{why}", Decision.REJECT)
    return Judgement(rules_version(), (hit,))


def _as_json(path: Path, judgement: Judgement) -> str:
    found = {
        "file": str(path),
        "decision": judgement.decision.value,
        "hits": [_hit(hit) for hit in judgement.hits],
        "rules_version": judgement.rules_version,
    }
    return json.dumps(found, ensure_ascii=False)


def _hit(hit: Hit) -> dict[str, object]:
    box = hit.box
    return {
        "category": hit.category.value,
        "code": hit.code,
        "policy": hit.policy.value,
        "start": hit.span and hit.span.start,
        "end": hit.span and hit.span.end,
        "box": box and {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
        "confidence": hit.confidence,
        "reason": hit.reason,
    }


def _as_text(path: Path, judgement: Judgement) -> str:
    reasons = ";".join(dict.fromkeys(hit.reason for hit in judgement.hits))
    return f"{path}: {judgement.decision.value}" + (f" {reasons}" if reasons else "")
