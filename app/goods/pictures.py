"""From the bytes that somebody uploaded to the bytes that everybody may see, and their thumbnails.

Nothing of an upload is kept but its pixels: it is decoded, turned the right way up, brought to sRGB and encoded anew,
so EXIF, GPS, XMP, comments and whatever hides behind the picture's end are gone. The name and the type that the
client claims are not looked at.
"""

import hashlib
import io
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import IO

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from app.goods.storage import PictureStorage

MAX_PICTURES = 9
LONG_SIDE = 2560  # pixels; larger pictures are made smaller

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_JPEG_QUALITY = 88
_WEBP_QUALITY = 88
_THUMBNAIL_QUALITY = 80

# A progressive JPEG has some ten scans. Each one costs a pass over all pixels and may take a dozen bytes, so a file
# within all other limits could keep a processor busy for hours.
_MAX_JPEG_SCANS = 100
_START_OF_SCAN = b"\xff\xda"

# A few bytes may decode to all the pixels that are allowed, and take up to 800 MB meanwhile. So each process decodes
# one picture at a time; what is left when it is shrunk takes little. The blocks that Pillow takes memory in are made
# so large (bytes) that glibc returns them: of smaller ones every thread keeps up to 600 MB for itself.
_decoding = threading.Lock()
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined] # Pillow's manual names it, its types do not

# Above its own limit Pillow warns before it decodes and refuses only from twice that limit on.
warnings.simplefilter("error", Image.DecompressionBombWarning)
# What else it finds odd about a stranger's file (crooked EXIF, mostly) is of no use to anybody here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


class ThumbnailWidth(IntEnum):
    """The widths that thumbnails come in, in pixels: a fixed few, so that nobody can fill the disk with others."""

    SMALL = 120
    LIST = 240
    CARD = 480
    DETAIL = 960


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """A picture as it will be stored and shown: `sha256` is that of `data`, sizes are pixels."""

    data: bytes
    sha256: str
    content_type: str
    width: int
    height: int


class PictureRefused(Exception):  # noqa: N818 - it says what happened, as app.answers.Refused does
    """An upload that will not do; the message is for its sender."""


class PicturesRefused(Exception):  # noqa: N818 - as above
    """At least one of several uploads will not do; `reasons` names each one."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


def prepare_all(uploads: Sequence[IO[bytes]], *, bytes_limit: int, pixels_limit: int) -> list[PreparedPicture]:
    """As `prepare`, for each of at most nine `uploads`. Raises `PicturesRefused` with a reason per bad one."""
    if len(uploads) > MAX_PICTURES:
        raise PicturesRefused([f"至多 {MAX_PICTURES} 张图片"])
    prepared = []
    reasons = []
    for number, upload in enumerate(uploads, start=1):
        try:
            prepared.append(prepare(upload, bytes_limit=bytes_limit, pixels_limit=pixels_limit))
        except PictureRefused as refusal:
            reasons.append(f"第 {number} 张图片{refusal}")
    if reasons:
        raise PicturesRefused(reasons)
    return prepared


def prepare(upload: IO[bytes], *, bytes_limit: int, pixels_limit: int) -> PreparedPicture:
    """The picture in `upload`, encoded anew: JPEG, or WebP where something is transparent. A GIF gives its first frame.

    Raises `PictureRefused` for more than `bytes_limit` bytes or `pixels_limit` pixels (known before anything is
    decoded), for other formats and for damaged files.
    """
    source = upload.read(bytes_limit + 1)
    if len(source) > bytes_limit:
        raise PictureRefused(f"超过 {_shown_size(bytes_limit)}")
    with _decoding:
        image = _decoded(source, pixels_limit=pixels_limit)
    image = _upright(image)
    image = _without_idle_alpha(_in_srgb(image))
    # Encoders fall back to what the decoder left here.
    image.info = {}
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        content_type = "image/webp"
        image.save(buffer, "WEBP", quality=_WEBP_QUALITY)
    else:
        content_type = "image/jpeg"
        image.save(buffer, "JPEG", quality=_JPEG_QUALITY, progressive=True, optimize=True)
    data = buffer.getvalue()
    return PreparedPicture(data, hashlib.sha256(data).hexdigest(), content_type, image.width, image.height)


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
    """The form of a picture `width` pixels wide that answers a wish for `wanted`: never larger than it is."""
    if wanted is None or wanted >= width:
        return Rendition(sha256, content_type, None)
    return Rendition(sha256, "image/webp", wanted)


def read_rendition(storage: PictureStorage, rendition: Rendition) -> bytes:
    """The bytes. A thumbnail is made when it is first read."""
    if rendition.width is not None and not storage.exists(rendition.key):
        storage.put(rendition.key, _thumbnail(storage, rendition.sha256, rendition.width))
    with storage.open(rendition.key) as file:
        return file.read()


def _thumbnail(storage: PictureStorage, sha256: str, width: int) -> bytes:
    buffer = io.BytesIO()
    with storage.open(sha256) as file, Image.open(file) as image:
        image.thumbnail((width, LONG_SIDE), Image.Resampling.LANCZOS)
        image.save(buffer, "WEBP", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()


def _decoded(source: bytes, *, pixels_limit: int) -> Image.Image:
    """The picture in `source`, no larger than we keep it."""
    try:
        image = Image.open(io.BytesIO(source), formats=_FORMATS)
        _check_header(image, source, pixels_limit=pixels_limit)
        # A JPEG can be decoded at a half, quarter or eighth of its size, at a fraction of the price.
        image.draft(None, (2 * LONG_SIDE, 2 * LONG_SIDE))
        image.load()
        # A palette that is not there shows only when pixels become colours.
        shrunk = _shrunk(image)
    except (PictureRefused, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureRefused(f"超过 {_shown_pixels(pixels_limit)}像素") from None
    except UnidentifiedImageError:
        raise PictureRefused("不是 JPEG、PNG、WebP、GIF 或 AVIF 图片") from None
    except Exception as error:  # on bytes made to break them, Pillow's decoders raise nearly anything
        raise PictureRefused("已损坏或不完整") from error
    return shrunk


def _check_header(image: Image.Image, source: bytes, *, pixels_limit: int) -> None:
    if image.width * image.height > pixels_limit:
        raise PictureRefused(f"超过 {_shown_pixels(pixels_limit)}像素")
    if image.format in ("JPEG", "MPO") and source.count(_START_OF_SCAN) > _MAX_JPEG_SCANS:
        raise PictureRefused("已损坏或不完整")


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says it was held. EXIF that makes no sense counts as none."""
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _decoded; the pixels are fine, only what was written about them is not
        return image


def _shrunk(image: Image.Image) -> Image.Image:
    """The picture in a mode whose pixels can be averaged, and no larger than we keep them."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def _in_srgb(image: Image.Image) -> Image.Image:
    """RGB or RGBA in sRGB, by the picture's own colour profile if it has one that fits."""
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


def _without_idle_alpha(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image


def _shown_size(count: int) -> str:
    return f"{count / 1024 / 1024:g} MB"


def _shown_pixels(count: int) -> str:
    return f"{count / 10_000:g} 万"
