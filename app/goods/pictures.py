"""What pictures are stored and served as: sizes, thumbnails, and the texts of what is refused.

What is stored was made by ourselves (`app.goods.preparation`), and is safe to decode anywhere.
"""

import io
import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    # The process that prepares uploads loads no Flask.
    from app.goods.storage import PictureStorage

MAX_PICTURES = 9

LONG_SIDE: Final = 2560
"""Pixels of a picture's long side; larger pictures are scaled down to it, but for long ones."""

SHORT_SIDE: Final = 1080
"""Pixels that a long picture's short side keeps: a screenshot's text can be read at the width of its screen."""

LONG_PIXELS: Final = SHORT_SIDE * 16_000
"""The most pixels that a long picture keeps: of one that is longer still, the short side becomes shorter."""

DAMAGED: Final = "已损坏或不完整,请重新保存或截图后再发送"
"""Why a picture is refused that cannot be decoded."""

TOO_DEAR: Final = "过于复杂,无法处理,请截图或另存为 JPEG 后再发送"
"""Why a picture is refused that would take too much time or memory."""

UNKNOWN: Final = "不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片"
"""Why a file is refused that is no picture, or of a format that nobody can look at."""

_THUMBNAIL_QUALITY = 80

# A few bytes may decode to all the pixels that are allowed, which can take 800 MB for a moment. Pillow's allocation
# blocks (size in bytes) are made so large that glibc returns them to the system: of smaller ones a process could keep
# 600 MB.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined] # Pillow's manual names it, its types do not


class ThumbnailWidth(IntEnum):
    """The widths of thumbnails in pixels. Only a fixed few, so that clients cannot fill the disk with other sizes."""

    SMALL = 120
    LIST = 240
    CARD = 480
    DETAIL = 960


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture as it will be stored and served: `sha256` is that of `data`, width and height are pixels.

    `decoded_pixels` is how many the upload had.
    """

    data: bytes
    sha256: str
    content_type: str
    width: int
    height: int
    decoded_pixels: int


def kept_size(width: int, height: int, *, longest: int) -> tuple[int, int]:
    """The size that a picture of `width` × `height` pixels is stored in; neither side is longer than `longest`.

    It fits into a square of `LONG_SIDE`. Of a long picture, a panorama or a screenshot of a whole conversation, that
    would leave a strip in which nothing can be read: it keeps `SHORT_SIDE`, as far as `LONG_PIXELS` go.
    """
    long, short = max(width, height), min(width, height)
    fitting = LONG_SIDE / long
    readable = min(SHORT_SIDE / short, math.sqrt(LONG_PIXELS / (width * height)))
    scale = min(max(fitting, readable), longest / long, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def check_size(length: int, *, limit: int) -> str | None:
    """Why an upload of `length` bytes is refused; None if it is not."""
    return f"超过 {limit / 1024 / 1024:g} MB,请压缩或截图后再发送" if length > limit else None


@dataclass(frozen=True, slots=True)
class Rendition:
    """One form in which a stored picture is served; `key` is its storage key and identifies its bytes."""

    sha256: str
    content_type: str
    width: ThumbnailWidth | None

    @property
    def key(self) -> str:
        """The storage key."""
        return self.sha256 if self.width is None else f"{self.sha256}-w{self.width}"


def rendition_of(
    *, sha256: str, content_type: str, width: int, height: int, wanted: ThumbnailWidth | None
) -> Rendition:
    """The rendition to serve for a picture of `width` × `height` pixels where `wanted` is asked for.

    Never one that is scaled up. A picture taller than `LONG_SIDE` is served whole where it is to be looked at rather
    than recognised: a thumbnail of it is `LONG_SIDE` high at most.
    """
    is_tall = height > LONG_SIDE and wanted is not None and wanted >= ThumbnailWidth.CARD
    if wanted is None or wanted >= width or is_tall:
        return Rendition(sha256, content_type, None)
    return Rendition(sha256, "image/webp", wanted)


def read_rendition(storage: "PictureStorage", rendition: Rendition) -> bytes:
    """The bytes of the rendition. A thumbnail is made when it is first read."""
    if rendition.width is not None and not storage.exists(rendition.key):
        storage.put(rendition.key, _thumbnail(storage, rendition.sha256, rendition.width))
    with storage.open(rendition.key) as file:
        return file.read()


def _thumbnail(storage: "PictureStorage", sha256: str, width: int) -> bytes:
    buffer = io.BytesIO()
    with storage.open(sha256) as file, Image.open(file) as image:
        image.thumbnail((width, LONG_SIDE), Image.Resampling.LANCZOS)
        image.save(buffer, "WEBP", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()
