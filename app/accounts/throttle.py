"""Slows guessing of passwords, per account and per address of origin. Counters live in Valkey.

An attempt counts as failed from the moment it is admitted, and is forgiven when it turns out right: so attempts made
at the same moment cannot slip past the count together. Once an account has used up the allowed failures, each further
one closes it for twice as long as the one before: 1, 2, 4 … seconds, at most 15 minutes. Accounts are counted by
the name that was tried, whether or not it exists, so the answer tells nothing about it.
"""

from app.accounts.usernames import username_key
from app.extensions import valkey
from app.origin import network_of
from app.settings import settings

LONGEST_WAIT = 15 * 60
"""Seconds."""

# Many people share one address: schools, offices, carriers.
ADDRESS_FACTOR = 10

# KEYS: pairs of counter and closure. ARGV: window, longest wait, then the failures allowed for each pair.
# Answers the milliseconds to wait; 0 admits.
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

# KEYS: the account's counter and closure, the address's counter and closure. A right password clears the account;
# the address only gets this one attempt back, or an own account would wash away guesses at others.
_FORGIVE = """
redis.call('DEL', KEYS[1], KEYS[2], KEYS[4])
if redis.call('EXISTS', KEYS[3]) == 1 then
  redis.call('DECR', KEYS[3])
end
"""


def admit(*, username: str, origin: str | None) -> int:
    """Ask to try a password. 0: go on, and the attempt counts as failed until `forgive`; else seconds to wait."""
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
    """The attempt just admitted had the right password."""
    valkey().eval(_FORGIVE, 4, *_keys(username, origin))


def _keys(username: str, origin: str | None) -> list[str]:
    subjects = (f"account:{username_key(username)}", f"address:{network_of(origin)}")
    return [f"login-{kind}:{subject}" for subject in subjects for kind in ("failures", "closed")]
