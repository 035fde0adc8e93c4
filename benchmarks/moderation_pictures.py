"""How well and how fast pictures are looked at: the picture half of `make bench-moderation`.

First the labelled set, in the part that was used for tuning and the part that never was: rejections that are right,
violations that are refused or reviewed, harmless pictures that pass. Then what the largest pictures cost that there
are. Then a worker as `make run` has it, a process of its own with models of its own, looks at 500 pictures, one in ten
a large one: CPU time for each, pictures a minute, memory after each hundred.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import psutil
from PIL import Image
from rq.registry import FailedJobRegistry

from app import load_app
from app.moderation.pictures import check_picture, load
from app.moderation.verdicts import Decision
from tasks.queues import QueueName, enqueue_attempt, queue

SET: Final = Path(__file__).resolve().parent.parent / "tests" / "data" / "moderation_pictures"
GOALS: Final[Mapping[str, float]] = {"rejections right": 0.98, "violations seen": 0.90, "harmless passed": 0.96}
CPU_SECONDS: Final = 0.9
MEMORY: Final = 600 * 1024 * 1024
LARGE: Final = ((4000, 3000), (2560, 1920), (1080, 8000), (1080, 16000))
"""Width and height in pixels: a photograph of 12 megapixels, one as it is stored, and long screenshots."""
GROWTH: Final = 20 * 1024 * 1024
"""Bytes by which a worker may grow between its hundredth picture and its last: less than any picture held."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture of the set: `violation` or `harmless`, of which category, and whether tuning never saw it."""

    file: Path
    label: str
    category: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one, and the seconds of processor time that it took."""

    picture: Labelled
    decision: Decision
    seconds: float

    @property
    def wrong(self) -> bool:
        """Whether it is not what the label asks for."""
        return (self.picture.label == "harmless") != (self.decision is Decision.PASS)


def labelled() -> list[Labelled]:
    """The set, in its order."""
    rows = [json.loads(line) for line in (SET / "labels.jsonl").read_text("utf-8").splitlines()]
    return [Labelled(SET / "pictures" / row["file"], row["label"], row["category"], row["held_out"]) for row in rows]


def judge(picture: Labelled) -> Outcome:
    """What the check says of a picture."""
    data = picture.file.read_bytes()
    before = time.process_time()
    decision = check_picture(data).decision
    return Outcome(picture, decision, time.process_time() - before)


def rates(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """For each goal how many were right, of how many."""
    rejected = [each for each in outcomes if each.decision is Decision.REJECT]
    violations = [each for each in outcomes if each.picture.label == "violation"]
    harmless = [each for each in outcomes if each.picture.label == "harmless"]
    return {
        "rejections right": (sum(not each.wrong for each in rejected), len(rejected)),
        "violations seen": (sum(not each.wrong for each in violations), len(violations)),
        "harmless passed": (sum(not each.wrong for each in harmless), len(harmless)),
    }


def evaluate() -> bool:
    """Print how the set fares, and what is wrong; whether the goals are reached."""
    load()
    outcomes = [judge(picture) for picture in labelled()]
    reached = True
    for name, part in (
        ("tuned on", [each for each in outcomes if not each.picture.held_out]),
        ("held out", [each for each in outcomes if each.picture.held_out]),
        ("together", outcomes),
    ):
        print(f"{name}: {len(part)} pictures")
        for goal, (right, count) in rates(part).items():
            print(f"  {goal:<17} {right:>3} of {count:>3}  {right / count:6.1%}  (goal {GOALS[goal]:.0%})")
            reached &= right / count >= GOALS[goal]
    for each in outcomes:
        if each.wrong:
            print(f"  wrong: {each.picture.file.name} is {each.picture.label}, decision {each.decision.value}")
    seconds = sorted(each.seconds for each in outcomes)
    mean, worst = sum(seconds) / len(seconds), seconds[-1]
    median = seconds[len(seconds) // 2]
    print(f"CPU seconds: median {median:.2f}, mean {mean:.2f}, worst {worst:.2f} (at most {CPU_SECONDS})")
    return reached


@cache
def large(width: int, height: int) -> bytes:
    """A JPEG of this size that is covered with pictures of the set, so that there is much to read in it."""
    sheet = Image.new("RGB", (width, height), "white")
    side = min(width, height) // 2
    places = [(across, down) for down in range(0, height, side) for across in range(0, width, side)]
    for place, picture in zip(places, cycle(labelled()), strict=False):
        with Image.open(picture.file) as image:
            sheet.paste(image.convert("RGB").resize((side, side)), place)
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=88)
    return file.getvalue()


def measure_large() -> bool:
    """Print what large pictures cost, the least of three times; whether that is within the goal."""
    reached = True
    for width, height in LARGE:
        seconds = []
        for _ in range(3):
            before = time.process_time()
            check_picture(large(width, height))
            seconds.append(time.process_time() - before)
        print(f"{width} × {height}: {min(seconds):.2f} CPU seconds")
        reached &= min(seconds) <= CPU_SECONDS
    return reached


def look(number: int) -> None:
    """Job of the measured worker: look at a picture of the set, which begins anew at its end, or at a large one."""
    if number % 10 == 0:
        check_picture(large(*LARGE[number // 10 % len(LARGE)]))
        return
    pictures = labelled()
    judge(pictures[number % len(pictures)])


def work(count: int) -> bool:
    """Let a worker look at so many pictures; print what it took. Whether its memory stays in its limits."""
    from benchmarks.moderation_pictures import look as job  # by a name that the worker knows, not of __main__

    jobs = queue(QueueName.VISION)
    for number in range(count):
        enqueue_attempt(QueueName.VISION, job, number, job_id=f"bench-look-{number}", timeout=60)
    worker = psutil.Process(
        subprocess.Popen(
            [sys.executable, "-m", "tasks.worker", "vision", "--burst"], env=os.environ | {"LOG_LEVEL": "WARNING"}
        ).pid
    )
    memory: dict[int, int] = {}
    times: dict[int, tuple[float, float]] = {}
    try:
        for done in range(100, count + 1, 100):
            while count - jobs.count < done and worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.05)
            memory[done] = worker.memory_info().rss
            used = worker.cpu_times()
            times[done] = (time.monotonic(), used.user + used.system)
            print(f"after {done} pictures: {memory[done] / 1024 / 1024:.0f} MB")
    finally:
        worker.terminate()
        worker.wait()
    first, last = min(times), max(times)
    if last > first:
        wall, used_cpu = (times[last][place] - times[first][place] for place in (0, 1))
        each = used_cpu / (last - first)
        print(f"{(last - first) / wall * 60:.0f} pictures a minute and worker, {each:.2f} CPU seconds each")
    failed = FailedJobRegistry(queue=jobs).get_job_count(cleanup=False)
    if failed:
        print(f"{failed} jobs failed")
    growth = memory[last] - memory[first]
    print(f"grown by {growth / 1024 / 1024:.0f} MB since the {first}th (at most {GROWTH // 1024 // 1024})")
    return max(memory.values()) <= MEMORY and growth <= GROWTH and not failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit status is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moderation_pictures", description=__doc__)
    parser.add_argument("--pictures", type=int, default=500, help="how many the worker looks at (0: only the set)")
    options: Any = parser.parse_args(arguments)
    os.environ.setdefault("SALTFISH_ENV", "development")  # of the worker, too; `with-engines` says only where they are
    with load_app().app_context():
        reached = evaluate() & measure_large()
        if options.pictures:
            reached &= work(options.pictures)
    print("all goals reached" if reached else "NOT all goals reached")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
