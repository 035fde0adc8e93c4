"""Processes uploaded pictures into safe ones to serve, and makes their thumbnails.

Only the pixels of an upload are kept: it is decoded, rotated as its EXIF orientation says, converted to sRGB and
encoded again, so EXIF, GPS, XMP, comments and data appended to the file are gone. The file name and type that the
client claims are ignored.

Uploads are prepared in a process of their own: see `app.goods.uploads`. What is stored was made by ourselves, and is
safe to decode anywhere.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, TYPE_CHECKING, Final

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

if TYPE_CHECKING:
    # The process that prepares uploads loads no Flask.
    from app.goods.storage import PictureStorage

MAX_PICTURES = 9
LONG_SIDE = 2560  # pixels; larger pictures are scaled down

DAMAGED: Final = "已损坏或不完整"
"""Why a picture is refused that cannot be decoded."""

TOO_DEAR: Final = "过于复杂,无法处理"
"""Why a picture is refused that would take too much time or memory."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_JPEG_QUALITY = 88
_WEBP_QUALITY = 88
_THUMBNAIL_QUALITY = 80

# A progressive JPEG normally has about ten scans. Each costs a pass over all pixels but may take only a dozen bytes, so
# a file within all other limits could keep a processor busy for hours. More than a hundred no encoder writes, and large
# pictures have few.
_MAX_JPEG_SCANS = 100
_MAX_LARGE_JPEG_SCANS = 12  # of one with as many pixels as a picture may have, and more the fewer it has
_START_OF_SCAN = b"\xff\xda"

# A few bytes may decode to all the pixels that are allowed, which can take 800 MB for a moment. Pillow's allocation
# blocks (size in bytes) are made so large that glibc returns them to the system: of smaller ones a process could keep
# 600 MB.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined] # Pillow's manual names it, its types do not

# Above its own limit Pillow only warns, and refuses from twice that limit on: make the warning an error.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# Its other warnings, mostly about malformed EXIF in users' files, are of no use here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


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


class PictureRefused(Exception):  # noqa: N818 - it says what happened, as app.answers.Refused does
    """An upload that cannot be accepted; the message is shown to its sender.

    `decoded_pixels` is how many it has, where decoding them was tried.
    """

    def __init__(self, message: str, *, decoded_pixels: int = 0) -> None:
        self.decoded_pixels = decoded_pixels
        super().__init__(message)


def prepare(upload: IO[bytes], *, bytes_limit: int, pixels_limit: int) -> PreparedPicture:
    """The picture in `upload`, encoded again: as JPEG, or WebP if it has transparency. Of a GIF, the first frame.

    Raises `PictureRefused` for more than `bytes_limit` bytes or `pixels_limit` pixels (checked before decoding), for
    other formats and for damaged files.
    """
    source = upload.read(bytes_limit + 1)
    if too_large := check_size(len(source), limit=bytes_limit):
        raise PictureRefused(too_large)
    image, pixels = _decoded(source, pixels_limit=pixels_limit)
    image = _upright(image)
    image = _without_opaque_alpha(_in_srgb(image))
    # Otherwise the encoders would write metadata that the decoder left here.
    image.info = {}
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        content_type = "image/webp"
        image.save(buffer, "WEBP", quality=_WEBP_QUALITY)
    else:
        content_type = "image/jpeg"
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, progressive=True, optimize=True)
    data = buffer.getvalue()
    return PreparedPicture(data, hashlib.sha256(data).hexdigest(), content_type, image.width, image.height, pixels)


def check_size(length: int, *, limit: int) -> str | None:
    """Why an upload of `length` bytes is refused; None if it is not."""
    return f"超过 {_shown_size(limit)}" if length > limit else None


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


def rendition_of(*, sha256: str, content_type: str, width: int, wanted: ThumbnailWidth | None) -> Rendition:
    """The rendition to serve for a picture `width` pixels wide where `wanted` is asked for: never scaled up."""
    if wanted is None or wanted >= width:
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


def _decoded(source: bytes, *, pixels_limit: int) -> tuple[Image.Image, int]:
    """The picture in `source`, decoded and scaled down to at most `LONG_SIDE`, and how many pixels it had."""
    pixels = 0
    try:
        image = Image.open(io.BytesIO(source), formats=_FORMATS)
        _check_header(image, source, pixels_limit=pixels_limit)
        pixels = image.width * image.height
        # A JPEG can be decoded at a half, quarter or eighth of its size, which is much cheaper.
        image.draft(None, (2 * LONG_SIDE, 2 * LONG_SIDE))
        image.load()
        # Inside the try block: a missing palette is only noticed when pixels are converted to colours.
        shrunk = _shrunk(image)
    except (PictureRefused, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureRefused(f"超过 {_shown_pixels(pixels_limit)}像素") from None
    except UnidentifiedImageError:
        raise PictureRefused("不是 JPEG、PNG、WebP、GIF 或 AVIF 图片") from None
    except Exception as error:  # Pillow's decoders raise nearly any exception on malicious bytes
        raise PictureRefused(DAMAGED, decoded_pixels=pixels) from error
    return shrunk, pixels


def _check_header(image: Image.Image, source: bytes, *, pixels_limit: int) -> None:
    if image.width * image.height > pixels_limit:
        raise PictureRefused(f"超过 {_shown_pixels(pixels_limit)}像素")
    if image.format in ("JPEG", "MPO"):
        scans = source.count(_START_OF_SCAN)
        if scans > _MAX_JPEG_SCANS:
            raise PictureRefused(DAMAGED)
        if scans * image.width * image.height > _MAX_LARGE_JPEG_SCANS * pixels_limit:
            raise PictureRefused(TOO_DEAR)


def _upright(image: Image.Image) -> Image.Image:
    """The picture rotated by its EXIF orientation; malformed EXIF is ignored."""
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _decoded; only the metadata is broken, the pixels are fine
        return image


def _shrunk(image: Image.Image) -> Image.Image:
    """The picture in a mode whose pixels can be averaged, scaled down to at most `LONG_SIDE`."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's convert() would clip
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """The picture as RGB or RGBA in sRGB, converted by its own colour profile if that is usable."""
    wanted = "RGBA" if image.mode == "RGBA" else "RGB"
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=wanted
            )
        except ImageCms.PyCMSError:
            converted = None
        if converted is not None:
            return converted
    return image.convert(wanted)


def _without_opaque_alpha(image: Image.Image) -> Image.Image:
    """As RGB if the alpha channel is opaque everywhere."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image


def _shown_size(count: int) -> str:
    return f"{count / 1024 / 1024:g} MB"


def _shown_pixels(count: int) -> str:
    return f"{count / 10_000:g} 万"
