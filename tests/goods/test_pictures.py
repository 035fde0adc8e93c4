"""From uploaded bytes to served ones: what is kept of a picture, what is not, and its thumbnails."""

import io
import random
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from app.goods.pictures import (
    DAMAGED,
    PreparedPicture,
    Rendition,
    ThumbnailWidth,
    kept_size,
    read_rendition,
    rendition_of,
)
from app.goods.preparation import PictureRefused, PixelLimits, prepare
from app.goods.storage import LocalPictureStorage
from tests.goods.steps import encoded, picture_in

# pytest puts its own filters in place of those that app.goods.preparation sets.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\.")

RED, BLUE = (200, 10, 10), (10, 10, 200)


def _prepare(data: bytes) -> PreparedPicture:
    return prepare(data, bytes_limit=10 * 1024 * 1024, limits=PixelLimits(jpeg=110_000_000, others=51_000_000))


def _shown(picture: PreparedPicture) -> Image.Image:
    image = Image.open(io.BytesIO(picture.data))
    image.load()
    assert image.size == (picture.width, picture.height)
    assert image.format == {"image/jpeg": "JPEG", "image/webp": "WEBP"}[picture.content_type]
    return image


def _about(pixel: object, color: tuple[int, ...], off: int = 6) -> bool:
    assert isinstance(pixel, tuple)
    return len(pixel) == len(color) and all(abs(a - b) <= off for a, b in zip(pixel, color, strict=True))


def _two_halves() -> Image.Image:
    """Blue on the left, red on the right."""
    image = Image.new("RGB", (60, 40), RED)
    image.paste(BLUE, (0, 0, 30, 40))
    return image


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "MPO"])
def test_formats(format: str) -> None:  # noqa: A002 - Pillow's name
    picture = _prepare(encoded(_two_halves(), format))
    assert (picture.content_type, picture.width, picture.height) == ("image/jpeg", 60, 40)
    image = _shown(picture)
    assert _about(image.getpixel((5, 20)), BLUE)
    assert _about(image.getpixel((55, 20)), RED)


def test_the_same_pixels_have_the_same_name() -> None:
    data = encoded(_two_halves(), "PNG")
    first, second = _prepare(data), _prepare(data)
    assert (first.sha256, first.data) == (second.sha256, second.data)
    assert len(first.sha256) == 64


# What travels in a picture file beside its pixels, each with a word in it that must not be published.
_EXIF = Image.Exif()
_EXIF[ExifTags.Base.Artist] = "SECRETARTIST"
_EXIF[ExifTags.Base.UserComment] = b"ASCII\0\0\0SECRETUSERCOMMENT"
_EXIF.get_ifd(ExifTags.IFD.GPSInfo).update(
    {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (30.0, 16.0, 48.0)}
)
# A whole JPEG inside, as cameras put one in for their own display.
_EXIF.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = encoded(_two_halves(), "JPEG", comment=b"SECRETTHUMBNAIL")
_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>SECRETXMP</x:xmpmeta>"
_IPTC = b"\xff\xed" + struct.pack(">H", 2 + 14 + 10) + b"Photoshop 3.0\0SECRETIPTC"


def _texts() -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", "SECRETTEXT")
    texts.add_text("Comment", "SECRETZIPPED", zip=True)
    texts.add_itxt("XML:com.adobe.xmp", _XMP.decode())
    texts.add_itxt("Description", "SECRETDESCRIPTION", lang="zh", zip=True)
    return texts


_BESIDE_THE_PIXELS: dict[str, dict[str, Any]] = {
    "JPEG": {"comment": b"SECRETCOMMENT", "exif": _EXIF, "xmp": _XMP, "extra": _IPTC},
    "MPO": {"comment": b"SECRETCOMMENT", "exif": _EXIF},
    "GIF": {"comment": b"SECRETCOMMENT"},
    "PNG": {"pnginfo": _texts(), "exif": _EXIF},
    "WEBP": {"exif": _EXIF, "xmp": _XMP},
    "AVIF": {"exif": _EXIF, "xmp": _XMP},
}


def _parts(picture: PreparedPicture) -> set[str]:
    """What the published file consists of: the markers of a JPEG, the chunks of a WebP. Nothing is behind its end."""
    data = picture.data
    if picture.content_type == "image/webp":
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
        chunks, at = set(), 12
        while at < len(data):
            (size,) = struct.unpack("<I", data[at + 4 : at + 8])
            chunks.add(data[at : at + 4].decode())
            at += 8 + size + size % 2
        return chunks
    assert data[-2:] == b"\xff\xd9"
    assert data.count(b"\xff\xd8\xff") == 1
    # Among the coded pixels a byte FF is followed by 00 or a restart marker, so the rest can be told apart.
    return {f"{marker:02X}" for marker in re.findall(rb"\xff([\xc0-\xcf\xda-\xef\xfe])", data) for marker in marker}


