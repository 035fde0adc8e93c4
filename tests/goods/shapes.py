"""Pictures as people send them, in the shapes that phones, cameras, browsers and programs give them: what comes out.

`.venv/bin/python -m tests.goods.shapes` prints the table of docs/pictures.md; with a folder's name it also writes what
comes out there, and a contact sheet of all. Everything is made here, but for HEIC, which nothing of ours can write
(`heic/README.md`).

Most show four quarters: red and green above, blue and grey below. So a wrong turn, a lost profile or a channel too many
is seen in four pixels.
"""

import argparse
import functools
import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageDraw, ImageFont, PngImagePlugin

from app.goods import colour_profiles
from app.goods.pictures import PreparedPicture
from app.goods.preparation import PictureRefused, PixelLimits, prepare
from config import Settings

RED, GREEN, BLUE, GREY = (200, 10, 10), (10, 160, 10), (10, 10, 200), (120, 120, 120)
QUARTERS: Final = (RED, GREEN, BLUE, GREY)
CLEAR: Final = None
"""A quarter that nothing is seen of."""

_HEIC: Final = Path(__file__).with_name("heic")


class Shape(NamedTuple):
    """A file as it is sent: what it is, what it is called, its bytes, and what has to come out.

    That is `size` and `quarters`, those above and those below (None: not looked at), or the beginning of a `refusal`.
    """

    what: str
    name: str
    make: Callable[[], bytes]
    size: tuple[int, int] | None = (480, 320)
    quarters: tuple[tuple[int, int, int] | None, ...] | None = QUARTERS
    refusal: str = ""


@functools.cache
def outcome(shape: Shape) -> PreparedPicture | str:
    """What becomes of the shape within the default limits: the picture, or why it is refused."""
    defaults = {each.name: each.default for each in Settings.__dataclass_fields__.values()}
    limits = PixelLimits(jpeg=defaults["picture_jpeg_pixels_limit"], others=defaults["picture_pixels_limit"])
    try:
        return prepare(shape.make(), bytes_limit=defaults["picture_bytes_limit"], limits=limits)
    except PictureRefused as refused:
        return str(refused)


