"""The check of pictures: what is seen in them, what cannot be looked at, what it costs who sends hostile ones.

Real models look at a few pictures of the labelled set; `make bench-moderation` looks at all of them.
"""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from flask import Flask
from PIL import Image, ImageDraw

from app import vision
from app.moderation.pictures import check_picture, codes, engines, frames, load, look_at, reading, rules_version
from app.moderation.pictures.cards import card_hits, is_identity_number, passes_luhn
from app.moderation.pictures.codes import CodeRulesError, read_rules, rule_for
from app.moderation.pictures.fingerprints import distance
from app.moderation.pictures.frames import FRAMES_LIMIT, PASSED_FRAMES_LIMIT, Undecodable, decode
from app.moderation.verdicts import Box, Category, Decision
from tasks import worker
from tests.conftest import MakeApp

FOLDER = Path(__file__).parent.parent / "data" / "moderation_pictures"
LIMIT = 51_000_000


def file_of(name: str) -> bytes:
    """A picture of the labelled set."""
    [path] = (FOLDER / "pictures").glob(f"{name}.*")
    return path.read_bytes()


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def scene(width: int = 320, height: int = 240) -> Image.Image:
    """Neither blank nor text."""
    image = Image.new("RGB", (width, height), (200, 190, 170))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 4, height // 5, width * 3 // 4, height * 4 // 5), fill=(60, 90, 140))
    draw.rectangle((width // 3, height // 2, width // 2, height * 9 // 10), fill=(150, 40, 40))
    return image


# What is seen


def test_the_set_is_large_enough_and_a_third_of_it_is_held_out() -> None:
    rows = [json.loads(line) for line in (FOLDER / "labels.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) >= 120
    assert {row["file"] for row in rows} == {path.name for path in (FOLDER / "pictures").iterdir()}
    assert 0.3 <= sum(row["held_out"] for row in rows) / len(rows) <= 0.4
    assert 0.4 <= sum(row["label"] == "violation" for row in rows) / len(rows) <= 0.6


def test_text_and_codes_are_seen_and_said_where(context: Flask) -> None:
    """At an angle, standing, small on a photograph, in a later frame of an animation."""
    for name, decision, category in (
        ("wechat-v", Decision.REJECT, Category.CONTACT),
        ("phone-180", Decision.REJECT, Category.CONTACT),
        ("wechat-standing", Decision.REJECT, Category.CONTACT),
        ("animation", Decision.REJECT, Category.CONTACT),
        ("qr-small", Decision.REJECT, Category.CONTACT),
        ("qr-inverted", Decision.REJECT, Category.CONTACT),
        ("qr-shop", Decision.REVIEW, Category.CONTACT),
        ("identity-1", Decision.REVIEW, Category.PERSONAL_DATA),
        ("bank-1", Decision.REVIEW, Category.PERSONAL_DATA),
    ):
        data = file_of(name)
        judgement = check_picture(data)
        assert (judgement.decision, {hit.category for hit in judgement.hits}) == (decision, {category}), name
        width, height = Image.open(io.BytesIO(data)).size
        boxes = [hit.box for hit in judgement.hits if hit.box is not None]
        assert boxes or category is Category.PERSONAL_DATA, name
        for box in boxes:
            assert 0 <= box.left < box.left + box.width <= width * 1.02, name
            assert 0 <= box.top < box.top + box.height <= height * 1.02, name


def test_what_sellers_show_passes(context: Flask) -> None:
    for name in ("photo-6", "brand-3", "ean-turned", "serial-qr", "energy-label", "rug", "weave-coarse"):
        assert check_picture(file_of(name)).hits == (), name


def test_a_box_is_in_pixels_of_the_upright_picture(context: Flask) -> None:
    """As people see it: turned by its EXIF, whatever size it was looked at in."""
    drawn = np.array(
        zxingcpp.create_barcode("tel:13812345678", zxingcpp.BarcodeFormat.QRCode).to_image(
            scale=8, add_quiet_zones=True
        )
    )
    picture = scene(4000, 1500)
    picture.paste(Image.fromarray(drawn), (3000, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    [hit] = check_picture(saved(picture, "JPEG", exif=exif)).hits
    assert (hit.code, hit.policy) == ("contact.code", Decision.REJECT)
    assert hit.box is not None
    side, margin = drawn.shape[0], 4 * 8
    expected = Box(1500 - 200 - side + margin, 3000 + margin, side - 2 * margin, side - 2 * margin)
    for name in ("left", "top", "width", "height"):
        assert abs(getattr(hit.box, name) - getattr(expected, name)) <= 12, name


def test_a_code_that_cannot_be_read_is_looked_at_by_a_person(context: Flask) -> None:
    made = zxingcpp.create_barcode("https://u.wechat.com/EHlgqW0b6bQ", zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    picture = Image.fromarray(np.array(made.to_image(scale=14, add_quiet_zones=True))).convert("RGB")
    middle, part = picture.width // 2, picture.width // 5
    ImageDraw.Draw(picture).rectangle((middle - part, middle - part, middle + part, middle + part), fill=(200, 40, 40))
    hits = check_picture(saved(picture)).hits
    assert [(hit.code, hit.policy) for hit in hits] == [("contact.unreadable_code", Decision.REVIEW)]


def test_nudity_is_looked_at_by_a_person(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    class Certain:
        nsfw = 0.93

    monkeypatch.setattr(type(engines.nudity_classifier()), "classify", lambda *_: Certain())
    [hit] = check_picture(saved(scene())).hits
    assert (hit.code, hit.category, hit.policy) == ("pornography.nudity", Category.PORNOGRAPHY, Decision.REVIEW)
    assert hit.confidence == 0.93


def test_a_picture_full_of_text_costs_no_more_than_others(context: Flask) -> None:
    """The rest of it a person reads."""
    page = Image.new("RGB", (900, 1200), "white")
    draw = ImageDraw.Draw(page)
    for row in range(30):
        draw.text(
            (20, 12 + row * 39), f"{row} Sphinx of black quartz, judge my vow {row * 7}", fill="black", font_size=30
        )
    load()
    before = time.process_time()
    [hit] = check_picture(saved(page)).hits
    assert time.process_time() - before < 4, "0.9 s on a quiet machine"
    assert (hit.code, hit.policy) == ("quality.unread", Decision.REVIEW)


def test_pieces_of_a_long_screenshot_are_read(context: Flask) -> None:
    """At the scale of the whole they would be specks."""
    strip = Image.new("RGB", (600, 4200), (245, 245, 245))
    draw = ImageDraw.Draw(strip)
    draw.text((40, 300), "size 42 like new", fill="black", font_size=34)
    draw.text((40, 3800), "13812345678", fill="black", font_size=44)
    judgement = check_picture(saved(strip))
    assert judgement.decision is Decision.REJECT
    [box] = [hit.box for hit in judgement.hits if hit.category is Category.CONTACT]
    assert box is not None
    assert 3750 < box.top < 3850


def test_lines_that_belong_together_are_checked_together(monkeypatch: pytest.MonkeyPatch, context: Flask) -> None:
    """A person decides, because columns of a table look like that, too."""
    lines = (reading.Line("VX", 0.99, Box(10, 10, 50, 20)), reading.Line("abc12345", 0.99, Box(10, 40, 90, 20)))
    monkeypatch.setattr(
        "app.moderation.pictures.check.read_texts", lambda *_, **__: [reading.Reading(lines, complete=True)]
    )
    hits = check_picture(saved(scene())).hits
    assert {hit.policy for hit in hits} == {Decision.REVIEW}
    assert Box(10, 10, 90, 50) in [hit.box for hit in hits]


def test_what_was_read_with_doubt_rejects_nothing(monkeypatch: pytest.MonkeyPatch, context: Flask) -> None:
    lines = (reading.Line("13812345678", 0.79, Box(10, 10, 50, 20)),)
    monkeypatch.setattr(
        "app.moderation.pictures.check.read_texts", lambda *_, **__: [reading.Reading(lines, complete=True)]
    )
    [hit] = check_picture(saved(scene())).hits
    assert (hit.category, hit.policy) == (Category.CONTACT, Decision.REVIEW)
    assert hit.confidence <= 0.79


# What shows nothing


@pytest.mark.parametrize(
    ("image", "code", "policy"),
    [
        (Image.new("RGB", (1, 1), "red"), "quality.tiny", Decision.REJECT),
        (scene(99, 99), "quality.tiny", Decision.REJECT),
        (scene(3100, 100), "quality.strip", Decision.REJECT),
        (Image.new("RGB", (400, 300), "white"), "quality.blank", Decision.REJECT),
        (Image.new("RGBA", (400, 300), (0, 0, 0, 0)), "quality.blank", Decision.REJECT),
        (Image.new("L", (400, 300), 7), "quality.blank", Decision.REJECT),
        (Image.linear_gradient("L").resize((400, 300)), "quality.nearly_blank", Decision.REVIEW),
    ],
)
def test_pictures_that_show_nothing(context: Flask, image: Image.Image, code: str, policy: Decision) -> None:
    found = [(hit.code, hit.policy) for hit in check_picture(saved(image)).hits]
    assert found == [(code, policy)]


def test_what_is_seen_through_lies_on_white_or_where_that_shows_nothing_on_black() -> None:
    for colour, ground in (((0, 0, 0, 255), 255), ((255, 255, 255, 255), 0)):
        picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
        ImageDraw.Draw(picture).rectangle((50, 50, 150, 150), fill=colour)
        pixels = decode(saved(picture), pixels_limit=LIMIT).frames[0].pixels
        assert (pixels[0, 0].tolist(), pixels[100, 100].tolist()) == ([ground] * 3, list(colour[:3]))


# Where nobody can look


@pytest.mark.parametrize(("chosen", "decision"), [("review", Decision.REVIEW), ("pass", Decision.PASS)])
def test_without_the_extra_the_setting_decides(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, chosen: str, decision: Decision
) -> None:
    monkeypatch.setattr(vision, "is_installed", lambda: False)
    with make_app(PICTURES_UNSEEN=chosen).app_context():
        unseen = check_picture(saved(scene()))
        assert unseen.decision is decision
        assert unseen.rules_version.endswith(f"/unseen-{chosen}"), "it is judged anew once somebody can look"
        assert check_picture(saved(Image.new("RGB", (400, 300)))).decision is Decision.REJECT
        assert look_at(saved(scene())).fingerprint is not None


# Hostile files


def scans(count: int) -> bytes:
    """A progressive JPEG that repeats its last scan."""
    data = saved(scene(2000, 2000), "JPEG", progressive=True, quality=10)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"",
        lambda: b"GIF89a",
        lambda: b"\xff\xd8\xff" + b"\x00" * 100,
        lambda: saved(scene())[:-600],
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        lambda: scans(120),
        lambda: saved(Image.new("1", (9000, 9000))),
    ],
)
def test_what_cannot_be_decoded_within_limits_is_refused_at_once(context: Flask, make: Callable[[], bytes]) -> None:
    data = make()
    rules_version()  # loads the rules, once in a process
    before = time.process_time()
    [hit] = check_picture(data).hits
    assert (hit.code, hit.policy) == ("quality.undecodable", Decision.REJECT)
    assert time.process_time() - before < 2


def test_of_an_animation_those_frames_are_looked_at_that_differ() -> None:
    """One that flashes up among many is, one that stands still is once; of what never ends only the beginning."""
    still = [Image.new("RGB", (60, 60), (90, 90, number % 8)) for number in range(23)]
    flash = still[0].copy()
    ImageDraw.Draw(flash).rectangle((30, 30, 40, 40), fill="white")
    data = saved(still[0], "GIF", save_all=True, append_images=[*still[1:17], flash, *still[17:]], duration=90)
    assert [frame.number for frame in decode(data, pixels_limit=LIMIT).frames] == [0, 17]
    shots = [Image.new("RGB", (60, 60), (number * 37 % 256, number * 101 % 256, 80)) for number in range(250)]
    data = saved(shots[0], "GIF", save_all=True, append_images=shots[1:])
    numbers = [frame.number for frame in decode(data, pixels_limit=LIMIT).frames]
    assert len(numbers) == FRAMES_LIMIT == 20
    assert numbers == sorted(numbers)
    assert max(numbers) < PASSED_FRAMES_LIMIT == 200
    assert len(decode(saved(shots[0], "GIF"), pixels_limit=LIMIT).frames) == 1


def test_what_one_frame_of_an_animation_shows_is_found(context: Flask) -> None:
    """Of 20 that all differ; and a line that stands in many of them is read once."""
    made = zxingcpp.create_barcode("https://u.wechat.com/EHlgqW0b6bQ", zxingcpp.BarcodeFormat.QRCode)
    code = Image.fromarray(np.array(made.to_image(scale=3, add_quiet_zones=True)))
    shots = []
    for number in range(20):
        shot = Image.new("RGB", (480, 360), (200, 190, 170))
        draw = ImageDraw.Draw(shot)
        draw.ellipse((number * 15, 80, number * 15 + 110, 190), fill=(60 + number * 5, 90, 140))
        draw.text((150, 20), "New Balance 574", fill="black", font_size=28)
        shots.append(shot)
    shots[13].paste(code, (330, 230))
    ImageDraw.Draw(shots[17]).text((40, 260), "13812345678", fill="black", font_size=26)
    data = saved(shots[0], "WEBP", save_all=True, append_images=shots[1:], duration=90, lossless=True)
    assert [frame.number for frame in decode(data, pixels_limit=LIMIT).frames] == list(range(20))
    hits = {hit.code: hit for hit in check_picture(data).hits}
    assert list(hits) == ["contact.code", "contact.phone"]
    assert [hit.policy for hit in hits.values()] == [Decision.REJECT] * 2
    box = hits["contact.phone"].box
    assert box is not None
    assert 30 < box.left < 50
    assert 250 < box.top < 275


def test_frames_of_large_animations_are_counted_by_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "_MOST_ANIMATED_PIXELS", 3 * 60 * 60)
    shots = [Image.new("RGB", (60, 60), (number * 20, 0, 80)) for number in range(9)]
    data = saved(shots[0], "GIF", save_all=True, append_images=shots[1:])
    assert [frame.number for frame in decode(data, pixels_limit=LIMIT).frames] == [0, 1, 2]


def test_frames_that_nobody_looked_at_wait_for_a_person(monkeypatch: pytest.MonkeyPatch, context: Flask) -> None:
    """What breaks the rules may stand behind the last one that is compared."""
    monkeypatch.setattr(frames, "_MOST_ANIMATED_PIXELS", 2 * 480 * 360)
    shots = [scene(), scene().transpose(Image.Transpose.FLIP_LEFT_RIGHT), scene()]
    for count, found in ((2, []), (3, [("quality.unseen_frames", Decision.REVIEW)])):
        data = saved(
            shots[0].resize((480, 360)),
            "GIF",
            save_all=True,
            append_images=[shot.resize((480, 360)) for shot in shots[1:count]],
        )
        assert [(hit.code, hit.policy) for hit in check_picture(data).hits] == found


def test_of_a_jpeg_with_more_pictures_in_it_the_first_is_looked_at() -> None:
    """Phones put a map of brightness behind the photograph, or a smaller copy: nothing shows them."""
    photograph = Image.linear_gradient("L").resize((4000, 3000)).convert("RGB")
    data = saved(photograph, "MPO", save_all=True, append_images=[photograph.resize((1000, 750)).convert("L")])
    looks = decode(data, pixels_limit=LIMIT)
    assert (looks.width, looks.height, [frame.number for frame in looks.frames]) == (4000, 3000, [0])


def test_a_decoder_that_raises_anything_refuses_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("of a decoder")

    monkeypatch.setattr(frames.Image, "open", fail)
    with pytest.raises(Undecodable):
        decode(saved(scene()), pixels_limit=LIMIT)


# Codes


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("https://u.wechat.com/abc", Decision.REJECT),
        ("HTTPS://U.WECHAT.COM/abc", Decision.REJECT),
        ("http://weixin.qq.com/r/x", Decision.REJECT),
        ("wxp://f2f0abc", Decision.REJECT),
        ("https://a.t.me/x", Decision.REJECT),
        ("https://evil-t.me/x", Decision.REVIEW),
        ("https://t.me.example.cn/x", Decision.REVIEW),
        ("https://energylabel.com.cn@t.me/x", Decision.REJECT),
        ("https://www.energylabel.com.cn/qr/1", Decision.PASS),
        ("http://energylabel.com.cn.example.cn", Decision.REVIEW),
        ("https://www.xiaohongshu.com/user/profile/1", Decision.REJECT),
        ("https://www.xiaohongshu.com/explore/1", Decision.REVIEW),
        ("www.example.cn/a", Decision.REVIEW),
        ("example.cn/a", Decision.REVIEW),
        ("tel:13812345678", Decision.REJECT),
        ("BEGIN:VCARD\nTEL:1", Decision.REJECT),
        (" mecard:N:x;", Decision.REJECT),
        ("SN:20260315A0071", None),
        ("6901028075763", None),
    ],
)
def test_where_codes_lead(text: str, policy: Decision | None) -> None:
    rule = rule_for(text)
    assert (None if rule is None else rule.policy) == policy


def test_a_line_that_is_no_rule_is_named(tmp_path: Path) -> None:
    path = tmp_path / "codes.txt"
    for line in ("forbid //t.me Telegram", "reject //t.me"):
        path.write_text(f"# comment\n\n{line}\n", "utf-8")
        with pytest.raises(CodeRulesError, match=":3:"):
            list(read_rules(path))
    assert len(codes.rules()) == len(set(codes.rules())) > 50


def test_the_number_of_a_product_is_no_contact(context: Flask) -> None:
    retail = codes.Code("13812345678", True, Box(0, 0, 9, 9))
    assert list(codes.code_hits([retail], context=None)) == []  # type: ignore[arg-type] # it is not asked


# Cards


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("公民身份号码 110101199003071233", ["personal_data.document"]),
        ("11010119900307123 3", ["personal_data.identity_number"]),
        ("110101 19900307 1233", ["personal_data.identity_number"]),
        ("110101199003071234", []),  # the check digit is wrong
        ("110101199013071233", []),  # no such month
        ("1101011990030712331", []),  # a longer number
        ("6222 0212 3456 7894", ["personal_data.bank_card"]),
        ("招商银行\n6222021234567894", ["personal_data.bank_card"]),
        ("6222021234567894", []),  # one in ten numbers of parcels passes
        ("6222 0212 3456 7895", []),
        ("订单号 4111111111111111", []),
        ("VISA 4111111111111111", ["personal_data.bank_card"]),
        ("中华人民共和国机动车驾驶证", ["personal_data.document"]),
        ("护照夹 真皮", []),
        ("POCHNLI<<LEI<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<<\nE123456784CHN9003078M30030", ["personal_data.document"]),
        ("<<< SALE >>> 50<<100", []),
    ],
)
def test_cards(text: str, found: list[str]) -> None:
    hits = list(card_hits(text))
    assert [hit.code for hit in hits] == found
    assert {hit.policy for hit in hits} <= {Decision.REVIEW}


def test_check_digits() -> None:
    assert [last for last in "0123456789X" if is_identity_number("44010619851212001" + last)] == ["7"]
    assert [last for last in "0123456789" if passes_luhn("622202123456789" + last)] == ["4"]
    assert not is_identity_number("110101189003071230"[:17] + "0")


# Fingerprints


def test_what_looks_alike_has_fingerprints_that_are_near(context: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "is_installed", lambda: False)
    pictures = [Image.open(io.BytesIO(file_of(name))).convert("RGB") for name in ("photo-0", "photo-1", "product-0")]
    prints = [look_at(saved(picture)).fingerprint for picture in pictures]
    assert all(each is not None and -(1 << 63) <= each < 1 << 63 for each in prints)
    for picture, own in zip(pictures, prints, strict=True):
        for other in (
            saved(picture, "JPEG", quality=60),
            saved(picture.resize((picture.width // 2, picture.height // 2)), "WEBP", quality=80),
            saved(picture.point(lambda level: min(level + 12, 255))),
        ):
            seen = look_at(other).fingerprint
            assert own is not None
            assert seen is not None
            assert distance(own, seen) <= 3
    for one, other_print in ((0, 1), (0, 2), (1, 2)):
        assert distance(prints[one] or 0, prints[other_print] or 0) > 12
    assert look_at(saved(Image.new("RGB", (400, 300)))).fingerprint is None


@pytest.mark.parametrize("angle", [30, 120, 150])
def test_bars_are_read_at_any_angle(angle: int) -> None:
    """And stand where they are said to stand, though another view was read."""
    drawn = np.array(zxingcpp.create_barcode("WX:abc_8888", zxingcpp.BarcodeFormat.Code128).to_image(scale=3))
    bars = Image.fromarray(drawn).convert("RGB").rotate(angle, expand=True, fillcolor="white")
    picture = Image.new("RGB", (1200, 900), "white")
    picture.paste(bars, (500, 200))
    [code] = codes.read_codes(frames.Frame(0, np.asarray(picture), 2.0))
    assert code.text == "WX:abc_8888"
    assert abs(code.box.left + code.box.width / 2 - (1000 + bars.width)) < 40
    assert abs(code.box.top + code.box.height / 2 - (400 + bars.height)) < 40


def test_what_makers_and_the_app_print_on_pictures_rejects_nothing(
    monkeypatch: pytest.MonkeyPatch, context: Flask
) -> None:
    """But a number of the seller's, beside it, does."""
    picture = saved(scene())
    for texts, decision in (
        (["客服热线", "400-830-8300"], Decision.PASS),
        (["400-830-8300", "13812345678"], Decision.REJECT),
        (["闲鱼@小王的店"], Decision.PASS),
        (["@小王的店"], Decision.REVIEW),
        (["美的集团", "www.midea.com"], Decision.REVIEW),
    ):
        lines = tuple(reading.Line(text, 0.99, Box(10, 30 * row, 90, 20)) for row, text in enumerate(texts))
        read = reading.Reading(lines, complete=True)
        monkeypatch.setattr("app.moderation.pictures.check.read_texts", lambda *_, read=read, **__: [read])
        assert check_picture(picture).decision is decision, texts


def test_words_on_an_empty_ground_are_something(monkeypatch: pytest.MonkeyPatch, context: Flask) -> None:
    plain = saved(Image.linear_gradient("L").resize((400, 300)))
    for score, found in ((0.99, []), (0.6, ["quality.nearly_blank"])):
        read = reading.Reading((reading.Line("全新 未拆封", score, Box(10, 30, 90, 20)),), complete=True)
        monkeypatch.setattr("app.moderation.pictures.check.read_texts", lambda *_, read=read, **__: [read])
        assert [hit.code for hit in check_picture(plain).hits] == found


def test_much_text_is_read_narrower_and_too_much_in_part() -> None:
    """Lines that are 200 pixels long at 48 high: all fit, all fit narrower, they do not fit; keys do not count."""
    limit = reading.READ_WIDTH_LIMIT
    tightness = reading._tightness
    assert tightness([200.0] * 10, limit) == (1, True)
    narrower, everything = tightness([200.0] * 18, limit)
    assert (0.65 < narrower < 1, everything) == (True, True)
    assert tightness([200.0] * 40, limit) == (0.65, False)
    assert tightness([40.0] * 200, limit) == (1, True)


def test_a_worker_without_the_extra_says_what_becomes_of_pictures(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs all the same: somebody has to give the verdict that the setting asks for."""
    monkeypatch.setattr(worker, "is_installed", lambda: False)
    monkeypatch.setattr(engines, "text_reader", pytest.fail)
    with make_app().app_context():
        worker.load_models()
    assert '"pictures":"review"' in "".join(capsys.readouterr())
