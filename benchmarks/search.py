"""`python -m benchmarks.search`: search engines side by side on the same goods and queries, how well and how fast.

The goods and queries are those of `benchmarks.search_corpus`. Each engine (`benchmarks.search_engines`) runs in
processes of its own, asked plainly and with our understanding of queries. Queries are asked in the same random order,
each for the first time; an engine that does not get through them in `--seconds` has been asked fewer, and its figures
are of those. Figures of relevance stand twice: of the half of the words that search may be tuned on, and of the half
held out. Times are in the process, without HTTP; in those with understanding that is included.
"""

import argparse
import multiprocessing
import os
import pickle
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.search.documents import Document
from app.search.evaluation import RECALL_DEPTH, Figures, Find, LabelledQuery, Outcome, figures, figures_by_kind
from benchmarks.search_corpus import PER_KIND, Labelled, labelled
from benchmarks.search_engines import CONTESTANTS, Reader
from benchmarks.search_goods import Offer, offers
from benchmarks.servers import prepared
from statemachine.good import TradeMode

_ADDED: Final = 20
_PAGE: Final = 20
_PROCESSES: Final = 2
_RATE_SECONDS: Final = 5.0
# Each process has its own memory and threads, and does not wait for imports: a server that has done them forks it.
_PROCESS: Final = multiprocessing.get_context("forkserver")
_PROCESS.set_forkserver_preload(
    ["benchmarks.search_corpus", "benchmarks.search_engines", "benchmarks.servers", "rich.progress"]
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a process needs to ask an engine: its name, its folder, the queries' texts and for how many seconds."""

    engine: str
    folder: Path
    texts: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of one engine, asked in one way."""

    engine: str
    understood: bool
    outcomes: Sequence[Outcome]
    alone: float
    """Queries in a second of one process."""
    together: float
    """Queries in a second of `_PROCESSES` processes."""
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What was measured of an index."""

    goods_per_second: float
    bytes: int
    visible: float
    """The median of the seconds until a new good was found."""


# In processes of their own


def _send(connection: Connection, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    connection.send(work(*arguments))
    connection.close()


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `work` in a new process, which must end well."""
    receiver, sender = _PROCESS.Pipe(duplex=False)
    process = _PROCESS.Process(target=_send, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = None
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the process that was to {work.__name__.strip('_')} ended with {process.exitcode}")
    return result


def _build(engine: str, folder: Path, goods: Path) -> float:
    documents: Sequence[Document] = pickle.loads(goods.read_bytes())  # noqa: S301 - written by this benchmark
    started = time.perf_counter()
    CONTESTANTS[engine].build(folder, documents, lambda _goods: None)
    return len(documents) / (time.perf_counter() - started)


def _way(reader: Reader, *, understood: bool) -> Find:
    return reader.find_understood if understood else reader.find


def _ask(asked: Ask, understood: bool) -> tuple[list[tuple[Sequence[int], float]], float, int]:  # noqa: FBT001 - for `_apart`
    """What was found for each query and in how many seconds, then the queries in a second, and the bytes in memory."""
    with CONTESTANTS[asked.engine].opened(asked.folder) as reader:
        find = _way(reader, understood=understood)
        find("热身 warm", 1)
        answers: list[tuple[Sequence[int], float]] = []
        until = time.perf_counter() + asked.seconds
        for text in asked.texts:
            started = time.perf_counter()
            found = find(text, RECALL_DEPTH)
            ended = time.perf_counter()
            answers.append((found, ended - started))
            if ended > until:
                break
        rate = _rate(asked.texts[: len(answers)], find, min(asked.seconds, _RATE_SECONDS))
        return answers, rate, psutil.Process().memory_info().rss


def _rate(texts: Sequence[str], find: Find, seconds: float) -> float:
    """Queries in a second: so many as are answered, in turn and again from the first, until the time is up."""
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        find(texts[count % len(texts)], _PAGE)
        count += 1
    return count / (time.perf_counter() - started)


def _rates(connection: Connection, asked: Ask, barrier: Any) -> None:
    """Send the queries in a second of both ways, measured while the other processes do the same."""
    with CONTESTANTS[asked.engine].opened(asked.folder) as reader:
        for understood in (False, True):
            find = _way(reader, understood=understood)
            for text in asked.texts[:20]:
                find(text, _PAGE)
            barrier.wait(timeout=120)
            connection.send(_rate(asked.texts, find, asked.seconds))
    connection.close()


def _together(asked: Ask) -> tuple[float, float]:
    """Queries in a second of all processes, plainly and with understanding."""
    barrier = _PROCESS.Barrier(_PROCESSES)
    pipes = [_PROCESS.Pipe(duplex=False) for _ in range(_PROCESSES)]
    running = [_PROCESS.Process(target=_rates, args=(sender, asked, barrier)) for _, sender in pipes]
    for process, (_, sender) in zip(running, pipes, strict=True):
        process.start()
        sender.close()
    plain, understood = (sum(receiver.recv() for receiver, _ in pipes) for _ in range(2))
    for process in running:
        process.join()
    return plain, understood


def _add(engine: str, folder: Path, documents: Sequence[Document]) -> list[float]:
    """The seconds until each of `documents`, whose titles are words that no other good has, was found."""
    seconds = []
    with CONTESTANTS[engine].opened(folder) as reader:
        for document in documents:
            started = time.perf_counter()
            reader.add(document)
            while list(reader.find(document.title, 1)) != [document.good_id]:
                if time.perf_counter() - started > 60:
                    raise RuntimeError(f"{engine}: a new good is not found")
            seconds.append(time.perf_counter() - started)
    return seconds


# The whole


def measure(
    engines: Sequence[str],
    goods: Sequence[Offer],
    queries: Sequence[Labelled],
    folder: Path,
    *,
    seconds: float,
    progress: Progress,
) -> tuple[dict[str, Built], list[Measured]]:
    """Build the index of each engine and ask it, plainly and with understanding."""
    documents = [document_of(each) for each in goods]
    pickled = folder / "goods.pickle"
    pickled.write_bytes(pickle.dumps(documents))
    asked = [LabelledQuery(text=each.text, kind=each.kind, grades=each.grades) for each in queries]
    random.Random(3).shuffle(asked)
    texts = [each.text for each in asked]
    built: dict[str, Built] = {}
    measured: list[Measured] = []
    task = progress.add_task("measuring", total=len(engines) * 5)
    for engine in engines:
        place = folder / f"engine-{len(built)}"
        place.mkdir()

        def step(doing: str, engine: str = engine) -> None:
            progress.update(task, advance=1, description=f"{engine}: {doing}")

        progress.update(task, description=f"{engine}: building")
        speed = _apart(_build, engine, place, pickled)
        size = CONTESTANTS[engine].size(place)
        asks = []
        for understood in (False, True):
            step("asking, with understanding" if understood else "asking")
            asks.append(_apart(_ask, Ask(engine, place, texts, seconds), understood))
        step(f"asking in {_PROCESSES} processes")
        fewest = min(len(answers) for answers, _, _ in asks)
        together = _together(Ask(engine, place, texts[:fewest], min(seconds, _RATE_SECONDS)))
        for is_understood, (answers, alone, memory), rate in zip((False, True), asks, together, strict=True):
            measured.append(
                Measured(
                    engine=engine,
                    understood=is_understood,
                    outcomes=[Outcome(query, *answer) for query, answer in zip(asked, answers, strict=False)],
                    alone=alone,
                    together=rate,
                    memory=memory,
                )
            )
        step("adding")
        visible = float(np.median(_apart(_add, engine, place, _unlike(documents))))
        built[engine] = Built(goods_per_second=speed, bytes=size, visible=visible)
        progress.advance(task)
    return built, measured


def _unlike(documents: Sequence[Document]) -> list[Document]:
    """New goods, whose titles are words that no other good has."""
    last = documents[-1].good_id
    return [
        replace(each, good_id=last + number, title=f"zq{number}w{last}x", description="")
        for number, each in enumerate(documents[:_ADDED], 1)
    ]


def document_of(offer: Offer) -> Document:
    """The good as an index takes it."""
    return Document(
        good_id=offer.number,
        title=offer.title,
        description=offer.description,
        category=offer.category,
        price=offer.price * 100,
        published=offer.published,
        trade_mode=TradeMode.ANY.value,
    )


def tables(built: Mapping[str, Built], measured: Sequence[Measured], queries: Sequence[Labelled]) -> Iterator[Table]:
    """The figures of relevance, of speed, and by kind those of our engines."""
    held_out = {(each.kind, each.text) for each in queries if each.held_out}

    def halves(each: Measured) -> tuple[list[Outcome], list[Outcome]]:
        is_held = [(outcome.query.kind, outcome.query.text) in held_out for outcome in each.outcomes]
        tuned = [outcome for outcome, held in zip(each.outcomes, is_held, strict=True) if not held]
        return tuned, [outcome for outcome, held in zip(each.outcomes, is_held, strict=True) if held]

    relevance = _table("relevance: tuned / held out", "engine", "asked", "nDCG@10", "recall@50", "no result")
    times = ("p50 ms", "p95 ms", "p99 ms", "q/s, 1 process", f"q/s, {_PROCESSES} processes")
    speed = _table("speed and size", "engine", *times, "build goods/s", "add to visible ms", "disk MB", "RSS MB")
    for each in measured:
        name = f"{each.engine}{', understood' if each.understood else ''}"
        both = [figures(half) if half else None for half in halves(each)]
        relevance.add_row(
            name, f"{len(each.outcomes):,}", *(_both(both, field) for field in ("ndcg10", "recall50", "zero"))
        )
        milliseconds = np.percentile([outcome.seconds * 1000 for outcome in each.outcomes], (50, 95, 99))
        index = built[each.engine]
        speed.add_row(
            name,
            *(f"{value:.2f}" for value in milliseconds),
            f"{each.alone:,.0f}",
            f"{each.together:,.0f}",
            f"{index.goods_per_second:,.0f}",
            f"{index.visible * 1000:.1f}",
            f"{index.bytes / 1e6:.1f}",
            f"{each.memory / 1e6:.0f}",
        )
    yield relevance
    yield speed
    ours = [each for each in measured if each.engine.startswith("ours") and each.understood]
    by_kind = [[figures_by_kind(half) for half in halves(each)] for each in ours]
    kinds = sorted({kind for halves in by_kind for half in halves for kind in half})
    table = _table("nDCG@10 by kind, understood: tuned / held out", "kind", *(each.engine for each in ours))
    for kind in kinds:
        table.add_row(kind, *(_both([half.get(kind) for half in halves], "ndcg10") for halves in by_kind))
    yield table


def _both(halves: Sequence[Figures | None], field: str) -> str:
    return " / ".join("-" if half is None else f"{getattr(half, field):.3f}" for half in halves)


def _table(caption: str, first: str, *others: str) -> Table:
    table = Table(caption=caption)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__.partition("\n")[0])
    parser.add_argument("--goods", type=int, default=100_000)
    parser.add_argument("--per-kind", type=int, default=PER_KIND, help="queries of each kind, half of them held out")
    parser.add_argument("--seconds", type=float, default=90.0, help="most that an engine is asked for, in each way")
    parser.add_argument("--engine", action="append", choices=list(CONTESTANTS), help="only this one; may be repeated")
    options = parser.parse_args(arguments)
    progress = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())
    with prepared() as (environ, folder), progress:
        os.environ.update(environ, LOG_LEVEL="WARNING")  # for the processes that it starts
        goods = offers(options.goods)
        queries = labelled(goods, per_kind=options.per_kind)
        engines = options.engine or list(CONTESTANTS)
        built, measured = measure(engines, goods, queries, folder, seconds=options.seconds, progress=progress)
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(f"{options.goods:,} goods, {len(queries):,} queries of {len({each.kind for each in queries})} kinds")
    for table in tables(built, measured, queries):
        console.print(table)


if __name__ == "__main__":
    main()
