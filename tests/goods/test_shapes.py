"""Every shape of `tests.goods.shapes` comes out as docs/pictures.md says, the right way up and in the right colours."""

import io
import re
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image, ImageCms

from app.answers import Answer
from app.goods import jpeg
from app.goods.pictures import PreparedPicture
from app.goods.preparation import PictureRefused, PixelLimits, prepare
from app.goods.uploads import prepare_uploads
from config import PROJECT_ROOT
from tests.goods.shapes import SHAPES, Shape, large_jpeg, outcome, quarters_of, screenshot, told

# pytest puts its own filters in place of those that app.goods.preparation sets.
pytestmark = pytest.mark.filterwarnings(r"ignore::UserWarning:PIL\.")

_OFF = 14  # what a level may be off: of 255, by grain, by few colours in a palette, by coding


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.what)
def test_what_comes_out(shape: Shape) -> None:
    result = outcome(shape)
    assert told(shape, result) in _documented()
    if shape.refusal:
        assert result == shape.refusal
        return
    assert isinstance(result, PreparedPicture), result
    assert (result.width, result.height) == shape.size
    if shape.quarters is not None:
        for seen, meant in zip(quarters_of(result), shape.quarters, strict=True):
            assert (seen is None) == (meant is None), quarters_of(result)
            assert seen is None or meant is None or max(np.abs(np.subtract(seen, meant))) <= _OFF, quarters_of(result)


def _documented() -> list[str]:
    return (PROJECT_ROOT / "docs" / "pictures.md").read_text("utf-8").splitlines()


def test_the_document_tells_of_nothing_else() -> None:
    rows = [line for line in _documented() if re.match(r"\| .* \| `.*` \| ", line)]
    assert len(rows) == len(SHAPES) >= 40
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [shape.what for shape in SHAPES]


def test_a_photo_of_108_megapixels_is_taken_within_the_limits_of_the_decoder(context: Flask) -> None:
    [taken] = prepare_uploads([io.BytesIO(large_jpeg(12_000, 9000))], user_id=1, malformed=Answer.MALFORMED)
    assert (taken.width, taken.height, taken.decoded_pixels) == (2560, 1920, 108_000_000)


