"""What preparing pictures may cost: each picture, each user, each process; and what is left when it costs too much."""

import io
import os
import re
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.answers import Answer, Refused
from app.extensions import valkey
from app.goods import uploads
from app.goods.uploads import prepare_uploads
from config import PROJECT_ROOT, Settings
from statemachine.order import RECEIVED
from tests.factories import assert_envelope, auth_headers, lead_order, make_good, make_user, picture_bytes
from tests.goods.steps import assert_malformed, encoded, everything, form_with, multipart
from tests.live import LiveServer
from tests.orders.table import ACTIONS
from tests.settings import settings_with

URL = "/api/good_release/"
TOO_DEAR = "第 1 张图片过于复杂,无法处理,请截图或另存为 JPEG 后再发送"
DAMAGED_ONE = "第 1 张图片已损坏或不完整,请重新保存或截图后再发送"


def _scans(side: int, count: int) -> bytes:
    """A progressive JPEG of `side` × `side` pixels whose last scan is there `count` times more: a few bytes each."""
    whole = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + b"\xff\xd9"


@cache
def _dear() -> bytes:
    """49 million pixels in some 2 kB: two seconds of a processor, and 800 MB of memory."""
    return encoded(Image.new("RGB", (7000, 7000)), "WEBP", lossless=True, quality=0, method=0)


def _decoder_pid() -> int:
    process = uploads._decoder._process
    assert process is not None
    assert process.poll() is None
    return process.pid


def _prepared(*pictures: bytes, user_id: int = 1) -> list[tuple[int, int]]:
    prepared = prepare_uploads(
        [io.BytesIO(each) for each in pictures], user_id=user_id, malformed=Answer.RELEASE_MALFORMED
    )
    return [(each.width, each.height) for each in prepared]


def _spent(user_id: int = 1) -> dict[str, int]:
    return {name: int(value) for name, value in valkey().hgetall(f"picture-budget:{user_id}").items()}


def test_a_dear_picture_ends_the_decoder_and_nothing_else(app: Flask, client: FlaskClient, settings: Settings) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    before = everything(app, settings)
    with settings_with(app, picture_seconds_limit=1):
        # The others behind it are not tried.
        response = client.post(URL, headers=headers, **form_with(_dear(), b"no picture", _dear()))
        assert_malformed(response, Answer.RELEASE_MALFORMED, pictures=[TOO_DEAR])
        assert everything(app, settings) == before
        with app.app_context():
            spent = _spent(owner.id)
        assert (1000 <= spent["milliseconds"] < 4000, spent["pixels"]) == (True, 0)
        good = assert_envelope(client.post(URL, headers=headers, **form_with(picture_bytes())), Answer.GOOD_RELEASED)
    assert len(good["pictures"]) == 1


@pytest.mark.parametrize(("side", "scans", "reason"), [(100, 80, None), (4000, 80, TOO_DEAR), (100, 120, DAMAGED_ONE)])
def test_scans_of_a_jpeg(context: Flask, side: int, scans: int, reason: str | None) -> None:
    """Each costs a pass over all pixels, so a large picture may have few. The file tells how many there are."""
    if reason is None:
        assert _prepared(_scans(side, scans)) == [(side, side)]
        return
    with pytest.raises(Refused) as refused:
        _prepared(_scans(side, scans))
    assert refused.value.data == {"errors": {"pictures": [reason]}}
    assert _spent()["milliseconds"] < 200


def test_a_picture_that_takes_too_much_memory(context: Flask) -> None:
    large = encoded(Image.new("RGBA", (5000, 5000), (1, 2, 3, 4)), "PNG")
    with settings_with(context, picture_memory_limit=200 * 1024 * 1024):
        with pytest.raises(Refused) as refused:
            _prepared(large)
        assert (refused.value.answer, refused.value.data) == (
            Answer.RELEASE_MALFORMED,
            {"errors": {"pictures": [TOO_DEAR]}},
        )
        assert _prepared(picture_bytes(60, 40)) == [(60, 40)]
    assert _prepared(large) == [(2560, 2560)]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_with(*chunks: bytes) -> bytes:
    whole = encoded(Image.new("RGB", (60, 40), (9, 9, 9)), "PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def _frames(format: str, count: int) -> bytes:  # noqa: A002 - Pillow's name
    frames = [Image.new("L", (60, 40), number % 250) for number in range(count)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


@cache
def _zeros() -> bytes:
    return zlib.compress(bytes(60_000_000), 9)


# Made by the tests that send them: where tests are only collected, nobody needs to wait for that.
BOMBS: dict[str, Callable[[], bytes]] = {
    "zTXt": lambda: _png_with(_chunk(b"zTXt", b"Comment\0\0" + _zeros())),
    "iTXt": lambda: _png_with(_chunk(b"iTXt", b"Comment\0\1\0\0\0" + _zeros())),
    "forty zTXt": lambda: _png_with(*[_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9))] * 40),
    "iCCP": lambda: _png_with(_chunk(b"iCCP", b"profile\0\0" + _zeros())),
    "ten thousand chunks": lambda: _png_with(*[_chunk(b"teXt", b"a\0b")] * 10_000),
    "animated GIF": lambda: _frames("GIF", 3000),
    "animated PNG": lambda: _frames("PNG", 1000),
    "animated WebP": lambda: _frames("WEBP", 1000),
}

