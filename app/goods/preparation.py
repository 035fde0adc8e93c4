"""Makes safe pictures to serve of uploaded ones.

Only the pixels of an upload are kept: it is decoded, rotated as its EXIF orientation says, converted to sRGB and
encoded again, so EXIF, GPS, XMP, comments and data appended to the file are gone. The file name and type that the
client claims are ignored.

For the process that `app.goods.uploads` keeps for it, `app.goods.decoder`: nothing else may decode what others sent.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass
from typing import Final

from pi_heif import register_heif_opener
from PIL import Image, ImageChops, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from app.goods import jpeg
from app.goods.colour_profiles import implied_profile
from app.goods.pictures import DAMAGED, TOO_DEAR, UNKNOWN, PreparedPicture, check_size, kept_size

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF")
_JPEG_QUALITY: Final = 88
_WEBP_QUALITY: Final = 88
_LONGEST: Final = {"image/jpeg": 65_500, "image/webp": 16_383}  # pixels that a side may have in these formats

# A progressive JPEG normally has about ten scans. Each costs a pass over all pixels but may take only a dozen bytes, so
# a file within all other limits could keep a processor busy for hours. More than a hundred no encoder writes, and large
# pictures have few.
_MAX_SCANS: Final = 100
_MAX_SCANNED_PIXELS: Final = 1_250_000_000  # of all scans together

_CUT: Final = 8
"""Of a JPEG that breaks off, less than this part (an eighth) may be missing."""

_NOTHING: Final = 128
"""The level of each band where a JPEG has told nothing: grey."""

_ANYTHING: Final = bytes(range(1, 0xFF)) * 2
"""Coded bytes that mean anything but what was left out: where they make no difference, nothing was missing."""

# What people send that is no picture we decode, by how it begins: what it is. HEIC and AVIF are decoded or damaged.
_OTHER_FORMATS: Final[dict[bytes, str]] = {
    b"II*\0": "是 TIFF 或 RAW 图片",
    b"MM\0*": "是 TIFF 或 RAW 图片",
    b"BM": "是 BMP 图片",
    b"%PDF": "是 PDF 文件",
    b"\0\0\0\x0cJXL ": "是 JPEG XL 图片",
    b"\xff\x0a": "是 JPEG XL 图片",
    b"\0\0\0\x0cjP  ": "是 JPEG 2000 图片",
    b"\xff\x4f\xff\x51": "是 JPEG 2000 图片",
    b"\0\0\0\x18ftypcrx ": "是 RAW 图片",
    b"FUJIFILMCCD-RAW": "是 RAW 图片",
    b"PK\3\4": "是压缩文件",  # as the live photos that some drives hand out (.livp)
}
_FILM: Final = "是视频,请发送照片(实况照片请先存为静态照片)"
_HEIF_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIF_DAMAGED: Final = "无法读取,请在手机相机设置中选择“兼容性最佳”,或另存为 JPEG 后再发送"

# The limits are ours, by format, and `_check_header` asks for them before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None
# Bytes of a profile or text in a PNG; with 1 MiB, Pillow's own limit, pictures from scanners and studios were refused.
PngImagePlugin.MAX_TEXT_CHUNK = 8 * 1024 * 1024
# Pillow's warnings, mostly about malformed EXIF in users' files, are of no use here.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# One thread: the limit of processor time counts all of them, and there is one decoder for each web process.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLimits:
    """How many pixels an upload may have: a JPEG, which is scaled while it is decoded, and all others."""

    jpeg: int
    others: int


class PictureRefused(Exception):  # noqa: N818 - it says what happened, as app.answers.Refused does
    """An upload that cannot be accepted; the message is shown to its sender.

    `decoded_pixels` is how many it has, where decoding them was tried.
    """

    def __init__(self, message: str, *, decoded_pixels: int = 0) -> None:
        self.decoded_pixels = decoded_pixels
        super().__init__(message)


def prepare(source: bytes, *, bytes_limit: int, limits: PixelLimits) -> PreparedPicture:
    """The picture in `source`, encoded again: as JPEG, or WebP if it has transparency. Of animations, the first frame.

    Its size is `app.goods.pictures.kept_size`. Raises `PictureRefused` for more than `bytes_limit` bytes or pixels than
    `limits` (checked before decoding), for other formats and for damaged files.
    """
    if too_large := check_size(len(source), limit=bytes_limit):
        raise PictureRefused(too_large)
    image, pixels = _decoded(source, limits=limits)
    profile = _profile_of(image)
    image = _in_srgb(_upright(image), profile)
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


def _decoded(source: bytes, *, limits: PixelLimits) -> tuple[Image.Image, int]:
    """The picture in `source`, decoded and scaled down to its `kept_size`, and how many pixels it had."""
    pixels = 0
    try:
        outline = jpeg.outline_of(source) if source.startswith(jpeg.START) else None
        if outline is not None and not outline.ended:
            source = source[: outline.usable] + jpeg.END
        image: Image.Image = Image.open(io.BytesIO(source), formats=_FORMATS)
        _check_header(image, outline, limits=limits)
        pixels = image.width * image.height
        _load(image)
        if outline is not None and outline.only:
            image = _without_what_is_missing(image, source, pixels=pixels)
        # Inside the try block: a missing palette is only noticed when pixels are converted to colours.
        shrunk = _shrunk(image)
    except (PictureRefused, MemoryError):
        raise
    except UnidentifiedImageError:
        raise PictureRefused(_unidentified(source)) from None
    except Exception as error:  # Pillow's decoders raise nearly any exception on malicious bytes
        raise PictureRefused(_HEIF_DAMAGED if _is_heif(source) else DAMAGED, decoded_pixels=pixels) from error
    return shrunk, pixels


def _load(image: Image.Image) -> None:
    """Decode the picture; a JPEG at a half, quarter or eighth of its size if that will do, which is much cheaper."""
    image.draft(None, kept_size(image.width, image.height, longest=_LONGEST["image/jpeg"]))
    image.load()


def _check_header(image: Image.Image, outline: jpeg.Outline | None, *, limits: PixelLimits) -> None:
    pixels = image.width * image.height
    if outline is None:
        if pixels > limits.others:
            as_jpeg = f"JPEG 可至 {_shown_pixels(limits.jpeg)}"
            raise PictureRefused(f"超过 {_shown_pixels(limits.others)}像素({as_jpeg}),请另存为 JPEG 或缩小后再发送")
        return
    if pixels > limits.jpeg:
        raise PictureRefused(f"超过 {_shown_pixels(limits.jpeg)}像素,请缩小或截图后再发送")
    if outline.scans > _MAX_SCANS or not (outline.ended or outline.roughly or outline.only):
        raise PictureRefused(DAMAGED)
    if outline.scans * pixels > _MAX_SCANNED_PIXELS and outline.scans > 1:
        raise PictureRefused(TOO_DEAR)


def _without_what_is_missing(image: Image.Image, source: bytes, *, pixels: int) -> Image.Image:
    """A JPEG that broke off, without the rows of which nothing has come. Raises `PictureRefused` if these are many.

    `source` is what was decoded: all that has come, and `jpeg.END`. It says that there are `pixels`; `image` has fewer
    where it was scaled while it was decoded.
    """
    nothing = Image.new(image.mode, image.size, (_NOTHING,) * len(image.getbands()))
    # CMYK is stored inverted: there it is a level less.
    told = ImageChops.difference(image, nothing).point(lambda level: level // 2).getbbox()
    rows = 0 if told is None else told[3]
    if rows < image.height:
        rows = max(rows, _rows_before_the_end(image, source))  # grey may be what the picture shows there
    if (image.height - rows) * _CUT > image.height:
        raise PictureRefused(DAMAGED, decoded_pixels=pixels)
    cropped = image.crop((0, 0, image.width, rows))
    cropped.info = image.info
    return cropped


def _rows_before_the_end(image: Image.Image, source: bytes) -> int:
    """The rows of a JPEG that do not depend on what may follow where it breaks off."""
    # What comes behind 0xFF would be a marker, and end the picture there.
    come = source.removesuffix(jpeg.END).rstrip(b"\xff")
    again: Image.Image = Image.open(io.BytesIO(come + _ANYTHING + jpeg.END), formats=("JPEG",))
    _load(again)
    different = ImageChops.difference(image, again).getbbox()
    return image.height if different is None else different[1]


def _unidentified(source: bytes) -> str:
    """Why a file is refused that none of our decoders knows."""
    for beginning, what in _OTHER_FORMATS.items():
        if source.startswith(beginning):
            return f"{what},请另存为 JPEG 后再发送"
    if source[4:8] == b"ftyp":
        return _HEIF_DAMAGED if _is_heif(source) else DAMAGED if source[8:12] in _AVIF_BRANDS else _FILM
    return DAMAGED if source.startswith(jpeg.START) else UNKNOWN


def _is_heif(source: bytes) -> bool:
    return source[4:8] == b"ftyp" and source[8:12] in _HEIF_BRANDS


def _upright(image: Image.Image) -> Image.Image:
    """The picture rotated by its EXIF orientation; malformed EXIF is ignored."""
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _decoded; only the metadata is broken, the pixels are fine
        return image


def _shrunk(image: Image.Image) -> Image.Image:
    """The picture in a mode whose pixels can be averaged, scaled down to its `kept_size`."""
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's convert() would clip
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        # Screenshots have an alpha channel that says nothing; what has one is stored as WebP, which is not as long.
        image = _without_opaque_alpha(image.convert("RGBA"))
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    longest = _LONGEST["image/webp" if image.mode == "RGBA" else "image/jpeg"]
    size = kept_size(image.width, image.height, longest=longest)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _profile_of(image: Image.Image) -> bytes | None:
    """The picture's own colour profile, or that which is meant where it carries none."""
    try:
        profile: bytes | None = image.info.get("icc_profile") or implied_profile(image)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in _decoded; malformed EXIF
        return None
    return profile


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture as RGB or RGBA in sRGB, converted by its colour profile if that is usable."""
    wanted = "RGBA" if image.mode == "RGBA" else "RGB"
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


def _shown_pixels(count: int) -> str:
    return f"{count / 10_000:g} 万"
