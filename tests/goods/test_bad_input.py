"""What a release or an edit refuses, in which words, and that nothing is stored then."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.answers import Answer
from config import Settings
from tests.factories import assert_envelope, auth_headers, make_good, make_user, picture_bytes
from tests.goods.steps import FORM, assert_malformed, encoded, everything, form_with, multipart, row_of
from tests.settings import settings_with

URL = "/api/good_release/"

FORBIDDEN = "含有不允许的字符"
NOT_MONEY = "金额须为不超过两位小数的数字"
NOT_FREE = "金额须大于 0"
NO_PICTURE = "不是可识别的图片,请发送 JPEG、PNG、WebP、GIF、AVIF 或 HEIC 图片"
DAMAGED = "已损坏或不完整,请重新保存或截图后再发送"
TOO_MANY = "超过 5100 万像素(JPEG 可至 11000 万),请另存为 JPEG 或缩小后再发送"

BAD_FIELDS: list[tuple[str, Any, str]] = [
    ("title", "", "不能为空"),
    ("title", " \u3000\u200b ", "不能为空"),
    ("title", "题" * 61, "至多 60 个字符"),
    ("title", "题" * 10_000, "至多 60 个字符"),
    ("title", None, "须为文字"),
    ("title", 7, "须为文字"),
    ("title", ["题"], "须为文字"),
    ("title", "空\x00字符", FORBIDDEN),
    ("description", "", "不能为空"),
    ("description", "述" * 2001, "至多 2000 个字符"),
    ("description", "述" * 10_000, "至多 2000 个字符"),
    ("description", {"text": "述"}, "须为文字"),
    ("description", "空\x00字符", FORBIDDEN),
    ("price", "0", NOT_FREE),
    ("price", 0, NOT_FREE),
    ("price", "0.00", NOT_FREE),
    ("price", -1, NOT_MONEY),
    ("price", "-0.01", NOT_MONEY),
    ("price", "1.234", NOT_MONEY),
    ("price", 1.234, NOT_MONEY),
    ("price", "1e9", NOT_MONEY),
    ("price", 1e9, "金额不能超过 9999999.99 元"),
    ("price", 10_000_000, "金额不能超过 9999999.99 元"),
    ("price", 1e30, NOT_MONEY),
    ("price", "NaN", NOT_MONEY),
    ("price", "Infinity", NOT_MONEY),
    ("price", "12,5", NOT_MONEY),
    ("price", "1 2", NOT_MONEY),
    ("price", "12元起", NOT_MONEY),
    ("price", True, "金额格式不正确"),
    ("price", None, "金额格式不正确"),
    ("price", [12], "金额格式不正确"),
    ("freight", -1, NOT_MONEY),
    ("freight", "0.001", NOT_MONEY),
    ("freight", None, "金额格式不正确"),
    ("original_price", "0", NOT_FREE),
    ("original_price", "1.999", NOT_MONEY),
    ("category", 0, "不能小于 1"),
    ("category", 10, "不能大于 9"),
    ("category", -1, "不能小于 1"),
    ("category", 2**63, "不能大于 9"),
    ("category", "手机", "须为整数"),
    ("category", 1.5, "须为整数"),
    ("category", True, "须为整数"),
    ("trade_mode", 5, "不能小于 6"),
    ("trade_mode", 9, "不能大于 8"),
    ("trade_mode", None, "须为整数"),
]


@pytest.mark.parametrize(
    ("name", "value", "reason"), BAD_FIELDS, ids=[f"{name}-{str(value)[:12]!a}" for name, value, _ in BAD_FIELDS]
)
def test_bad_fields(app: Flask, client: FlaskClient, settings: Settings, name: str, value: object, reason: str) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    form = {**FORM, name: value}
    edit = f"/api/good_edit/{good.id}/"
    assert_malformed(client.post(URL, json=form, headers=headers), Answer.RELEASE_MALFORMED, **{name: [reason]})
    assert_malformed(client.put(edit, json=form, headers=headers), Answer.EDIT_MALFORMED, **{name: [reason]})
    assert_malformed(client.patch(edit, json={name: value}, headers=headers), Answer.EDIT_MALFORMED, **{name: [reason]})
    assert everything(app, settings) == before


def test_missing_fields(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    required = {name: ["必填"] for name in ("title", "description", "price", "category", "trade_mode")}
    assert_malformed(client.post(URL, json={}, headers=headers), Answer.RELEASE_MALFORMED, **required)
    assert_malformed(client.post(URL, headers=headers), Answer.RELEASE_MALFORMED, **required)
    # In a form an empty field is an absent one.
    empty = dict.fromkeys(FORM, "")
    assert_malformed(client.post(URL, data=empty, headers=headers), Answer.RELEASE_MALFORMED, **required)
    assert_malformed(client.put(f"/api/good_edit/{good.id}/", headers=headers), Answer.EDIT_MALFORMED, **required)
    assert everything(app, settings) == before


def test_no_fields_to_change(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    for options in ({}, {"json": {}}, {"data": {"title": ""}}):
        response = client.patch(f"/api/good_edit/{good.id}/", headers=headers, **options)
        assert_malformed(response, Answer.EDIT_MALFORMED, body=["没有要修改的内容"])
    assert everything(app, settings) == before


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"])
def test_bodies_that_are_no_object(app: Flask, client: FlaskClient, settings: Settings, body: str) -> None:
    before = everything(app, settings)
    headers = auth_headers(app, make_user(app))
    response = client.post(URL, data=body, content_type="application/json", headers=headers)
    assert_malformed(response, Answer.RELEASE_MALFORMED, body=["须为 JSON 对象"])
    assert everything(app, settings) == before


@pytest.mark.parametrize("body", ["{", '{"price": NaN}', '{"title": "\\ud800"}', b"\xff\xfe"])
def test_bodies_that_are_no_json(app: Flask, client: FlaskClient, settings: Settings, body: str | bytes) -> None:
    before = everything(app, settings)
    headers = auth_headers(app, make_user(app))
    response = client.post(URL, data=body, content_type="application/json", headers=headers)
    assert assert_envelope(response, Answer.BAD_REQUEST) is None
    response = client.post(URL, data=body, content_type="text/plain", headers=headers)
    assert assert_envelope(response, Answer.UNSUPPORTED_TYPE) is None
    assert everything(app, settings) == before


def test_pictures_as_text(app: Flask, client: FlaskClient, settings: Settings) -> None:
    """Taking the form and passing over its pictures would lose them without a word."""
    before = everything(app, settings)
    headers = auth_headers(app, make_user(app))
    for options in ({"json": {**FORM, "pictures": ["iVBORw0KGgo="]}}, {"data": {**FORM, "pictures": "iVBORw0KGgo="}}):
        response = client.post(URL, headers=headers, **options)
        assert_malformed(
            response,
            Answer.RELEASE_MALFORMED,
            pictures=["pictures 须以 multipart/form-data 文件上传,或先上传到 /api/pictures/,再给出 picture_ids"],
        )
    assert everything(app, settings) == before


def _with_file(field: str, filename: str, content: bytes) -> dict[str, Any]:
    """`FORM` and one part with a file name, written as any client may write it: options for Werkzeug's client."""
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in FORM.items()]
    head = f'form-data; name="{field}"; filename="{filename}"\r\nContent-Type: image/jpeg\r\n\r\n'
    parts.append(head.encode() + content)
    body = b"".join(b"--border\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + b"--border--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=border"}


def test_files_that_nobody_would_look_at(app: Flask, client: FlaskClient, settings: Settings) -> None:
    before = everything(app, settings)
    headers = auth_headers(app, make_user(app))
    for field in ("picture", "pictures[]", "photo"):
        response = client.post(URL, headers=headers, **_with_file(field, "a.jpg", picture_bytes()))
        assert_malformed(response, Answer.RELEASE_MALFORMED, **{field: ["不认识的文件字段,是否想写 pictures?"]})
    assert everything(app, settings) == before


def test_a_picture_needs_no_file_name(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    response = client.post(URL, headers=headers, **_with_file("pictures", "", picture_bytes()))
    assert len(assert_envelope(response, Answer.GOOD_RELEASED)["pictures"]) == 1


def test_emoji_and_all_lengths_are_welcome(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for title, description in (("📱" * 60, "👨‍👩‍👧‍👦 全家都用过 ❤️"), ("书", "述" * 2000), ("العربية", "a\r\nb\tc\n")):
        form = {**FORM, "title": title, "description": description}
        good = assert_envelope(client.post(URL, json=form, headers=headers), Answer.GOOD_RELEASED)
        assert row_of(app, good["id"])["title"] == good["title"] == title
        assert good["description"] == description.replace("\r\n", "\n").strip()


def test_prices_at_their_limits(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    for sent, stored in ((0.01, 1), ("0.01", 1), ("9999999.99", 999_999_999), (9999999.99, 999_999_999), (0.1, 10)):
        good = assert_envelope(client.post(URL, json={**FORM, "price": sent}, headers=headers), Answer.GOOD_RELEASED)
        assert row_of(app, good["id"])["price"] == stored


def _png(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _zeros_png(side: int) -> bytes:
    """A whole, black PNG: a few kilobytes that decode to `side` × `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    squeeze = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _noise(format: str) -> bytes:  # noqa: A002 - Pillow's name
    return encoded(Image.effect_noise((200, 200), 50).convert("RGB"), format)


def _many_scans() -> bytes:
    """A progressive JPEG whose last scan is there 200 times."""
    whole = encoded(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * 200 + b"\xff\xd9"


def _jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG that says it has so many pixels."""
    whole = bytearray(picture_bytes())
    frame = whole.index(b"\xff\xc0")
    struct.pack_into(">HH", whole, frame + 5, height, width)
    return bytes(whole)


BAD_PICTURES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", NO_PICTURE),
    "text": ("我不是图片".encode(), NO_PICTURE),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', NO_PICTURE),
    "html": (b"<html><script>alert(1)</script></html>", NO_PICTURE),
    "bmp": (_noise("BMP"), "是 BMP 图片,请另存为 JPEG 后再发送"),
    "tiff": (_noise("TIFF"), "是 TIFF 或 RAW 图片,请另存为 JPEG 后再发送"),
    "pdf": (b"%PDF-1.7\n", "是 PDF 文件,请另存为 JPEG 后再发送"),
    "jpeg-xl": (b"\0\0\0\x0cJXL \r\n\x87\n", "是 JPEG XL 图片,请另存为 JPEG 后再发送"),
    "film": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "是视频,请发送照片(实况照片请先存为静态照片)"),
    "half-heic": (
        Path(__file__).with_name("heic").joinpath("srgb.heic").read_bytes()[:1500],
        "无法读取,请在手机相机设置中选择“兼容性最佳”,或另存为 JPEG 后再发送",
    ),
    "ico": (_noise("ICO"), NO_PICTURE),
    "jpeg-start": (b"\xff\xd8\xff\xe0 and no more", DAMAGED),
    "truncated-jpeg": (_noise("JPEG")[:-4000], DAMAGED),
    "half-png": (_noise("PNG")[:20_000], DAMAGED),
    "half-webp": (_noise("WEBP")[:2_000], DAMAGED),
    "half-gif": (_noise("GIF")[:10_000], DAMAGED),
    "truncated-avif": (_noise("AVIF")[:-10], DAMAGED),
    "half-avif": (_noise("AVIF")[:2_000], DAMAGED),
    "png-without-pixels": (_png(100, 100), DAMAGED),
    "jpeg-of-endless-scans": (_many_scans(), DAMAGED),
    "png-20000": (_png(20_000, 20_000), TOO_MANY),
    "whole-png-20000": (_zeros_png(20_000), TOO_MANY),
    "png-10000": (_png(10_000, 10_000), TOO_MANY),
    "png-7200": (_png(7_200, 7_200), TOO_MANY),
    "png-2-billion-wide": (_png(2**31 - 1, 1), TOO_MANY),
    "large-jpeg": (_jpeg_of(12_000, 9_200), "超过 11000 万像素,请缩小或截图后再发送"),
    "fifty-one-megabytes": (picture_bytes() + bytes(50 * 1024 * 1024), "超过 50 MB,请压缩或截图后再发送"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_bad_pictures(app: Flask, client: FlaskClient, settings: Settings, name: str) -> None:
    data, reason = BAD_PICTURES[name]
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)

    response = client.post(URL, headers=headers, **form_with(picture_bytes(), data))
    assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=[f"第 2 张图片{reason}"])
    response = client.patch(
        f"/api/good_edit/{good.id}/",
        headers=headers,
        **multipart(data, title="新标题"),
    )
    assert_malformed(response, Answer.EDIT_MALFORMED, pictures=[f"第 1 张图片{reason}"])
    assert everything(app, settings) == before


def test_every_bad_picture_is_named(app: Flask, client: FlaskClient, settings: Settings) -> None:
    before = everything(app, settings)
    pictures = (b"text", picture_bytes(), picture_bytes()[:-300])
    response = client.post(URL, headers=auth_headers(app, make_user(app)), **form_with(*pictures))
    assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=[f"第 1 张图片{NO_PICTURE}", f"第 3 张图片{DAMAGED}"])
    assert everything(app, settings) == before


def test_ten_pictures(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    good = make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    response = client.post(URL, headers=headers, **form_with(*[picture_bytes()] * 10))
    assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=["至多 9 张图片"])
    response = client.put(f"/api/good_edit/{good.id}/", headers=headers, **form_with(*[picture_bytes()] * 10))
    assert_malformed(response, Answer.EDIT_MALFORMED, pictures=["至多 9 张图片"])
    assert everything(app, settings) == before


def test_the_limits_are_settings(app: Flask, client: FlaskClient, settings: Settings) -> None:
    headers = auth_headers(app, make_user(app))
    picture = picture_bytes(100, 100)
    before = everything(app, settings)
    with settings_with(app, picture_bytes_limit=len(picture) - 1):
        response = client.post(URL, headers=headers, **form_with(picture))
        assert assert_envelope(response, Answer.RELEASE_MALFORMED)["errors"]["pictures"][0].startswith(
            "第 1 张图片超过"
        )
    with settings_with(app, picture_pixels_limit=9_999, picture_jpeg_pixels_limit=9_998):
        response = client.post(URL, headers=headers, **form_with(picture))
        reason = "第 1 张图片超过 0.9998 万像素,请缩小或截图后再发送"
        assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=[reason])
        response = client.post(URL, headers=headers, **form_with(picture_bytes(100, 100, "PNG")))
        reason = "第 1 张图片超过 0.9999 万像素(JPEG 可至 0.9998 万),请另存为 JPEG 或缩小后再发送"
        assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=[reason])
    assert everything(app, settings) == before
    with settings_with(app, picture_bytes_limit=len(picture), picture_pixels_limit=10_000):
        assert_envelope(client.post(URL, headers=headers, **form_with(picture)), Answer.GOOD_RELEASED)