DAMAGED = {"zTXt", "iTXt", "iCCP"}
"""Those that Pillow refuses as such."""


@pytest.mark.parametrize("name", BOMBS)
def test_what_stands_beside_the_first_frame_costs_nothing(context: Flask, name: str) -> None:
    """It is refused or left out; in either case in less time than the pixels of a photograph take."""
    if name in DAMAGED:
        with pytest.raises(Refused) as refused:
            _prepared(BOMBS[name]())
        assert refused.value.data == {"errors": {"pictures": [DAMAGED_ONE]}}
    else:
        assert _prepared(BOMBS[name]()) == [(60, 40)]
    assert _spent()["milliseconds"] < 1000


def test_a_decoder_has_no_secrets_and_little_to_spend(context: Flask) -> None:
    assert _prepared(picture_bytes()) == [(64, 48)]
    process = Path("/proc") / str(_decoder_pid())
    assert (process / "environ").read_bytes() == b""
    limits = dict(re.findall(r"^(Max [a-z ]+?)\s{2,}(\S+)", (process / "limits").read_text(), re.MULTILINE))
    assert (limits["Max file size"], limits["Max core file size"]) == ("0", "0")
    assert limits["Max address space"] == str(1536 * 1024 * 1024)
    assert os.getpriority(os.PRIO_PROCESS, _decoder_pid()) == 3
    # Flask, the database's driver and all else that the application has in it stay out.
    assert b"psycopg" not in (process / "maps").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_decoder_that_was_ended_is_started_again(context: Flask, number: int) -> None:
    _prepared(picture_bytes())
    first = _decoder_pid()
    os.kill(first, number)
    assert _prepared(picture_bytes()) == [(64, 48)]
    assert _decoder_pid() != first


# Prepares a picture, names its decoder and then hangs.
_PARENT = """
import io, sys, time
from app import create_app
from app.answers import Answer
from app.goods import uploads
with create_app().app_context():
    source = io.BytesIO(bytes.fromhex(sys.argv[1]))
    uploads.prepare_uploads([source], user_id=1, malformed=Answer.MALFORMED)
    print(uploads._decoder._process.pid, flush=True)
    time.sleep(600)
"""


