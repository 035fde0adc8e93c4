"""Slows down guessing of passwords, per account and per IP address of the caller. Counters live in Valkey.

An attempt counts as failed when it is admitted, and is subtracted again if the password was right: so many simultaneous
attempts cannot all be admitted before the first one is counted. Once the allowed failures are used up, each further one
locks the account for twice as long as the one before: 1, 2, 4 … seconds, at most 15 minutes. Accounts are counted by
the name that was tried, whether or not it exists, so being locked does not tell whether it does.
"""

from app.accounts.usernames import username_key
from app.extensions import valkey
from app.origin import network_of
from app.settings import settings

LONGEST_WAIT = 15 * 60
"""Seconds."""

ADDRESS_FACTOR = 10
"""How many times as many failures are allowed per IP address: schools, offices and mobile networks share one."""

# KEYS: pairs of a counter and a lock. ARGV: window and longest wait in seconds, then for each pair the failures
# allowed. Returns the milliseconds to wait; 0 admits the attempt.
_ADMIT = """
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

# KEYS: the account's counter and lock, the address's counter and lock. A right password resets the account. From the
# address it subtracts this one attempt only: else logging in to an own account would reset the guesses at others.
_FORGIVE = """
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('DECR', KEYS[3])
end
"""


def admit(*, username: str, origin: str | None) -> int:
    """Ask whether a password may be tried: 0, and the attempt counts as failed until `forgive`; or seconds to wait."""
    allowed = settings().login_failures_allowed
    milliseconds = valkey().eval(
        _ADMIT,
        4,
        *_keys(username, origin),
        settings().login_failures_window,
        LONGEST_WAIT,
        allowed,
        allowed * ADDRESS_FACTOR,
    )
    return -(-int(milliseconds) // 1000)


def forgive(*, username: str, origin: str | None) -> None:
    """Subtract the attempt that was admitted last: its password was right."""
    valkey().eval(_FORGIVE, 4, *_keys(username, origin))


def _keys(username: str, origin: str | None) -> list[str]:
    subjects = (f"account:{username_key(username)}", f"address:{network_of(origin)}")
    return [f"login-{kind}:{subject}" for subject in subjects for kind in ("failures", "closed")]