@pytest.mark.parametrize("good_id", ["0", "-1", str(2**63), str(2**63 - 1), "abc", "1.0", "%00", "١", "9" * 400])
def test_ids_that_are_none(app: Flask, client: FlaskClient, settings: Settings, good_id: str) -> None:
    owner = make_user(app)
    make_good(app, owner)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    edit = f"/api/good_edit/{good_id}/"
    for response in (
        client.get(f"/api/good/{good_id}/"),
        client.get(edit, headers=headers),
        client.put(edit, json=FORM, headers=headers),
        client.patch(edit, json={"title": "新标题"}, headers=headers),
        client.delete(edit, headers=headers),
    ):
        assert assert_envelope(response, Answer.NO_SUCH_GOOD) is None
    assert assert_envelope(client.get(f"/api/pic/{good_id}/"), Answer.NO_SUCH_PICTURE) is None
    assert everything(app, settings) == before


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ("category=0", {"category": ["不能小于 1"]}),
        ("category=x", {"category": ["须为整数"]}),
        ("trade_mode=9", {"trade_mode": ["不能大于 8"]}),
        ("price_min=-1", {"price_min": [NOT_MONEY]}),
        ("price_max=NaN", {"price_max": [NOT_MONEY]}),
        ("sort=oldest", {"sort": ["不在可选范围内"]}),
        ("page=0", {"page": ["不能小于 1"]}),
        ("size=101", {"size": ["不能大于 100"]}),
        ("page=x&size=", {"page": ["须为整数"]}),
    ],
)
def test_bad_filters(client: FlaskClient, query: str, errors: dict[str, list[str]]) -> None:
    assert_malformed(client.get(f"/api/goods/?{query}"), Answer.MALFORMED, **errors)


@pytest.mark.parametrize("status", ["0", "6", "x", "1.5"])
def test_bad_status_filter(app: Flask, client: FlaskClient, status: str) -> None:
    response = client.get(f"/api/my_goods/?good_status={status}", headers=auth_headers(app, make_user(app)))
    reason = {"0": "不能小于 1", "6": "不能大于 5"}.get(status, "须为整数")
    assert_malformed(response, Answer.MALFORMED, good_status=[reason])
