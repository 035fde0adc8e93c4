"""Pictures: their URLs, which files are accepted, and that no metadata is kept."""

from io import BytesIO

import pytest
from PIL import Image
from xianyu import pictures
from xianyu.pictures import absolute_url, clean_jpeg


def encoded(form: str, *, mode: str = "RGB", size: tuple[int, int] = (40, 30), **more: object) -> bytes:
    file = BytesIO()
    Image.new(mode, size).save(file, form, **more)
    return file.getvalue()


def with_metadata() -> bytes:
    """A photograph with an orientation and a GPS position in its metadata."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn it by 90 degrees
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    return encoded("JPEG", exif=exif)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("//img.alicdn.com/a.jpg", "https://img.alicdn.com/a.jpg"),
        ("http://img.alicdn.com/a.jpg", "http://img.alicdn.com/a.jpg"),
        ("https://img.alicdn.com/a.jpg", "https://img.alicdn.com/a.jpg"),
        ("img.alicdn.com/a.jpg", None),
        ("/a.jpg", None),
        ("file:///etc/passwd", None),
        ("data:image/png;base64,AAAA", None),
        ("https://", None),
        ("//[", None),
        ("", None),
    ],
)
def test_only_urls_with_a_host_are_fetched(address: str, expected: str | None) -> None:
    assert absolute_url(address) == expected


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF"])
def test_known_formats_become_jpeg(form: str) -> None:
    found = clean_jpeg(encoded(form))
    assert found is not None
    with Image.open(BytesIO(found)) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (40, 30), "RGB")


def test_the_metadata_is_removed_and_the_picture_upright() -> None:
    with Image.open(BytesIO(with_metadata())) as before:
        assert before.getexif().get_ifd(0x8825) == {1: "N"}
    found = clean_jpeg(with_metadata())
    assert found is not None
    with Image.open(BytesIO(found)) as picture:
        assert dict(picture.getexif()) == {}
        assert picture.size == (30, 40)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>404</html>",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        encoded("JPEG")[:200],
        encoded("PNG")[:50],
        encoded("BMP"),
        encoded("PNG", size=(65_501, 1)),
    ],
    ids=["nothing", "page", "HEIC", "half a JPEG", "half a PNG", "another form", "wider than a JPEG may be"],
)
def test_what_is_no_picture_is_refused(body: bytes) -> None:
    assert clean_jpeg(body) is None


def test_a_picture_with_too_many_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1199)
    assert clean_jpeg(encoded("PNG")) is None
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1200)
    assert clean_jpeg(encoded("PNG")) is not None
