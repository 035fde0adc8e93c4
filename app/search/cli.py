"""`flask search …`: rebuilds the search index, shows its status, and judges search by labelled queries."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import orjson
from flask.cli import AppGroup
from rich.console import Console
from rich.table import Table

from app.console import print_table, printing, progress_bar
from app.language.lexicon import LexiconError, read_lexicon
from app.language.service import analyser
from app.search import service
from app.search.checks import check_engines
from app.search.errors import IndexBusy, IndexDamaged, IndexForeign
from app.search.evaluation import BadLine, figures, figures_by_kind, judge, read_corpus, read_queries, worst
from app.search.evaluation_tables import described, table_of_figures, table_of_worst
from app.search.temporary import temporary_postgres, temporary_whoosh
from app.settings import settings
from config import SearchEngine

_FOREIGN = "give each its own INSTANCE_PATH or SEARCH_INDEX_PATH, or run: flask search rebuild --take-over"

# How many goods of each fault are named.
_NAMED: Final = 10

search_commands = AppGroup("search", help="The search index.")


_ENGINES: Final = click.Choice([engine.value for engine in SearchEngine])


@search_commands.command()
@click.option("--engine", type=_ENGINES, default=SearchEngine.WHOOSH.value, show_default=True, help="Which engine's.")
@click.option("--take-over", is_flag=True, help="Also where the folder holds the index of another market.")
def rebuild(engine: str, take_over: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Build the index anew from the database, beside running workers, and switch to it.

    PostgreSQL's table is written over good by good, without a switch.
    """
    with progress_bar() as bar:
        task = bar.add_task("indexing goods", total=None)

        def progress(finished: int, total: int) -> None:
            bar.update(task, completed=finished, total=total)

        try:
            if engine == SearchEngine.POSTGRES:
                goods = service.rebuild_postgres(progress=progress)
            else:
                goods = service.rebuild(progress=progress, take_over=take_over)
        except IndexForeign as error:
            raise click.ClickException(f"{error}; {_FOREIGN}") from error
        except IndexBusy as error:
            raise click.ClickException(
                "another rebuild is running, or a writer does not let go of the index"
            ) from error
    click.echo(f"{goods} goods in the index")


@search_commands.command()
def check() -> None:
    """Compare the engines with what is for sale; exit status 1 where one cannot be read, lacks goods or has others.

    With `SEARCH_ENGINE=postgres` there is no Whoosh index to compare.
    """
    checks = check_engines()
    for each in checks:
        click.echo(f"{each.engine}: {each.fault or f'{each.goods} goods'}")
        for what, goods in (
            ("for sale, and not in it", each.missing),
            ("in it, and not for sale", each.extra),
            ("in it with another price", each.priced_otherwise),
        ):
            if goods:
                named = ", ".join(map(str, goods[:_NAMED])) + (", …" if len(goods) > _NAMED else "")
                click.echo(f"  {len(goods)} {what}: {named}")
        if not each.ok:
            click.echo(f"  to mend it: flask search rebuild --engine {each.engine}")
    if not all(each.ok for each in checks):
        raise SystemExit(1)


@search_commands.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--query", help="Also show what this query is taken for.")
def words(folder: Path | None, query: str | None) -> None:
    """Read the names and synonyms, ours and those in FOLDER (default: SEARCH_WORDS_PATH), and count them.

    A file that cannot be used is named with its line; exit status 1.
    """
    try:
        lexicon = read_lexicon(folder or settings().search_words_path)
    except LexiconError as error:
        raise click.ClickException(str(error)) from error
    counts = Counter(group.word_class.value for group in lexicon.groups)
    table = Table("file", "groups", title="words of the trade")
    for name, count in counts.items():
        table.add_row(f"{name}.txt", f"{count:,}")
    print_table(table)
    click.echo(f"version {lexicon.version}, {len(list(lexicon.names())):,} names")
    if query is not None:
        understood = service.understood(query)
        for group in understood.groups:
            click.echo(f"{group.role.value}: {' | '.join(' '.join(each.tokens) for each in group.alternatives)}")
        for constraint in understood.constraints:
            click.echo(f"{constraint.name.value}: {constraint.value} ({constraint.text})")
        if understood.dropped:
            click.echo(f"dropped: {' '.join(understood.dropped)}")


@search_commands.command()
def status() -> None:
    """Show the index in numbers, and what waits to get into it."""
    try:
        index, waiting = service.status()
    except IndexForeign as error:
        raise click.ClickException(f"{error}; {_FOREIGN}") from error
    except IndexDamaged as error:
        raise click.ClickException(f"the index is damaged ({error}); run: flask search rebuild") from error
    table = Table(show_header=False)
    if index is None:
        table.add_row("index", "none yet; the search worker or `flask search rebuild` makes it")
    else:
        table.add_row("folder", index.folder)
        table.add_row("generation", str(index.generation))
        table.add_row("goods", str(index.documents))
        table.add_row("deleted, not yet merged away", str(index.deleted))
        table.add_row("segments", str(index.segments))
        table.add_row("size", f"{index.bytes / 1024 / 1024:.1f} MB")
    table.add_row("changes waiting", str(waiting))
    Console().print(table)


_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@search_commands.command()
@click.argument("goods", metavar="GOODS.jsonl", type=_FILE)
@click.argument("queries", metavar="QUERIES.jsonl", type=_FILE)
@click.option("--engine", type=_ENGINES, default=SearchEngine.WHOOSH.value, show_default=True, help="Which engine.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--worst", "worst_count", metavar="N", type=click.IntRange(min=0), default=0, help="Show the N worst answers too."
)
def evaluate(goods: Path, queries: Path, engine: str, as_json: bool, worst_count: int) -> None:  # noqa: FBT001 - click passes options by name
    """Judge search: build a temporary index of GOODS.jsonl and ask it QUERIES.jsonl.

    A line of GOODS.jsonl is {"id", "title", "description", "category" (1-9), "price" (yuan), "published_at" (Unix
    seconds)}; one of QUERIES.jsonl is {"query", "kind", "relevant": {"id": grade from 0 to 3}}. The gain of a grade is
    2^grade - 1; recall counts goods of grade 3 within the first 50, of min(50, all of them).
    """
    try:
        corpus = read_corpus(goods)
        asked = read_queries(queries, corpus)
    except (BadLine, OSError) as error:
        raise click.ClickException(str(error)) from error
    with progress_bar(quiet_in_pipes=True) as bar:
        task = bar.add_task("indexing goods", total=len(corpus.documents))

        def progress(goods: int) -> None:
            bar.advance(task, goods)

        temporary = (
            temporary_postgres(settings().database_url, corpus.documents, analyser=analyser(), progress=progress)
            if engine == SearchEngine.POSTGRES
            else temporary_whoosh(corpus.documents, analyser=analyser(), progress=progress)
        )
        with temporary as find:
            outcomes = list(bar.track(judge(asked, find), total=len(asked), description="asking"))
    bad = worst(outcomes, worst_count)
    with printing():
        if as_json:
            judged = {"all": asdict(figures(outcomes)), "kinds": figures_by_kind(outcomes)}
            shown = {"worst": [described(each, corpus) for each in bad]} if worst_count else {}
            click.echo(orjson.dumps(judged | shown, option=orjson.OPT_INDENT_2).decode())
        else:
            print_table(table_of_figures(outcomes))
            if bad:
                print_table(table_of_worst(bad, corpus))
