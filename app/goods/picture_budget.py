"""What decoding a user's uploads may cost within a window of time: pixels, and seconds of processor time.

The sums are in Valkey. They are those of what was really spent, so a user who has not spent it all may begin one more
picture, whatever that costs.
"""

import math
from typing import Final

from app.answers import Answer, Refused
from app.extensions import valkey
from app.settings import settings

_KEY: Final = "picture-budget:"
_MILLISECONDS: Final = "milliseconds"
_PIXELS: Final = "pixels"


def check(user_id: int) -> None:
    """Raise TOO_MANY_PICTURES, with the time until the window ends, if the user has spent all."""
    with valkey().pipeline() as pipeline:
        pipeline.hmget(_KEY + str(user_id), _MILLISECONDS, _PIXELS)
        pipeline.ttl(_KEY + str(user_id))
        (milliseconds, pixels), left = pipeline.execute()
    limits = settings()
    if (
        int(milliseconds or 0) >= limits.picture_budget_seconds * 1000
        or int(pixels or 0) >= limits.picture_budget_pixels
    ):
        raise Refused(Answer.TOO_MANY_PICTURES, retry_after=max(left, 1))


def charge(user_id: int, *, seconds: float, pixels: int) -> None:
    """Add to what the user has spent, at least a millisecond. The first picture begins the window."""
    with valkey().pipeline() as pipeline:
        pipeline.hincrby(_KEY + str(user_id), _MILLISECONDS, max(math.ceil(seconds * 1000), 1))
        pipeline.hincrby(_KEY + str(user_id), _PIXELS, pixels)
        pipeline.expire(_KEY + str(user_id), settings().picture_budget_window, nx=True)
        pipeline.execute()
