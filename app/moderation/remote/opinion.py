"""Our own judgement, with the opinion of the service that the settings name."""

import time
from collections.abc import Callable
from functools import cache
from typing import Final

import structlog
from redis.exceptions import RedisError

from app.extensions import valkey
from app.moderation.remote.baidu import Baidu
from app.moderation.remote.base import Provider, Unavailable
from app.moderation.remote.breaker import CircuitBreaker
from app.moderation.verdicts import Decision, Hit, Judgement
from app.settings import settings
from config import ModerationProvider, Settings

log = structlog.get_logger(__name__)

_PATIENCE: Final = 3  # seconds that one query waits for its turn


def with_opinion_on_text(own: Judgement, text: str) -> Judgement:
    """`own` with what the service finds wrong with `text`, if there is one, and `own` has not refused it already."""
    return _with_opinion(own, lambda provider: provider.check_text(text)) if text.strip() else _unasked(own)


def with_opinion_on_picture(own: Judgement, data: bytes) -> Judgement:
    """`own` with what the service finds wrong with the picture in `data`, as for texts."""
    return _with_opinion(own, lambda provider: provider.check_picture(data))


def opinion_version() -> str:
    """What a rules version ends with where the service was asked, or did not have to be; empty without one."""
    chosen = settings().moderation_provider
    return "" if chosen is ModerationProvider.NONE else f"+{chosen.value}"


def _unasked(own: Judgement) -> Judgement:
    return Judgement(own.rules_version + opinion_version(), own.hits)


def _with_opinion(own: Judgement, ask: Callable[[Provider], tuple[Hit, ...]]) -> Judgement:
    chosen = settings()
    if chosen.moderation_provider is ModerationProvider.NONE:
        return own
    if own.decision is Decision.REJECT:
        return _unasked(own)
    provider, breaker = _provider(chosen)
    if not breaker.allows():
        return own
    try:
        hits = ask(provider)
    except Unavailable as failure:
        breaker.failed(pause=failure.pause)
        log.warning("moderation_provider_unavailable", provider=chosen.moderation_provider.value, error=str(failure))
        return own
    breaker.succeeded()
    return _unasked(own.with_hits(hits))


@cache
def _provider(chosen: Settings) -> tuple[Provider, CircuitBreaker]:
    """The service of these settings, once in a process: it keeps its token and its connections."""
    provider = Baidu(
        url=chosen.baidu_url,
        api_key=chosen.baidu_api_key,
        secret_key=chosen.baidu_secret_key,
        timeout=chosen.moderation_provider_timeout,
        turn=lambda: await_turn(chosen.moderation_provider_rate),
    )
    return provider, CircuitBreaker()


def await_turn(rate: int) -> None:
    """Wait until one more query fits into the present second; all processes together make `rate` of them.

    Raises `Unavailable` after a few seconds, and where Valkey, which counts, does not answer.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        now = time.time()
        key = f"moderation-provider-{int(now)}"
        try:
            with valkey().pipeline() as counting:
                counting.incr(key)
                counting.expire(key, 5)
                count = counting.execute()[0]
        except RedisError as error:
            raise Unavailable(f"Valkey: {type(error).__name__}") from None
        if count <= rate:
            return
        if time.monotonic() >= until:
            raise Unavailable(f"no turn in {_PATIENCE} s")
        time.sleep(1 - now % 1)