def test_a_decoder_ends_with_its_parent(context: Flask, environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", _PARENT, picture_bytes().hex()]
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        decoder = Path("/proc") / parent.stdout.readline().strip()
        assert decoder.exists()
        parent.kill()
    until = time.monotonic() + 30
    while decoder.exists() and (decoder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until, "the decoder outlives its parent"
        time.sleep(0.02)


def test_only_so_many_requests_are_at_their_pictures(app: Flask, client: FlaskClient, settings: Settings) -> None:
    one, other = make_user(app), make_user(app)
    before = everything(app, settings)

    def release(user: Any) -> Any:
        return client.post(URL, headers=auth_headers(app, user), **form_with(picture_bytes()))

    with ExitStack() as stack:
        with app.app_context():
            for _ in range(2):
                stack.enter_context(uploads._turns.taken(one.id))
        # Two of three are this user's: the third is kept for others.
        refused = release(one)
        assert_envelope(refused, Answer.BUSY)
        assert refused.headers["Retry-After"] == "2"
        assert everything(app, settings) == before
        assert_envelope(release(other), Answer.GOOD_RELEASED)
        with app.app_context():
            stack.enter_context(uploads._turns.taken(other.id))
        assert_envelope(release(other), Answer.BUSY)
        # What has no pictures does not wait for those of others.
        without = client.post(URL, headers=auth_headers(app, one), **form_with())
        assert_envelope(without, Answer.GOOD_RELEASED)
    assert_envelope(release(one), Answer.GOOD_RELEASED)


def test_nobody_waits_for_ever(context: Flask) -> None:
    _prepared(picture_bytes())
    pid = _decoder_pid()
    with settings_with(context, picture_patience=1):
        # The decoder is at somebody else's picture …
        with uploads._decoder._lock, pytest.raises(Refused) as refused:
            _prepared(picture_bytes())
        assert (refused.value.answer, refused.value.retry_after) == (Answer.BUSY, 10)
        assert _decoder_pid() == pid
        # … or gets no time from the machine.
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Refused) as refused:
            _prepared(picture_bytes())
        assert (refused.value.answer, refused.value.retry_after) == (Answer.BUSY, 10)
        # What went into a picture that was not finished is not for nothing.
        valkey().delete("picture-budget:1")
        with pytest.raises(Refused) as refused:
            _prepared(_dear())
        assert refused.value.answer is Answer.BUSY
        assert 0 < _spent()["milliseconds"] < 3000
    assert _prepared(picture_bytes()) == [(64, 48)]
    assert _decoder_pid() != pid


@pytest.mark.parametrize("limits", [{"picture_budget_seconds": 1}, {"picture_budget_pixels": 12_000}])
def test_what_a_user_has_spent_is_spent(
    app: Flask, client: FlaskClient, settings: Settings, limits: dict[str, int]
) -> None:
    buyer, other = make_user(app), make_user(app)
    order = lead_order(app, make_good(app, other), buyer, phase=RECEIVED)
    good = make_good(app, buyer)

    def post(url: str, user: Any, fields: dict[str, Any], method: str = "POST") -> Any:
        form = multipart(picture_bytes(100, 50), picture_bytes(100, 80), **fields)
        return client.open(url, method=method, headers=auth_headers(app, user), **form)

    with settings_with(app, picture_budget_window=300, **limits):
        release = form_with(picture_bytes(100, 50), picture_bytes(100, 80))
        assert_envelope(client.post(URL, headers=auth_headers(app, buyer), **release), Answer.GOOD_RELEASED)
        with app.app_context():
            spent = _spent(buyer.id)
            assert spent["pixels"] == 100 * 50 + 100 * 80
            assert 0 < spent["milliseconds"] < 2000
            valkey().hset(f"picture-budget:{buyer.id}", "milliseconds", 1000)
            left = valkey().ttl(f"picture-budget:{buyer.id}")
            assert 200 < left <= 300
        before = everything(app, settings)
        for response in (
            client.post(URL, headers=auth_headers(app, buyer), **release),
            post(f"/api/good_edit/{good.id}/", buyer, {"title": "新标题"}, "PATCH"),
            post(ACTIONS["request"].url.format(id=order.id), buyer, ACTIONS["request"].body),
        ):
            assert_envelope(response, Answer.TOO_MANY_PICTURES)
            assert 0 < int(response.headers["Retry-After"]) <= left
        assert everything(app, settings) == before
        # Nobody else has to pay for it, and what needs no decoding goes on.
        assert_envelope(client.post(URL, headers=auth_headers(app, other), **release), Answer.GOOD_RELEASED)
        edited = client.patch(f"/api/good_edit/{good.id}/", headers=auth_headers(app, buyer), json={"title": "新标题"})
        assert_envelope(edited, Answer.GOOD_EDITED)
        with app.app_context():
            valkey().delete(f"picture-budget:{buyer.id}")  # as Valkey does when the window ends
        assert_envelope(client.post(URL, headers=auth_headers(app, buyer), **release), Answer.GOOD_RELEASED)


def test_the_budget_ends_within_a_request(app: Flask, client: FlaskClient, settings: Settings) -> None:
    headers = auth_headers(app, make_user(app))
    before = everything(app, settings)
    with settings_with(app, picture_budget_pixels=5_000):
        response = client.post(URL, headers=headers, **form_with(picture_bytes(100, 50), picture_bytes(100, 80)))
    assert_envelope(response, Answer.TOO_MANY_PICTURES)
    assert everything(app, settings) == before


def test_evidence_is_limited_in_rate(app: Flask, client: FlaskClient, make_app: Any) -> None:
    strict = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_EVIDENCE="2 per hour").test_client()
    buyer = make_user(app)
    order = lead_order(app, make_good(app, make_user(app)), buyer, phase=RECEIVED)
    answers = []
    for action in ("request", "dispute", "contest"):
        url = ACTIONS[action].url.format(id=order.id)
        for _ in range(3):
            response = strict.post(
                url, headers=auth_headers(app, buyer), **multipart(picture_bytes(), **ACTIONS[action].body)
            )
            answers.append((action, response.status_code))
    assert answers == [
        *[("request", 200), ("request", 409), ("request", 429)],
        *[("dispute", 200), ("dispute", 409), ("dispute", 429)],
        *[("contest", 409), ("contest", 409), ("contest", 429)],
    ]


def test_a_file_is_no_field_whatever_is_in_it(app: Flask, client: FlaskClient) -> None:
    """The parser of forms keeps the last line of what it has read, and counts it among the fields."""
    picture = picture_bytes() + b"\r\nand some more behind its end" * 10_000
    response = client.post(URL, headers=auth_headers(app, make_user(app)), **form_with(picture, picture))
    assert_envelope(response, Answer.GOOD_RELEASED)


def test_large_uploads_take_little_memory_of_a_web_process(app: Flask, live_server: LiveServer) -> None:
    """Two releases of nine pictures of 9.4 MB took 650 MB. The decoder, beside it, ends at its own limit."""
    owner = make_user(app)
    pictures = [picture_bytes(4000, 3000, quality=60) + bytes(9_300_000) for _ in range(9)]
    form = form_with(*pictures)
    headers = {**auth_headers(app, owner), "Content-Type": form["content_type"]}
    for _ in range(2):
        assert live_server.call("POST", URL, body=form["data"], headers=headers).status == 200
    peaks = [
        int(re.search(r"VmHWM:\s*(\d+) kB", (Path("/proc") / pid / "status").read_text())[1]) // 1024  # type: ignore[index] # Linux has it
        for pid in _children(live_server.process.pid)
    ]
    assert max(peaks) < 400


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
