"""Image captchas. Their answers are kept in Valkey for the setting CAPTCHA_LIFETIME, and each can be used once."""

import base64
import hmac
import secrets
import unicodedata
from dataclasses import dataclass

from captcha.image import ImageCaptcha, random_color

from app.extensions import valkey

# Without characters that look alike when they are distorted (0OQ 1IL 2Z 5S 6G 8B UV) and the widest letters (M W).
ALPHABET = "ACDEFHJKNPRTXY3479"
LENGTH = 5

_KEY = "captcha:"


class _Painter(ImageCaptcha):
    word_offset_dx = 0.1  # with the library's 0.25 letters overlap so much that people cannot read them either


_painter = _Painter(width=180, height=64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Captcha:
    """One captcha: its id, its picture as a PNG data URI, and the answer, which must not leave the server."""

    id: str
    image: str
    code: str


def make_captcha(*, lifetime: int) -> Captcha:
    """Make a captcha that lives `lifetime` seconds."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    captcha = Captcha(id=secrets.token_urlsafe(16), image=_data_uri(code), code=code)
    valkey().set(_KEY + captcha.id, _comparable(code), ex=lifetime)
    return captcha


def consume_captcha(*, captcha_id: str, code: str) -> bool:
    """Whether `code` is the captcha's answer. A wrong guess uses it up, too; of simultaneous ones only one counts."""
    right = valkey().getdel(_KEY + captcha_id)
    return right is not None and hmac.compare_digest(str(right).encode(), _comparable(code).encode())


def _data_uri(code: str) -> str:
    picture = _painter.generate(code, fg_color=random_color(10, 120, 255))
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode("ascii")


def _comparable(code: str) -> str:
    # Chinese input methods type full-width letters.
    return unicodedata.normalize("NFKC", code).casefold()