def test_text_of_a_long_screenshot_can_be_read() -> None:
    """As it is where it is 12000 high; at 40000, where its pixels are fewer, dark on bright still, letter by letter."""
    for name, height, least in (("long.png", 12_000, 0.98), ("longer.png", 40_000, 0.93)):
        original = screenshot(height)
        taken = outcome(next(shape for shape in SHAPES if shape.name == name))
        assert isinstance(taken, PreparedPicture)
        shown = Image.open(io.BytesIO(taken.data)).convert("L")
        down = taken.height / original.height
        for top in (0, height // 2, height - 2000):
            box = (0, top, original.width, top + 1000)
            # Blown up again, it is the same: no letter has run into the next.
            place = (0, top * down, taken.width, (top + 1000) * down)
            part = shown.resize((original.width, 1000), Image.Resampling.BICUBIC, place)
            pixels, wanted = (np.asarray(each, dtype=float).ravel() for each in (part, original.crop(box)))
            assert np.corrcoef(pixels, wanted)[0, 1] > least, (height, top)


def _prepare(data: bytes) -> PreparedPicture:
    return prepare(data, bytes_limit=10**8, limits=PixelLimits(jpeg=110_000_000, others=51_000_000))


def _grained(**options: object) -> bytes:
    buffer = io.BytesIO()
    grain = np.random.default_rng(20261130).normal(128, 60, (320, 320, 1)).clip(0, 255).repeat(3, axis=2)
    Image.fromarray(grain.astype(np.uint8)).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def test_how_much_of_a_jpeg_may_be_missing() -> None:
    """Less than an eighth: the rest is the picture, without the grey that decoders put where nothing has come."""
    whole = _grained()
    for percent in (0, 1, 5, 10, 12):
        cut = whole[: len(whole) * (100 - percent) // 100]
        taken = _prepare(cut)
        assert (taken.width, taken.height <= 320, taken.height >= 320 * (99 - percent) // 100 - 16) == (320, True, True)
        bottom = np.asarray(Image.open(io.BytesIO(taken.data)).convert("L"))[-1]
        assert bottom.std() > 5, percent
    for percent in (20, 50, 90, 99):
        with pytest.raises(PictureRefused, match="已损坏或不完整"):
            _prepare(whole[: len(whole) * (100 - percent) // 100])
    # Of a progressive one all must have been told at least roughly; then what is missing is grain.
    progressive = _grained(progressive=True)
    refused = [size for size in range(700, len(progressive), 997) if not _is_taken(progressive[:size])]
    assert refused
    assert max(refused) < len(progressive) * 3 // 5
    assert _is_taken(progressive[: max(refused) + 997])


@pytest.mark.parametrize(
    "options", [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str
)
@pytest.mark.parametrize("level", [127, 128, 129])
def test_grey_that_a_cut_jpeg_shows_is_not_missing(level: int, options: dict[str, Any]) -> None:
    """Decoders put the same grey where nothing has come. It is taken wherever it breaks off, in a scan or before."""
    image = Image.open(io.BytesIO(_grained())).crop((0, 0, 320, 240))
    image.paste((level,) * 3, (0, 100, 320, 240))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80, **options)
    whole = buffer.getvalue()
    taken = _prepare(whole[:-2])
    assert (taken.width, taken.height) == (320, 240)
    assert np.abs(np.asarray(Image.open(io.BytesIO(taken.data)))[110:].astype(int) - level).max() <= 1
    for missing in (3, 5, 9, 10, 11, 13, 21, 34, 55):
        assert _prepare(whole[:-missing]).height >= 210, missing
    if "progressive" in options:
        last = whole.rindex(b"\xff\xda")
        assert {_prepare(whole[:end]).height for end in range(last, last + 12)} == {240}
    else:
        with pytest.raises(PictureRefused, match="已损坏或不完整"):
            _prepare(whole[: len(whole) * 2 // 3])


def test_all_pixels_of_a_cut_jpeg_that_is_refused_are_told() -> None:
    """They count for what a user's pictures may cost; it was decoded at half of its size."""
    buffer = io.BytesIO()
    Image.effect_noise((650, 650), 50).resize((5200, 5200)).save(buffer, "JPEG", quality=50)
    source = buffer.getvalue()
    with pytest.raises(PictureRefused, match="已损坏或不完整") as refused:
        _prepare(source[: len(source) // 2])
    assert refused.value.decoded_pixels == 5200 * 5200


def test_half_a_jpeg_is_refused_whatever_byte_it_ends_with() -> None:
    """Behind 0xFF anything is a marker: there a second decoding with other bytes made no difference."""
    source = _grained()
    coded = source.index(b"\xff\0", len(source) // 2)
    for end in (coded, coded + 1, coded + 2):
        with pytest.raises(PictureRefused, match="已损坏或不完整"):
            _prepare(source[:end])


def test_a_long_screenshot_whose_alpha_says_nothing_stays_as_wide_as_one_without() -> None:
    """It is a JPEG: as WebP it could be no longer than 16383 pixels."""
    buffer = io.BytesIO()
    Image.new("RGBA", (100, 20_000), (30, 60, 90, 255)).save(buffer, "PNG")
    taken = _prepare(buffer.getvalue())
    assert (taken.content_type, taken.width, taken.height) == ("image/jpeg", 100, 20_000)
    buffer = io.BytesIO()
    Image.new("RGBA", (100, 20_000), (30, 60, 90, 60)).save(buffer, "PNG")
    taken = _prepare(buffer.getvalue())
    assert (taken.content_type, taken.width, taken.height) == ("image/webp", 82, 16_383)


def test_a_png_with_a_large_profile_is_taken() -> None:
    """Tables of scanners take some megabytes; what unpacks to much more is refused before it has."""
    for size, taken in ((3_000_000, True), (9_000_000, False)):
        buffer = io.BytesIO()
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().ljust(size, b"\0")
        Image.new("RGB", (20, 10), (200, 10, 10)).save(buffer, "PNG", icc_profile=profile)
        assert _is_taken(buffer.getvalue()) is taken, size


def _is_taken(data: bytes) -> bool:
    try:
        _prepare(data)
    except PictureRefused:
        return False
    return True


def test_where_a_jpeg_ends() -> None:
    """Neither what stands behind its end nor what lies inside a segment counts as a part of it."""
    plain, progressive = _grained(), _grained(progressive=True)
    with_preview = _grained(comment=progressive[:60_000])  # a whole JPEG inside a segment, as cameras' notes have one
    for data, scans in ((plain, 1), (progressive, 10), (with_preview, 1), (plain + progressive * 20, 1)):
        assert jpeg.outline_of(data) == jpeg.Outline(scans=scans, ended=True, usable=len(data))
    for cut, scans in ((plain[:-2], 1), (plain[:-1], 1), (plain[:2], 0)):
        assert jpeg.outline_of(cut) == jpeg.Outline(scans=scans, ended=False, only=scans == 1, usable=len(cut))
    # Of a segment that broke off nothing can be used; what stands before it is whole.
    last = progressive.rindex(b"\xff\xda")
    for cut in (progressive[: last + 2], progressive[: last + 3], progressive[: last + 9]):
        assert jpeg.outline_of(cut) == jpeg.Outline(scans=9, ended=False, roughly=True, usable=last)
    assert jpeg.outline_of(plain[:200]) == jpeg.Outline(scans=0, ended=False, usable=plain.rindex(b"\xff", 0, 200))
    with pytest.raises(jpeg.TooManySegments):
        jpeg.outline_of(plain[:2] + b"\xff\xfe\0\2" * 20_000 + plain[2:])
    with pytest.raises(PictureRefused):
        _prepare(plain[:2] + b"\xff\xfe\0\2" * 20_000 + plain[2:])
