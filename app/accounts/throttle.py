"""Slows down who guesses passwords, and nobody else. Counters live in Valkey.

Three counters stand before a login. That of the account and the caller's network together slows one guesser at one
account; that of the network, with ten times as many failures allowed, slows one guesser at many accounts; that of the
account, with five times as many, slows many guessers at one account. The last asks nobody who comes from a network from
which the account was logged in to before, so that an owner at home is let in while strangers are kept out (OWASP's
Authentication Cheat Sheet recommends as much, with device cookies; API clients keep none). A change of the password has
a counter of its own for each session: no stranger's guesses count there.

An attempt counts as failed when it is admitted, and is subtracted again if the password was right: so many simultaneous
attempts cannot all be admitted before the first one is counted. Once the allowed failures are used up, each further one
closes for twice as long as the one before: 1, 2, 4 … seconds, at most 15 minutes. Accounts are counted by the name that
was tried, whether or not it exists, so being slowed does not tell whether it does.
"""

import time
from typing import Final

from app.accounts.usernames import username_key
from app.extensions import valkey
from app.origin import network_of
from app.settings import settings

LONGEST_WAIT: Final = 15 * 60
"""Seconds."""

NETWORK_FACTOR: Final = 10
"""How many times as many failures are allowed per network: schools, offices and mobile networks share one."""

ACCOUNT_FACTOR: Final = 5
"""How many times as many failures are allowed per account, from all networks together in which it is not at home."""

HOME_SECONDS: Final = 90 * 86400
"""How long a network is remembered after a login from it."""

HOMES_KEPT: Final = 50
"""Networks remembered per account; the oldest are forgotten."""

# KEYS: pairs of a counter and a lock. ARGV: window and longest wait in seconds, then for each pair the failures
# allowed. Returns the milliseconds to wait; 0 admits the attempt.
_ADMIT: Final = """
local wait = 0
for pair = 1, #KEYS / 2 do
  wait = math.max(wait, redis.call('PTTL', KEYS[2 * pair]))
end
if wait > 0 then
  return wait
end
local window, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
for pair = 1, #KEYS / 2 do
  local beyond = redis.call('INCR', KEYS[2 * pair - 1]) - tonumber(ARGV[2 + pair])
  local closed = 0
  if beyond >= 0 then
    closed = math.min(2 ^ math.min(beyond, 30), longest)
    redis.call('SET', KEYS[2 * pair], '1', 'EX', string.format('%d', closed))
  end
  redis.call('EXPIRE', KEYS[2 * pair - 1], string.format('%d', window + closed))
end
return 0
"""

# KEYS: as above. The first counter begins anew. From the others, which count other people's failures too, this one
# attempt is subtracted: else logging in to an own account would reset the guesses at others.
_FORGIVE: Final = """
redis.call('DEL', KEYS[1])
for pair = 1, #KEYS / 2 do
  redis.call('DEL', KEYS[2 * pair])
  if redis.call('EXISTS', KEYS[2 * pair - 1]) == 1 then
    redis.call('DECR', KEYS[2 * pair - 1])
  end
end
"""


def admit(*, username: str, origin: str | None) -> int:
    """Ask whether a password may be tried: 0, and the attempt counts as failed until `forgive`; or seconds to wait."""
    return _admit(_login_counters(username, origin))


def forgive(*, username: str, origin: str | None) -> None:
    """Subtract the attempt that was admitted last: its password was right. The caller's network is a home now."""
    _forgive(_login_counters(username, origin))
    homes, now = _homes(username), time.time()
    with valkey().pipeline() as pipeline:
        pipeline.zadd(homes, {network_of(origin): now})
        pipeline.zremrangebyscore(homes, 0, now - HOME_SECONDS)
        pipeline.zremrangebyrank(homes, 0, -HOMES_KEPT - 1)
        pipeline.expire(homes, HOME_SECONDS)
        pipeline.execute()


def is_home(*, username: str, origin: str | None) -> bool:
    """Whether the account was logged in to from the caller's network within `HOME_SECONDS`."""
    return valkey().zscore(_homes(username), network_of(origin)) is not None


def forget_homes(*, username: str) -> None:
    """Forget from which networks the account was logged in to."""
    valkey().delete(_homes(username))


def admit_reset(*, username: str, origin: str | None) -> int:
    """As `admit`, for one who tries codes for a forgotten password. A code bears more guesses than one network has."""
    return _admit(_reset_counters(username, origin))


def forgive_reset(*, username: str, origin: str | None) -> None:
    """As `forgive`, for `admit_reset`: who had the right code may log in."""
    _forgive(_reset_counters(username, origin))
    forgive(username=username, origin=origin)


def admit_session(session_id: str) -> int:
    """As `admit`, for one who gives the account's password in a session of it."""
    return _admit(_session_counters(session_id))


def forgive_session(session_id: str) -> None:
    """As `forgive`, for `admit_session`."""
    _forgive(_session_counters(session_id))


def admit_second_factor(user_id: int) -> int:
    """As `admit`, for one who gives a one-time password after the account's own."""
    return _admit(_second_factor_counters(user_id))


def forgive_second_factor(user_id: int) -> None:
    """As `forgive`, for `admit_second_factor`."""
    _forgive(_second_factor_counters(user_id))


_Counters = dict[str, int]
"""The failures allowed, by what is counted. The first is the caller's own."""


def _login_counters(username: str, origin: str | None) -> _Counters:
    account, network, allowed = username_key(username), network_of(origin), settings().login_failures_allowed
    counters = {
        f"origin:{account}:{network}": allowed,
        f"network:{network}": allowed * NETWORK_FACTOR,
    }
    if not is_home(username=username, origin=origin):
        counters[f"account:{account}"] = allowed * ACCOUNT_FACTOR
    return counters


def _reset_counters(username: str, origin: str | None) -> _Counters:
    account, network, allowed = username_key(username), network_of(origin), settings().login_failures_allowed
    return {f"reset:{account}:{network}": allowed, f"reset-network:{network}": allowed * NETWORK_FACTOR}


def _session_counters(session_id: str) -> _Counters:
    return {f"session:{session_id}": settings().login_failures_allowed}


def _second_factor_counters(user_id: int) -> _Counters:
    return {f"second-factor:{user_id}": settings().login_failures_allowed}


def _homes(username: str) -> str:
    return f"login-homes:{username_key(username)}"


def _admit(counters: _Counters) -> int:
    keys, window = _keys(counters), settings().login_failures_window
    milliseconds = valkey().eval(_ADMIT, len(keys), *keys, window, LONGEST_WAIT, *counters.values())
    return -(-int(milliseconds) // 1000)


def _forgive(counters: _Counters) -> None:
    keys = _keys(counters)
    valkey().eval(_FORGIVE, len(keys), *keys)


def _keys(counters: _Counters) -> list[str]:
    return [f"login-{kind}:{subject}" for subject in counters for kind in ("failures", "closed")]
