"""Closes connections whose clients do not take their answers.

Granian keeps an answer in memory until its client has taken all of it, however long that lasts. A thousand connections
on which a file is asked for, and nothing is read, would be gigabytes. So an answer has a total time and a least rate,
as bodies of requests have. Where all together are too much, those end that are hardly read; if that is not enough, of
the network that has most of them the slowest, and first those that have just begun: so those that are read come to
their ends, however many want more.

Whether an answer has been taken, granian does not say, but the system knows what of a connection's bytes the other side
has acknowledged (`app.web.connections`). That nothing waits for it at one moment says little: granian may not have
written anything yet, or write the next part just now. So an answer is forgotten where two looks in a row find that.

Granian begins with the next request of a connection only when the system has got the answer before it, so each
connection has one, and it is forgotten when the next request comes. What of it nobody reads is then in the system's
memory and not in this process's, as much as the system takes for a connection (the last number of `tcp_wmem`, 4 MB by
default, for each of CONNECTIONS_LIMIT at most). That is not counted, nor limited by time here; when the connection
ends, the system keeps it for minutes.

Of networks that have as much, the newest answers end. So who has as many addresses as there is room for answers (forty
of 1.6 MB; hundreds, of ordinary pictures), and reads at the least rate, keeps others from long answers for that time.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.origin import network_of
from app.web.connections import ConnectionGuard, Sending, shut_down

log = structlog.get_logger(__name__)

COUNTED_BYTES: Final = 64 * 1024
"""From this length on answers are counted. Shorter ones are less than what each connection may cost anyway."""

LIMIT_BYTES: Final = 64 * 1024 * 1024
"""That the answers of one process may have which have not been taken."""

_SECONDS: Final = 10.0  # for an answer, and one more for each so many bytes of it
_LEAST_RATE: Final = 16 * 1024  # bytes a second; what is read more slowly ends first where there is too much
_MEASURED: Final = 2.0  # seconds over which that is measured, at least: a network may pause for one
_SOON: Final = 2.0  # seconds after which most have been taken: to look earlier would be in vain
_HANDED_OVER: Final = 0.5  # seconds, at least, that an answer counts: the system soon has the first bytes of it
_BETWEEN_LOOKS: Final = 0.2  # seconds, also where there are too many
# Whoever has one IPv6 /64 has many: customers get a /48. Phones that share one are as those behind one IPv4 address.
_IPV6_PREFIX: Final = 48


@dataclass(slots=True)
class _Answer:
    """An answer of `length` bytes to whoever is at `address`, which granian has got at the moment `since`."""

    length: int
    address: str
    since: float
    acknowledged: int | None = None
    measured: float = 0.0
    rate: float | None = None
    seen_taken: int | None = None

    def measure(self, acknowledged: int, now: float) -> None:
        """Note how many bytes of its connection have been acknowledged by now, and from time to time the rate."""
        if self.acknowledged is not None:
            if now - self.measured < _MEASURED:
                return
            self.rate = (acknowledged - self.acknowledged) / (now - self.measured)
        self.acknowledged, self.measured = acknowledged, now

    def is_taken(self, sending: Sending) -> bool:
        """Whether all of it has been acknowledged, as this look and the one before it say alike.

        Of a connection's later answers this says less: the system counts from its beginning.
        """
        is_all = not sending.unacknowledged and sending.acknowledged >= self.length
        before, self.seen_taken = self.seen_taken, sending.acknowledged if is_all else None
        return is_all and sending.acknowledged == before

    @property
    def is_stalled(self) -> bool:
        """Whether it is known that it is hardly read."""
        return self.rate is not None and self.rate < _LEAST_RATE


class UnreadAnswers:
    """The long answers of this process that perhaps have not been taken yet."""

    def __init__(
        self, guard: ConnectionGuard, *, limit: int = LIMIT_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.answers: dict[str, _Answer] = {}
        """By their clients, `HOST:PORT`. To be read only."""
        self._guard = guard
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._bytes = 0
        self._looked = clock()

    def add(self, client: str, length: int, *, address: str) -> bool:
        """Count an answer that granian is about to get; who wanted it is at `address`, behind whatever proxy.

        True where they are too many: then somebody has to `look` at once.
        """
        answer = _Answer(length, address, self._clock())
        with self._lock:
            before = self.answers.pop(client, None)
            self.answers[client] = answer
            self._bytes += length - (before.length if before else 0)
            return self._bytes > self._limit

    def forget(self, client: str) -> None:
        """Count the answer of this client no longer: the system has got all of it, as the next request has come."""
        with self._lock:
            answer = self.answers.pop(client, None)
            self._bytes -= answer.length if answer else 0

    def look(self) -> int:
        """Forget what has been taken, close what takes too long or is too much, and return how many that were."""
        now = self._clock()
        with self._lock:
            eldest = next(iter(self.answers.values()), None)
            waits = eldest is None or (self._bytes <= self._limit and now - eldest.since < _SOON)
            if waits or now - self._looked < _BETWEEN_LOOKS:
                return 0
            self._looked = now
            present = list(self.answers.items())
        found = {each.client: each for each in self._guard.answers(dict(present))}
        left = []
        for client, answer in present:
            sending = found.get(client)
            is_over = sending is None or answer.is_taken(sending)
            if sending is not None:
                answer.measure(sending.acknowledged, now)
            if is_over and now - answer.since > _HANDED_OVER:
                self._forget(client, answer)
            else:
                left.append((client, answer))
        ended = self._ended(left, now)
        closed = 0
        for client, answer in left:
            if client in ended and self._forget(client, answer):
                closed += client in found and shut_down(found[client].descriptor, client, discard=True)
        if closed:
            log.warning("unread_answers_closed", closed=closed, bytes=self._bytes)
        return closed

    def _ended(self, left: list[tuple[str, _Answer]], now: float) -> set[str]:
        """The clients among those `left` whose connections are to be closed."""
        ended = {client for client, each in left if now - each.since > _SECONDS + each.length / _LEAST_RATE}
        # What has just been found to be taken, the next look forgets: whoever took it must not end for it.
        left = [(client, each) for client, each in left if each.seen_taken is None]
        excess = sum(each.length for client, each in left if client not in ended) - self._limit
        if excess <= 0:
            return ended
        network = {client: network_of(each.address, ipv6_prefix=_IPV6_PREFIX) for client, each in left}
        by_network: Counter[str] = Counter()
        for client, each in left:
            by_network[network[client]] += each.length

        def order(pair: tuple[str, _Answer]) -> tuple[bool, int, float, float]:
            client, each = pair
            return not each.is_stalled, -by_network[network[client]], each.rate or 0.0, -each.since

        for client, each in sorted(left, key=order):
            if excess <= 0:
                break
            if client not in ended:
                ended.add(client)
                excess -= each.length
        return ended

    def _forget(self, client: str, answer: _Answer) -> bool:
        """Count this answer no longer; False where it is not counted any more, but perhaps another one is."""
        with self._lock:
            if self.answers.get(client) is not answer:
                return False
            del self.answers[client]
            self._bytes -= answer.length
            return True
