"""URLs that show one picture that is not public, in one width, for minutes: an `<img>` sends no token.

Who may see a picture gets them in the answers that tell of it, beside its plain URL. They are signed, not stored, with
a key that is derived for them alone: no other signature of ours opens a picture, nor theirs anything else. They name
neither user nor session, and a log has paths only.
"""

import base64
import functools
import hmac
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from app.clock import MomentOut, format_moment, from_timestamp, utcnow
from app.fields import Whole
from app.goods.pictures import ThumbnailWidth
from app.settings import settings

_PURPOSE: Final = b"picture-link"
_SIGNATURE_BYTES: Final = 18  # 144 bits; 24 characters without padding


class PictureQuery(BaseModel):
    """How large a picture is wanted, and what a link has in it that shows a picture without a login."""

    model_config = ConfigDict(frozen=True)

    w: Annotated[ThumbnailWidth, BeforeValidator(Whole.parse)] | None = Field(
        None, description="width in pixels; the whole picture where it is absent or the picture is no wider"
    )
    until: Annotated[int, Whole(1)] | None = Field(None, description="of a link from an answer: when it ends")
    sign: Annotated[str, Field(max_length=64)] | None = Field(None, description="of a link from an answer")


class PictureLinksOut(TypedDict):
    """A picture that is not public, whole and in the widths of `?w=`, for an `<img>`; all end at `expires_at`."""

    whole: str
    w120: str
    w240: str
    w480: str
    w960: str
    expires_at: MomentOut


def links_to(path: str) -> PictureLinksOut:
    """Links to the picture at `path`, one for each width. The caller has checked that the reader may see it."""
    until = _end()
    of_width = functools.partial(_link, path, until=until)
    return {
        "whole": of_width(None),
        "w120": of_width(ThumbnailWidth.SMALL),
        "w240": of_width(ThumbnailWidth.LIST),
        "w480": of_width(ThumbnailWidth.CARD),
        "w960": of_width(ThumbnailWidth.DETAIL),
        "expires_at": format_moment(from_timestamp(until)),
    }


def seconds_granted(path: str, query: PictureQuery) -> int | None:
    """For how many seconds the link that was called still shows the picture at `path`; None where it does not."""
    if query.until is None or query.sign is None:
        return None
    expected = _signature(path, width=query.w, until=query.until)
    left = query.until - int(utcnow().timestamp())
    return left if hmac.compare_digest(expected.encode(), query.sign.encode()) and left > 0 else None


def _end() -> int:
    """When a link ends that is made now: after one lifetime to two.

    Those of one lifetime end together. So they are the same URL, which a browser need not fetch twice.
    """
    lifetime = settings().picture_link_lifetime
    return (int(utcnow().timestamp()) // lifetime + 2) * lifetime


def _link(path: str, width: ThumbnailWidth | None, *, until: int) -> str:
    wanted = "" if width is None else f"w={width}&"
    return f"{path}?{wanted}until={until}&sign={_signature(path, width=width, until=until)}"


def _signature(path: str, *, width: ThumbnailWidth | None, until: int) -> str:
    what = f"{path} {0 if width is None else int(width)} {until}"
    digest = hmac.digest(_key(settings().signing_key), what.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).decode()


@functools.lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, "sha256")