def quarters_of(picture: PreparedPicture) -> list[tuple[int, ...] | None]:
    """The colours in the middle of the quarters; None for one that is clear."""
    image = Image.open(io.BytesIO(picture.data)).convert("RGBA")
    places = [(image.width * x // 4, image.height * y // 4) for y in (1, 3) for x in (1, 3)]
    pixels = [image.getpixel(place) for place in places]
    return [pixel[:3] if pixel[3] > 127 else None for pixel in pixels if isinstance(pixel, tuple)]


def told(shape: Shape, result: PreparedPicture | str) -> str:
    """A line of the table."""
    if isinstance(result, str):
        return f"| {shape.what} | `{shape.name}` | {result} |"
    kind = result.content_type.removeprefix("image/")
    return f"| {shape.what} | `{shape.name}` | {kind} {result.width} × {result.height} |"


def _quarters(width: int = 480, height: int = 320) -> Image.Image:
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(GREY, (width // 2, height // 2, width, height))
    return image


def _clear_quarters() -> Image.Image:
    image = _quarters().convert("RGBA")
    image.paste((0, 0, 0, 0), (240, 160, 480, 320))
    return image


def _file(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002 - Pillow's name
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": 92} if format in ("JPEG", "MPO") else {}) | options)
    return buffer.getvalue()


def _as_profile(profile: bytes) -> Image.Image:
    """The quarters in the numbers of another colour space."""
    converted = ImageCms.profileToProfile(_quarters(), ImageCms.createProfile("sRGB"), io.BytesIO(profile))
    assert converted is not None
    converted.info = {}
    return converted


def _turned(orientation: int) -> bytes:
    """What a camera held like that writes: pixels as its sensor has them, and how to turn them."""
    backwards = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = _quarters()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return _file(image.transpose(backwards[orientation]) if orientation in backwards else image, exif=exif)


def _adobe_by_name() -> bytes:
    """As a camera set to Adobe RGB writes it: without the profile, with the index R03."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.ColorSpace: 0xFFFF, ExifTags.IFD.Interop: {1: "R03"}})
    return _file(_as_profile(colour_profiles.adobe_rgb()), exif=exif)


def _with_much_behind() -> bytes:
    """A motion photo: a film of 7 MB stands behind the end, in which bytes look like those that begin a scan."""
    film = random.Random(20261130).randbytes(7_000_000)
    return _file(_quarters()) + struct.pack(">I4s4s", 20, b"ftyp", b"mp42") + film + b"\xff\xda" * 200


def _with_gain_map() -> bytes:
    """Ultra HDR: the picture, and behind its end a second one that says how bright it may be shown."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description hdrgm:Version="1.0"/></x:xmpmeta>'
    return _file(_quarters(), xmp=xmp) + _file(Image.new("L", (120, 80), 99))


def large_jpeg(width: int, height: int) -> bytes:
    """A JPEG of four quarters and of any size, made of two rows of blocks that are repeated.

    Each row ends with a restart marker, so its bytes are the same wherever it stands.
    """
    rows = Image.new("RGB", (width, 32), RED)
    rows.paste(GREEN, (width // 2, 0, width, 16))
    rows.paste(BLUE, (0, 16, width // 2, 32))
    rows.paste(GREY, (width // 2, 16, width, 32))
    whole = bytearray(_file(rows, restart_marker_rows=1, subsampling="4:2:0"))
    struct.pack_into(">H", whole, whole.index(b"\xff\xc0") + 5, height)
    start = whole.index(b"\xff\xda") + 14
    above, _, below = bytes(whole[start:-2]).partition(b"\xff\xd0")
    count = -(-height // 16)
    coded = b"".join(
        (above if number < count // 2 else below) + bytes((0xFF, 0xD0 + number % 8)) for number in range(count)
    )
    return bytes(whole[:start]) + coded[:-2] + b"\xff\xd9"


@functools.cache
def screenshot(height: int, width: int = 1080) -> Image.Image:
    """A long screenshot of a conversation: a line of text every 100 pixels."""
    image = Image.new("L", (width, height), 245)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(40)
    for top in range(0, height - 50, 100):
        draw.text((40, top), f"{top:06d} The parcel came on Monday, the box was open.", 20, font=font)
    return image


def _palette() -> Image.Image:
    return _quarters().quantize(16)


def _sixteen_bits() -> bytes:
    """A PNG of three channels of 16 bits, which Pillow cannot write."""
    pixels = np.asarray(_quarters()).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return _png(struct.pack(">IIBBBBB", 480, 320, 16, 2, 0, 0, 0), rows)


def _interlaced() -> bytes:
    """A PNG in Adam7's order, which Pillow cannot write."""
    pixels = np.asarray(_quarters())
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = b"".join(b"\0" + row.tobytes() for x, y, right, down in passes for row in pixels[y::down, x::right])
    return _png(struct.pack(">IIBBBBB", 480, 320, 8, 2, 0, 0, 1), rows)


def _png(header: bytes, rows: bytes) -> bytes:
    buffer = io.BytesIO(b"")
    buffer.write(b"\x89PNG\r\n\x1a\n")
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")):
        PngImagePlugin.putchunk(buffer, kind, data)
    return buffer.getvalue()


def _frames(format: str) -> bytes:  # noqa: A002 - Pillow's name
    options = {"save_all": True, "append_images": [Image.new("RGB", (480, 320), (250, 250, 0))] * 2, "duration": 100}
    return _file(_quarters(), format, **options)


def _heic(name: str) -> Callable[[], bytes]:
    return (_HEIC / name).read_bytes


def grid_heic(columns: int, rows: int) -> bytes:
    """A HEIC of so many tiles of 480 × 320, as phones write them: `srgb.heic` again and again.

    ISO/IEC 23008-12, 6.6.2.3; the boxes are those of ISO/IEC 14496-12, 8.11.
    """
    source = _heic("srgb.heic")()
    at = source.index(b"hvcC") - 4
    decoder = source[at : at + int.from_bytes(source[at : at + 4])]
    tile = source[source.index(b"mdat") + 4 :]
    count = columns * rows
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, columns * 480, rows * 320)

    def box(kind: bytes, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return struct.pack(">I4s", 8 + len(content), kind) + content

    def full(kind: bytes, version: int, *parts: bytes, flags: int = 0) -> bytes:
        return box(kind, struct.pack(">I", version << 24 | flags), *parts)

    def entry(number: int, kind: bytes) -> bytes:
        return full(b"infe", 2, struct.pack(">HH4sB", number, 0, kind, 0), flags=number <= count)

    items = range(1, count + 1)

    def meta(tiles_at: int) -> bytes:
        places = [(number, tiles_at + len(grid), len(tile)) for number in items] + [(count + 1, tiles_at, len(grid))]
        sizes = [full(b"ispe", 0, struct.pack(">II", *size)) for size in ((480, 320), (columns * 480, rows * 320))]
        has = [struct.pack(">HBBB", number, 2, 0x81, 2) for number in items] + [struct.pack(">HBB", count + 1, 1, 3)]
        return full(
            b"meta",
            0,
            full(b"hdlr", 0, struct.pack(">I4s12xB", 0, b"pict", 0)),
            full(b"pitm", 0, struct.pack(">H", count + 1)),
            full(
                b"iloc",
                0,
                struct.pack(">HH", 0x4400, count + 1),
                *[struct.pack(">HHHII", number, 0, 1, *place) for number, *place in places],
            ),
            full(
                b"iinf",
                0,
                struct.pack(">H", count + 1),
                *[entry(number, b"hvc1") for number in items],
                entry(count + 1, b"grid"),
            ),
            full(b"iref", 0, box(b"dimg", struct.pack(f">HH{count}H", count + 1, count, *items))),
            box(
                b"iprp",
                box(b"ipco", decoder, *sizes),
                full(b"ipma", 0, struct.pack(">I", count + 1), *has),
            ),
        )

    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")
    return start + meta(len(start) + len(meta(0)) + 8) + box(b"mdat", grid, tile)


def _cut(data: Callable[[], bytes], count: int) -> Callable[[], bytes]:
    return lambda: data()[:-count]


def _noisy(**options: Any) -> bytes:
    """Four quarters with grain, so that the bytes are spread over the picture."""
    grain = np.random.default_rng(20261130).normal(0, 3, (320, 480, 3))
    pixels = np.clip(np.asarray(_quarters()) + grain, 0, 255)
    return _file(Image.fromarray(pixels.astype(np.uint8)), **options)


_BROKEN: Final = "已损坏或不完整,请重新保存或截图后再发送"
_AS_JPEG: Final = "请另存为 JPEG 后再发送"


def _shapes() -> Iterator[Shape]:
    def jpeg(**options: Any) -> Callable[[], bytes]:
        return lambda: _file(_quarters(), **options)

    def png(image: Callable[[], Image.Image], format: str = "PNG", **options: Any) -> Callable[[], bytes]:  # noqa: A002
        return lambda: _file(image(), format, **options)

    def refused(what: str, name: str, data: bytes | Callable[[], bytes], reason: str) -> Shape:
        return Shape(what, name, data if callable(data) else lambda: data, None, None, reason)

    clear = (RED, GREEN, BLUE, CLEAR)
    yield Shape("JPEG", "IMG_0001.jpg", jpeg())
    yield Shape("JPEG, progressive", "mmexport1.jpg", jpeg(progressive=True))
    yield Shape("JPEG, 4:4:4", "a.jpeg", jpeg(subsampling=0))
    yield Shape("JPEG with restart markers", "DSC_0001.JPG", jpeg(restart_marker_rows=1))
    yield Shape(
        "JPEG, grey",
        "scan.jpg",
        lambda: _file(_quarters().convert("L")),
        quarters=((67,) * 3, (98,) * 3, (32,) * 3, GREY),
    )
    yield Shape("JPEG, CMYK", "print.jpg", lambda: _file(_quarters().convert("CMYK")))
    for orientation in range(1, 9):
        yield Shape(
            f"JPEG, EXIF orientation {orientation}", f"IMG_{orientation}.jpg", functools.partial(_turned, orientation)
        )
    yield Shape(
        "JPEG, Adobe RGB by its profile",
        "DSC_0002.JPG",
        lambda: _file(_as_profile(colour_profiles.adobe_rgb()), icc_profile=colour_profiles.adobe_rgb()),
    )
    yield Shape("JPEG, Adobe RGB by EXIF alone", "_DSC0003.JPG", _adobe_by_name)
    yield Shape(
        "JPEG, Display P3",
        "IMG_0004.JPG",
        lambda: _file(_as_profile(colour_profiles.display_p3()), icc_profile=colour_profiles.display_p3()),
    )
    yield Shape("JPEG with a profile that is none", "b.jpg", jpeg(icc_profile=b"no profile"))
    yield Shape(
        "MPO of two pictures",
        "DSCF0001.MPO",
        lambda: _file(_quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (480, 320))]),
    )
    yield Shape(
        "MPO whose second picture is cut",
        "DSCF0002.MPO",
        _cut(lambda: _file(_quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (480, 320))]), 800),
    )
    yield Shape("motion photo, a film of 7 MB behind its end", "MVIMG_1.jpg", _with_much_behind)
    yield Shape("Ultra HDR, a gain map behind its end", "PXL_1.jpg", _with_gain_map)
    yield Shape("JPEG without its last 2 bytes", "cut-2.jpg", _cut(_noisy, 2))
    yield Shape("JPEG without its last 300 bytes", "cut-300.jpg", _cut(_noisy, 300), size=(480, 320))
    yield Shape("JPEG, progressive, without its last 2 bytes", "cut-p.jpg", _cut(lambda: _noisy(progressive=True), 2))
    yield Shape(
        "JPEG, progressive, without its last 2000 bytes", "cut-q.jpg", _cut(lambda: _noisy(progressive=True), 2000)
    )
    yield Shape(
        "JPEG of 50 megapixels, 8192 × 6144", "IMG_50.jpg", functools.partial(large_jpeg, 8192, 6144), size=(2560, 1920)
    )
    yield Shape(
        "JPEG of 108 megapixels, 12000 × 9000",
        "IMG_108.jpg",
        functools.partial(large_jpeg, 12_000, 9000),
        size=(2560, 1920),
    )
    yield Shape("panorama, 12000 × 1500", "PANO.jpg", functools.partial(large_jpeg, 12_000, 1500), size=(8640, 1080))
    yield Shape("PNG", "screenshot.png", png(_quarters))
    yield Shape("PNG, interlaced", "i.png", _interlaced)
    yield Shape("PNG, 16 bits", "16.png", _sixteen_bits)
    yield Shape(
        "PNG, grey of 16 bits",
        "g16.png",
        lambda: _file(Image.fromarray((np.asarray(_quarters().convert("L")).astype(np.uint16)) * 257), "PNG"),
        quarters=((67,) * 3, (98,) * 3, (32,) * 3, GREY),
    )
    yield Shape("PNG, palette", "p.png", png(_palette))
    yield Shape("PNG, palette with transparency", "pt.png", png(lambda: _clear_quarters().quantize(16)), quarters=clear)
    yield Shape("PNG, alpha", "a.png", png(_clear_quarters), quarters=clear)
    yield Shape("PNG, alpha that is opaque", "o.png", png(lambda: _quarters().convert("RGBA")))
    yield Shape(
        "PNG, grey with alpha",
        "la.png",
        png(lambda: _clear_quarters().convert("LA")),
        quarters=((67,) * 3, (98,) * 3, (32,) * 3, CLEAR),
    )
    yield Shape("PNG, black and white", "1.png", png(lambda: Image.new("1", (480, 320), 1)), quarters=((255,) * 3,) * 4)
    yield Shape(
        "PNG, Display P3",
        "p3.png",
        png(lambda: _as_profile(colour_profiles.display_p3()), icc_profile=colour_profiles.display_p3()),
    )
    yield Shape("APNG, animated", "animated.png", lambda: _frames("PNG"))
    yield Shape(
        "long screenshot, 1080 × 12000", "long.png", lambda: _file(screenshot(12_000), "PNG"), (1080, 12_000), None
    )
    yield Shape("the same as JPEG", "long.jpg", lambda: _file(screenshot(12_000)), (1080, 12_000), None)
    yield Shape(
        "long screenshot, 1080 × 40000",
        "longer.png",
        lambda: _file(screenshot(40_000), "PNG", compress_level=1),
        (683, 25_298),
        None,
    )
    yield Shape("GIF", "a.gif", png(_palette, "GIF"))
    yield Shape("GIF, animated", "animated.gif", lambda: _frames("GIF"))
    yield Shape("GIF with transparency", "t.gif", png(_clear_quarters, "GIF"), quarters=clear)
    yield Shape("WebP", "a.webp", png(_quarters, "WEBP", quality=92))
    yield Shape("WebP, lossless, alpha", "l.webp", png(_clear_quarters, "WEBP", lossless=True), quarters=clear)
    yield Shape("WebP, animated", "animated.webp", lambda: _frames("WEBP"))
    yield Shape("AVIF", "a.avif", png(_quarters, "AVIF", quality=92))
    yield Shape("AVIF, alpha", "t.avif", png(_clear_quarters, "AVIF", quality=92), quarters=clear)
    yield Shape("HEIC", "IMG_1001.HEIC", _heic("srgb.heic"))
    yield Shape("HEIC, Display P3 by its profile", "IMG_1002.HEIC", _heic("display-p3.heic"))
    yield Shape("HEIC, Display P3 by its number", "IMG_1003.heic", _heic("nclx-p3.heic"))
    yield Shape("HEIC, 10 bits", "IMG_1004.HEIC", _heic("ten-bit.heic"))
    yield Shape("HEIC, alpha", "IMG_1005.HEIC", _heic("alpha.heic"), quarters=clear)
    yield Shape("HEIC, turned", "IMG_1006.HEIC", _heic("turned.heic"), (320, 480), (BLUE, RED, GREY, GREEN))
    yield Shape("HEIC of tiles", "IMG_1008.HEIC", functools.partial(grid_heic, 2, 2), (960, 640), None)
    yield Shape(
        "HEIC of 50 megapixels, 8160 × 6080", "IMG_1009.HEIC", functools.partial(grid_heic, 17, 19), (2560, 1907), None
    )
    yield Shape("HEIC called .jpg", "IMG_1007.jpg", _heic("srgb.heic"))
    yield Shape("PNG called .jpg", "photo.jpg", png(_quarters))
    yield Shape("JPEG called .png", "photo.png", jpeg())
    yield Shape("WebP called .jpg", "640.jpg", png(_quarters, "WEBP", quality=92))
    yield Shape("JPEG without a name's ending", "image", jpeg())
    yield refused(
        "JPEG of 120 megapixels",
        "IMG_120.jpg",
        functools.partial(large_jpeg, 12_000, 10_000),
        "超过 11000 万像素,请缩小或截图后再发送",
    )
    yield refused(
        "PNG of 60 megapixels",
        "huge.png",
        lambda: _png(struct.pack(">IIBBBBB", 10_000, 6000, 8, 2, 0, 0, 0), b""),
        "超过 5100 万像素(JPEG 可至 11000 万),请另存为 JPEG 或缩小后再发送",
    )
    yield refused("half a JPEG", "half.jpg", lambda: _noisy()[: len(_noisy()) // 2], _BROKEN)
    yield refused(
        "JPEG, progressive, its first bytes",
        "begun.jpg",
        lambda: _noisy(progressive=True)[:600],
        _BROKEN,
    )
    yield refused("half a PNG", "half.png", lambda: png(lambda: screenshot(1000))()[:5000], _BROKEN)
    yield refused(
        "half a HEIC",
        "half.heic",
        lambda: _heic("srgb.heic")()[:1500],
        "无法读取,请在手机相机设置中选择“兼容性最佳”,或另存为 JPEG 后再发送",
    )
    yield refused(
        "film of a live photo",
        "IMG_1001.MOV",
        struct.pack(">I4s4s", 20, b"ftyp", b"qt  ") + bytes(99),
        "是视频,请发送照片(实况照片请先存为静态照片)",
    )
    yield refused("BMP", "a.bmp", png(_quarters, "BMP"), f"是 BMP 图片,{_AS_JPEG}")
    yield refused("TIFF, as RAW files are", "a.dng", png(_quarters, "TIFF"), f"是 TIFF 或 RAW 图片,{_AS_JPEG}")
    yield refused(
        "Canon's RAW", "a.CR3", struct.pack(">I4s4s", 24, b"ftyp", b"crx ") + bytes(99), f"是 RAW 图片,{_AS_JPEG}"
    )
    yield refused("ZIP, as some drives hand out live photos", "a.livp", b"PK\3\4" + bytes(99), f"是压缩文件,{_AS_JPEG}")
    yield refused("JPEG XL", "a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n", f"是 JPEG XL 图片,{_AS_JPEG}")
    yield refused("PDF", "a.pdf", b"%PDF-1.7\n", f"是 PDF 文件,{_AS_JPEG}")
    yield refused(
        "SVG",
        "a.svg",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片",
    )
    yield refused("nothing", "empty.jpg", b"", "不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片")


SHAPES: Final = tuple(_shapes())


def _contact_sheet(results: list[tuple[Shape, PreparedPicture]]) -> Image.Image:
    columns, width, height = 8, 200, 190
    sheet = Image.new("RGB", (columns * width, -(-len(results) // columns) * height), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (shape, picture) in enumerate(results):
        left, top = number % columns * width, number // columns * height
        image = Image.open(io.BytesIO(picture.data)).convert("RGBA")
        if image.height > 4 * image.width:
            image = image.crop((0, 0, image.width, image.width * 3 // 4))  # what can be read at its beginning
        image.thumbnail((width - 10, height - 40))
        sheet.paste(image, (left + 5, top + 5), image)
        draw.text((left + 5, top + height - 32), shape.what[:36].replace("×", "x"), (0, 0, 0), font=font)
        size = f"{picture.content_type[6:]} {picture.width} x {picture.height}"
        draw.text((left + 5, top + height - 18), size, (90, 90, 90), font=font)
    return sheet


def main(folder: Path | None) -> None:
    """Print the table; write what comes out, and the contact sheet, into `folder`."""
    print("| what is sent | called | what comes out |\n|---|---|---|")
    results = []
    for number, shape in enumerate(SHAPES):
        result = outcome(shape)
        print(told(shape, result))
        if isinstance(result, PreparedPicture):
            results.append((shape, result))
            if folder:
                (folder / f"{number:02d}.{result.content_type[6:]}").write_bytes(result.data)
    if folder:
        _contact_sheet(results).save(folder / "contact-sheet.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what comes out of each shape of pictures.")
    parser.add_argument("folder", nargs="?", type=Path, help="an existing folder for the pictures and a contact sheet")
    main(parser.parse_args().folder)
