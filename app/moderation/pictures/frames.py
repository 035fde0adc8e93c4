"""What is looked at of a picture: its frames, decoded within limits, upright, as they are seen.

Pictures of goods are stored as we encoded them (`app.goods.preparation`), but files that operators check are whatever
they are. So the limits are asked before any pixel is decoded: pixels, scans of a JPEG, frames of an animation.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from pi_heif import register_heif_opener
from PIL import ExifTags, Image
from rq.timeouts import BaseTimeoutException

from app.goods import jpeg

register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

FRAMES_LIMIT: Final = 20
"""Frames of an animation that are looked at: each that differs from those before, or, where those are more, the ones
that differ most, so that one that flashes up is among them."""

PASSED_FRAMES_LIMIT: Final = 200
"""Frames of an animation that are decoded at all, because each may build on the one before."""

ANIMATED_PIXELS: Final = 4_000_000
"""The most pixels that are kept of an animation's frames together: 20 of 447 × 447."""

LONG_SIDE: Final = 2000
"""Pixels of the long side; larger pictures are scaled down to it, but for long ones. Half of a phone's 4000, which
costs a quarter of decoding a JPEG whole."""

LONG_PIXELS: Final = 540 * 8_000
"""The most pixels that are kept of a long one: a quarter of the longest that goods have, for the same reason."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
_MOST_SCANS: Final = 100
_MOST_SCANNED_PIXELS: Final = 1_250_000_000
_MOST_ANIMATED_PIXELS: Final = 9_000_000  # of all frames that are decoded
_GRID: Final = 48  # cells across and down by which frames are compared
_DIFFERENT: Final = 12  # levels by which one cell of two frames differs that are both looked at

# EXIF 2.32, tag 274
_ORIENTATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
"""Height × width × red, green, blue."""

Cells = np.ndarray[tuple[int, ...], np.dtype[np.int16]]
"""A frame in few pixels, to compare it with others."""


class Undecodable(Exception):  # noqa: N818 - it says what happened, as app.answers.Refused does
    """The picture cannot be looked at; the message is for the seller."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it is seen: `pixels` upright and without transparency.

    `scale` is what a length in it has to be multiplied with for one of the upright picture.
    """

    number: int
    pixels: Pixels
    scale: float

    @property
    def width(self) -> int:
        """In pixels, as it is looked at."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels, as it is looked at."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class Looks:
    """A decoded picture: width and height of the upright picture in pixels, and the frames that are looked at.

    `complete` tells whether every frame of an animation was compared.
    """

    width: int
    height: int
    frames: tuple[Frame, ...]
    complete: bool


def decode(data: bytes, *, pixels_limit: int) -> Looks:
    """The frames of the picture in `data`. Raises `Undecodable`; want of memory and the end of a job's time pass."""
    try:
        scans = jpeg.outline_of(data).scans if data.startswith(jpeg.START) else 1
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image, scans=scans, pixels_limit=pixels_limit)
            width = image.width  # a JPEG is then decoded at a part of its size
            image.draft(None, _looked_at(*image.size, frames=1))
            frames, complete = _stills(image, width=width)
    except (Undecodable, MemoryError, BaseTimeoutException):
        raise
    except Exception as error:  # Pillow's decoders raise nearly any exception on malicious bytes
        raise Undecodable("图片无法解码") from error
    first = frames[0]
    return Looks(round(first.width * first.scale), round(first.height * first.scale), tuple(frames), complete)


def _check_size(image: Image.Image, *, scans: int, pixels_limit: int) -> None:
    pixels = image.width * image.height
    if pixels > pixels_limit:
        raise Undecodable("图片像素过多,无法审核")
    if scans > _MOST_SCANS or (scans > 1 and scans * pixels > _MOST_SCANNED_PIXELS):
        raise Undecodable("图片过于复杂,无法审核")


def _looked_at(width: int, height: int, *, frames: int) -> tuple[int, int]:
    """The size in which each of so many frames is looked at."""
    long, short = max(width, height), min(width, height)
    fitting = LONG_SIDE / long
    readable = min(1080 / short, (LONG_PIXELS / (width * height)) ** 0.5)
    scale = min(max(fitting, readable), 1)
    if frames > 1:
        scale = min(scale, (ANIMATED_PIXELS / min(frames, FRAMES_LIMIT) / (width * height)) ** 0.5)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _stills(image: Image.Image, *, width: int) -> tuple[list[Frame], bool]:
    """The frames that are looked at, in their order, and whether all were compared."""
    affordable = max(_MOST_ANIMATED_PIXELS // (image.width * image.height), 1)
    count = min(_frame_count(image), PASSED_FRAMES_LIMIT, affordable)
    kept: dict[int, tuple[Frame, Cells]] = {}
    differences: dict[tuple[int, int], int] = {}  # of each two that are kept, by their numbers
    for number in range(count):
        if number > 0:
            image.seek(number)
        image.load()
        cells = _cells(image)
        to_others = {(other, number): _difference(cells, seen) for other, (_, seen) in kept.items()}
        if min(to_others.values(), default=255) <= _DIFFERENT:
            continue
        kept[number] = (_frame(number, image, width=width), cells)
        differences |= to_others
        if len(kept) > FRAMES_LIMIT:
            _, superfluous = min(differences, key=lambda pair: differences[pair])
            del kept[superfluous]
            differences = {pair: found for pair, found in differences.items() if superfluous not in pair}
    return [frame for frame, _ in kept.values()], count == _frame_count(image)


def _frame_count(image: Image.Image) -> int:
    """How many frames are shown. Behind a JPEG's picture phones put a map of its brightness or a smaller copy (MPO)."""
    return 1 if image.format in ("JPEG", "MPO") else int(getattr(image, "n_frames", 1))


def _cells(image: Image.Image) -> Cells:
    return np.asarray(image.convert("RGB").resize((_GRID, _GRID), Image.Resampling.BOX), np.int16)


def _difference(one: Cells, other: Cells) -> int:
    return int(np.abs(one - other).max())


def _frame(number: int, image: Image.Image, *, width: int) -> Frame:
    size = _looked_at(image.width, image.height, frames=_frame_count(image))
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's convert() would clip
        image = image.point(lambda value: value / 256).convert("L")
    orientation, see_through = _orientation(image), image.has_transparency_data
    seen = image if image.mode in ("RGB", "RGBA") else image.convert("RGBA" if see_through else "RGB")
    if seen.size != size:
        seen = seen.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if orientation is not None:
        seen = seen.transpose(orientation)
    if see_through:
        seen = _on_ground(seen)
    return Frame(number, np.asarray(seen), width / size[0])


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """How the picture is to be turned to stand upright, by its EXIF."""
    try:
        number = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (MemoryError, BaseTimeoutException):
        raise
    except Exception:  # noqa: BLE001 - only the metadata is broken, the pixels are fine
        return None
    return _ORIENTATIONS.get(number)


def _on_ground(image: Image.Image) -> Image.Image:
    """The see-through picture on white as pages show it; on black where nothing would be seen on white."""
    for ground in ("white", "black"):
        shown = Image.new("RGB", image.size, ground)
        shown.paste(image, mask=image.getchannel("A"))
        if any(low != high for low, high in shown.getextrema()):  # type: ignore[misc] # a pair for each of three bands
            return shown
    return shown