@pytest.mark.parametrize(
    ("format", "transparent", "profile"),
    [
        (name, transparent, profile)
        for name in _BESIDE_THE_PIXELS
        for transparent in ((False,) if name in ("JPEG", "MPO") else (False, True))
        for profile in ((False,) if name == "GIF" else (False, True))
    ],
)
def test_what_stands_beside_the_pixels_is_never_published(
    format: str,  # noqa: A002 - Pillow's name
    transparent: bool,
    profile: bool,
    tmp_path: Path,
) -> None:
    """With a colour profile the conversion drops most of it by itself, without one only what we do."""
    image = _two_halves()
    if transparent:
        image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda value: 255 if value > 99 else 0))
    options = dict(_BESIDE_THE_PIXELS[format])
    if profile:
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = encoded(image, format, **options) + b"SECRETTAIL" + encoded(image.convert("RGB"), "JPEG")
    assert source.count(b"SECRET") > 1
    picture = _prepare(source)
    assert b"SECRET" not in picture.data
    shown = _shown(picture)
    assert {name for name in shown.info if name not in ("jfif", "jfif_version", "jfif_unit", "jfif_density")} <= {
        *("progressive", "progression"),
        *("loop", "background", "timestamp", "duration"),
    }
    assert dict(shown.getexif()) == {}
    if transparent:
        assert (picture.content_type, _parts(picture) <= {"VP8X", "ALPH", "VP8 "}) == ("image/webp", True)
    else:
        # JFIF's header, tables, a progressive frame and its scans.
        assert (picture.content_type, _parts(picture)) == ("image/jpeg", {"E0", "DB", "C2", "C4", "DA"})
    storage = LocalPictureStorage(tmp_path)
    storage.put(picture.sha256, picture.data)
    small = read_rendition(storage, Rendition(picture.sha256, "image/webp", ThumbnailWidth.SMALL))
    assert b"SECRET" not in small


# Where the blue half is after turning, for each EXIF orientation of a picture whose left half is blue.
BLUE_AT = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}


