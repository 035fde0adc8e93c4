"""Closes connections whose clients do not take their answers.

Granian keeps an answer in memory until its client has taken all of it, however long that lasts. A thousand connections
on which a file is asked for, and nothing is read, would be gigabytes. So an answer has a total time and a least rate,
as bodies of requests have, and where all together are too much, the eldest of the network that has most of them end.

Whether an answer has been taken, granian does not say, but the system knows what of a connection's bytes the other side
has not acknowledged (`app.web.connections`). Granian begins with the next request of a connection only when the system
has got the answer before it, so each connection has one.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import structlog

from app.origin import network_of
from app.web.connections import ConnectionGuard, shut_down

log = structlog.get_logger(__name__)

COUNTED_BYTES: Final = 64 * 1024
"""From this length on answers are counted. Shorter ones are less than what each connection may cost anyway."""

LIMIT_BYTES: Final = 64 * 1024 * 1024
"""That the answers of one process may have which have not been taken."""

_SECONDS: Final = 10.0  # for an answer, and one more for each so many bytes of it
_LEAST_RATE: Final = 16 * 1024
_SOON: Final = 2.0  # seconds after which most have been taken: to look earlier would be in vain
_HANDED_OVER: Final = 0.5  # seconds within which the system has certainly got the first bytes of it
_BETWEEN_LOOKS: Final = 0.2  # seconds, also where there are too many
_GONE: Final = (-1, 0)  # no descriptor, nothing unsent


@dataclass(frozen=True, slots=True)
class _Answer:
    length: int
    since: float


class UnreadAnswers:
    """The long answers of this process that perhaps have not been taken yet, by their clients `HOST:PORT`."""

    def __init__(self, guard: ConnectionGuard, *, limit: int = LIMIT_BYTES) -> None:
        self._guard = guard
        self._limit = limit
        self._lock = threading.Lock()
        self._answers: dict[str, _Answer] = {}
        self._bytes = 0
        self._looked = 0.0

    def add(self, client: str, length: int) -> bool:
        """Count an answer that granian has got. True where they are too many: then somebody has to `look` at once."""
        with self._lock:
            before = self._answers.pop(client, None)
            self._answers[client] = _Answer(length, time.monotonic())
            self._bytes += length - (before.length if before else 0)
            return self._bytes > self._limit

    def look(self) -> int:
        """Forget what has been taken, close what takes too long or is too much, and return how many that were."""
        now = time.monotonic()
        with self._lock:
            eldest = next(iter(self._answers.values()), None)
            waits = eldest is None or (self._bytes <= self._limit and now - eldest.since < _SOON)
            if waits or now - self._looked < _BETWEEN_LOOKS:
                return 0
            self._looked = now
            present = list(self._answers.items())
        found = {name: (descriptor, unsent) for name, descriptor, unsent in self._guard.answers(dict(present))}
        left = []
        for client, answer in present:
            if not found.get(client, _GONE)[1] and now - answer.since > _HANDED_OVER:
                self._forget(client, answer)
            else:
                left.append((client, answer))
        ended = self._ended(left, now)
        closed = 0
        for client, answer in left:
            if client in ended:
                closed += client in found and shut_down(found[client][0], client, discard=True)
                self._forget(client, answer)
        if closed:
            log.warning("unread_answers_closed", closed=closed, bytes=self._bytes)
        return closed

    def _ended(self, left: list[tuple[str, _Answer]], now: float) -> set[str]:
        """The clients among those `left` whose connections are to be closed."""
        ended = {client for client, each in left if now - each.since > _SECONDS + each.length / _LEAST_RATE}
        excess = sum(each.length for client, each in left if client not in ended) - self._limit
        if excess <= 0:
            return ended
        network = {client: network_of(client) for client, _ in left}
        by_network: Counter[str] = Counter()
        for client, each in left:
            by_network[network[client]] += each.length
        for client, each in sorted(left, key=lambda pair: (-by_network[network[pair[0]]], pair[1].since)):
            if excess <= 0:
                break
            if client not in ended:
                ended.add(client)
                excess -= each.length
        return ended

    def _forget(self, client: str, answer: _Answer) -> None:
        with self._lock:
            if self._answers.get(client) is answer:  # else there is another one by now
                del self._answers[client]
                self._bytes -= answer.length