@pytest.mark.parametrize("orientation", BLUE_AT)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_orientation(format: str, orientation: int) -> None:  # noqa: A002 - Pillow's name
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = _shown(_prepare(encoded(_two_halves(), format, exif=exif)))
    side = BLUE_AT[orientation]
    assert image.size == ((60, 40) if side in ("left", "right") else (40, 60))
    width, height = image.size
    near = {
        "left": (5, height // 2),
        "right": (width - 5, height // 2),
        "top": (width // 2, 5),
        "bottom": (width // 2, height - 5),
    }[side]
    far = (width - 1 - near[0], height - 1 - near[1])
    assert _about(image.getpixel(near), BLUE)
    assert _about(image.getpixel(far), RED)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II", b"not even EXIF", b"MM"],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_that_makes_no_sense(format: str, exif: bytes) -> None:  # noqa: A002 - Pillow's name
    image = _shown(_prepare(encoded(_two_halves(), format, exif=exif)))
    assert image.size == (60, 40)
    assert dict(image.getexif()) == {}


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (60, 40), color) for color in (RED, BLUE, (0, 200, 0))]
    for format in ("GIF", "WEBP", "PNG", "AVIF"):  # noqa: A001 - Pillow's name
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        with Image.open(io.BytesIO(data)) as animation:
            assert animation.n_frames == 3
        image = _shown(_prepare(data))
        assert getattr(image, "n_frames", 1) == 1
        assert _about(image.getpixel((30, 20)), RED)


def test_transparency_stays() -> None:
    half = Image.new("RGBA", (60, 40), (*RED, 255))
    half.paste((*BLUE, 0), (0, 0, 30, 40))
    palette = half.quantize()
    for source in (encoded(half, "PNG"), encoded(half, "WEBP"), encoded(half, "AVIF"), encoded(palette, "PNG")):
        picture = _prepare(source)
        image = _shown(picture)
        assert (picture.content_type, image.mode) == ("image/webp", "RGBA")
        assert image.getpixel((5, 20))[3] == 0
        assert _about(image.getpixel((55, 20)), (*RED, 255))
    grey = _prepare(encoded(Image.new("LA", (60, 40), (90, 100)), "PNG"))
    assert _about(_shown(grey).getpixel((30, 20)), (90, 90, 90, 100))
    gif = _prepare(encoded(palette, "GIF", transparency=palette.getpixel((5, 20))))
    assert gif.content_type == "image/webp"
    assert _shown(gif).getpixel((5, 20))[3] == 0


def test_alpha_without_transparency_is_dropped() -> None:
    picture = _prepare(picture_in((*RED, 255)))
    assert picture.content_type == "image/jpeg"
    assert _about(_shown(picture).getpixel((30, 20)), RED)


def test_colours_of_every_mode() -> None:
    cases = {
        "cmyk": (encoded(Image.new("CMYK", (60, 40), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
        "grey": (encoded(Image.new("L", (60, 40), 77), "JPEG"), (77, 77, 77)),
        "bilevel": (encoded(Image.new("1", (60, 40), 1), "PNG"), (255, 255, 255)),
        "palette": (encoded(Image.new("RGB", (60, 40), RED).quantize(), "PNG"), RED),
        # 16-bit grey: 0x4D00 of 0xFFFF is 77 of 255, not white.
        "grey16": (encoded(Image.fromarray(np.full((40, 60), 0x4D00, dtype=np.uint16)), "PNG"), (77, 77, 77)),
    }
    for name, (source, color) in cases.items():
        picture = _prepare(source)
        image = _shown(picture)
        assert (picture.content_type, image.mode) == ("image/jpeg", "RGB"), name
        assert _about(image.getpixel((30, 20)), color), name


def test_a_colour_profile_is_applied_before_it_is_dropped() -> None:
    """A profile whose red and blue are swapped shows whether it was: phones send Display P3, for instance."""
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = srgb.index(b"rXYZ"), srgb.index(b"bXYZ")
    srgb[red : red + 4], srgb[blue : blue + 4] = b"bXYZ", b"rXYZ"
    image = _shown(_prepare(encoded(Image.new("RGB", (60, 40), (250, 0, 0)), "PNG", icc_profile=bytes(srgb))))
    assert _about(image.getpixel((30, 20)), (0, 0, 250))
    alpha = Image.new("RGBA", (60, 40), (250, 0, 0, 100))
    image = _shown(_prepare(encoded(alpha, "PNG", icc_profile=bytes(srgb))))
    assert _about(image.getpixel((30, 20)), (0, 0, 250, 100))


def test_a_colour_profile_that_does_not_fit_is_ignored() -> None:
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for image, profile in (
        (Image.new("CMYK", (60, 40), (0, 255, 255, 0)), rgb),
        (Image.new("RGB", (60, 40), (255, 0, 0)), b"no profile"),
    ):
        picture = _prepare(encoded(image, "JPEG", icc_profile=profile))
        assert _about(_shown(picture).getpixel((30, 20)), (255, 0, 0))


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((2560, 1920), (2560, 1920)),
        ((2561, 2000), (2560, 1999)),
        ((1200, 5120), (1080, 4608)),
        ((300, 5120), (300, 5120)),
        ((20_000, 1), (20_000, 1)),
        ((1, 1), (1, 1)),
    ],
)
def test_the_long_side_is_limited_but_for_long_pictures(size: tuple[int, int], kept: tuple[int, int]) -> None:
    for format in ("JPEG", "PNG"):  # noqa: A001 - Pillow's name
        picture = _prepare(encoded(Image.new("RGB", size, RED), format))
        assert (picture.width, picture.height) == kept
        assert _shown(picture).size == kept


@pytest.mark.parametrize(
    ("size", "kept"),
    [
        ((12_000, 9_000), (2560, 1920)),
        ((8_192, 6_144), (2560, 1920)),
        ((3_024, 4_032), (1920, 2560)),
        ((1080, 2400), (1080, 2400)),
        ((1440, 3200), (1152, 2560)),
        # From 21:9 on the short side is what counts, so that nothing jumps there.
        ((1080, 2560), (1080, 2560)),
        ((1080, 2561), (1080, 2561)),
        ((1080, 12_000), (1080, 12_000)),
        ((1080, 16_000), (1080, 16_000)),
        ((1440, 12_000), (1080, 9000)),
        ((12_000, 1500), (8640, 1080)),
        # Of what is longer still, as many pixels are kept.
        ((1080, 40_000), (683, 25_298)),
        ((1080, 60_000), (558, 30_984)),
        ((200_000, 10), (65_500, 3)),
        ((200_000, 1), (65_500, 1)),
    ],
)
def test_kept_size(size: tuple[int, int], kept: tuple[int, int]) -> None:
    assert kept_size(*size, longest=65_500) == kept
    assert kept_size(*reversed(size), longest=65_500) == tuple(reversed(kept))


def test_a_transparent_picture_is_no_longer_than_its_format_allows() -> None:
    picture = _prepare(encoded(Image.new("RGBA", (20, 20_000), (1, 2, 3, 99)), "PNG"))
    assert (picture.content_type, picture.width, picture.height) == ("image/webp", 16, 16_383)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_broken_bytes_are_refused_or_shown(format: str) -> None:  # noqa: A002 - Pillow's name
    """Whatever bytes come: a picture or `PictureRefused`, nothing else."""
    chance = random.Random(20261122)
    whole = encoded(Image.effect_noise((48, 36), 60).convert("RGB"), format)
    outcomes = {"shown": 0, "refused": 0}
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        if chance.random() < 0.3:
            del broken[chance.randrange(len(broken)) :]
        try:
            _shown(_prepare(bytes(broken)))
        except PictureRefused:
            outcomes["refused"] += 1
        else:
            outcomes["shown"] += 1
    assert sum(outcomes.values()) == 150
    assert outcomes["refused"] > 10


def test_palettes_and_transparency_that_fit_nothing_are_refused() -> None:
    """Pillow decodes these and stumbles only over what it makes of them afterwards."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, 3, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(5 * 6))) + chunk(b"IEND", b"")
    palette = chunk(b"PLTE", bytes(3 * 256))
    assert _prepare(b"\x89PNG\r\n\x1a\n" + header + palette + pixels).content_type == "image/jpeg"
    for between in (b"", palette + chunk(b"tRNS", bytes(range(256)) * 2)):
        with pytest.raises(PictureRefused, match=rf"^{DAMAGED}$"):
            _prepare(b"\x89PNG\r\n\x1a\n" + header + between + pixels)


def _stored(folder: Path, image: Image.Image) -> tuple[LocalPictureStorage, PreparedPicture]:
    storage = LocalPictureStorage(folder)
    picture = _prepare(encoded(image, "PNG"))
    storage.put(picture.sha256, picture.data)
    return storage, picture


def _rendition(picture: PreparedPicture, wanted: ThumbnailWidth | None) -> Rendition:
    return rendition_of(
        sha256=picture.sha256,
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        wanted=wanted,
    )


def test_thumbnails(tmp_path: Path) -> None:
    storage, picture = _stored(tmp_path, _two_halves().resize((1200, 800)))
    for width, height in ((120, 80), (240, 160), (480, 320), (960, 640)):
        rendition = _rendition(picture, ThumbnailWidth(width))
        assert rendition == Rendition(picture.sha256, "image/webp", ThumbnailWidth(width))
        assert rendition.key == f"{picture.sha256}-w{width}"
        assert not storage.exists(rendition.key)
        data = read_rendition(storage, rendition)
        image = Image.open(io.BytesIO(data))
        assert (image.format, image.size) == ("WEBP", (width, height))
        assert _about(image.convert("RGB").getpixel((10, 10)), BLUE, off=10)
        with storage.open(rendition.key) as file:
            assert file.read() == data
        assert read_rendition(storage, rendition) == data


def test_a_thumbnail_keeps_transparency(tmp_path: Path) -> None:
    half = Image.new("RGBA", (300, 200), (*RED, 255))
    half.paste((*BLUE, 0), (0, 0, 150, 200))
    storage, picture = _stored(tmp_path, half)
    image = Image.open(io.BytesIO(read_rendition(storage, _rendition(picture, ThumbnailWidth.SMALL))))
    assert (image.mode, image.size) == ("RGBA", (120, 80))
    assert image.getpixel((10, 40))[3] == 0


def test_no_thumbnail_is_larger_than_its_picture(tmp_path: Path) -> None:
    storage, picture = _stored(tmp_path, Image.new("RGB", (240, 100), RED))
    for wanted in (None, ThumbnailWidth.LIST, ThumbnailWidth.CARD, ThumbnailWidth.DETAIL):
        rendition = _rendition(picture, wanted)
        assert rendition == Rendition(picture.sha256, "image/jpeg", None)
        assert read_rendition(storage, rendition) == picture.data
    assert _rendition(picture, ThumbnailWidth.SMALL).width == 120
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [picture.sha256]


def test_a_long_picture_is_looked_at_whole(tmp_path: Path) -> None:
    """A list recognises it by a narrow thumbnail; where it is read, a thumbnail would leave nothing to read."""
    storage, picture = _stored(tmp_path, Image.new("RGB", (1080, 12_000), RED))
    narrow = _rendition(picture, ThumbnailWidth.LIST)
    assert Image.open(io.BytesIO(read_rendition(storage, narrow))).size == (230, 2560)
    for wanted in (ThumbnailWidth.CARD, ThumbnailWidth.DETAIL, None):
        assert _rendition(picture, wanted) == Rendition(picture.sha256, "image/jpeg", None)
    _, wide = _stored(tmp_path, Image.new("RGB", (12_000, 1080), RED))
    detail = read_rendition(storage, _rendition(wide, ThumbnailWidth.DETAIL))
    assert Image.open(io.BytesIO(detail)).size == (960, 86)
