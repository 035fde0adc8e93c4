"""Draws the labelled set of pictures: `python tests/data/moderation_pictures/draw.py` writes `pictures/` anew.

The pictures are committed, because the fonts are not everywhere: Debian's fonts-noto-cjk, fonts-wqy-zenhei,
fonts-arphic-ukai and fonts-dejavu. Drawing again gives the same pictures from the same fonts and Pillow.

`labels.jsonl` has a line for each: its file, what should become of it (`violation` or `harmless`), its category, and
whether it is `held_out`: a third, by the hash of its name, that is never used for tuning.
"""

import hashlib
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

FOLDER = Path(__file__).with_name("pictures")
LABELS = Path(__file__).with_name("labels.jsonl")

FONTS = {
    "sans": ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", 2),
    "bold": ("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc", 2),
    "serif": ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc", 2),
    "hei": ("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc", 0),
    "kai": ("/usr/share/fonts/truetype/arphic/ukai.ttc", 0),
    "latin": ("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf", 0),
    "mono": ("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", 0),
}
Rng = random.Random


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path, index = FONTS[name]
    return ImageFont.truetype(path, size, index=index)


# Grounds


def photo(rng: Rng, width: int = 900, height: int = 700) -> Image.Image:
    """Like a photograph: soft light, a table's edge, a few things with shadows, grain."""
    dots = np.random.default_rng(rng.randrange(2**32)).integers(70, 220, (6, 8, 3)).astype(np.uint8)
    image = Image.fromarray(dots).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    table = [rng.randrange(90, 190) for _ in range(3)]
    draw.rectangle((0, round(height * 0.72), width, height), fill=tuple(table))
    for _ in range(rng.randrange(3, 6)):
        x, y, size = rng.randrange(width), rng.randrange(height // 3, height), rng.randrange(80, 260)
        colour = tuple(rng.randrange(20, 240) for _ in range(3))
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x - size // 2 + 9, y - size // 2 + 12, x + size // 2 + 9, y + size // 2 + 12), fill=(60, 55, 50))
        shape((x - size // 2, y - size // 2, x + size // 2, y + size // 2), fill=colour)
    image = image.filter(ImageFilter.GaussianBlur(1.6))
    grain = np.random.default_rng(rng.randrange(2**32)).normal(0, 5, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def plain(colour: tuple[int, int, int], width: int = 800, height: int = 800) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def product(rng: Rng, *, width: int = 800, height: int = 800) -> Image.Image:
    """A thing on a light ground, as shops show it."""
    image = plain((246, 246, 244), width, height)
    draw = ImageDraw.Draw(image)
    body = tuple(rng.randrange(30, 210) for _ in range(3))
    left, top, right, bottom = 0.2 * width, 0.2 * height, 0.8 * width, 0.82 * height
    draw.ellipse((left, bottom - 40, right, bottom + 40), fill=(210, 210, 208))
    draw.rounded_rectangle((left, top, right, bottom), rng.randrange(10, 90), fill=body)
    lighter = tuple(min(level + 40, 255) for level in body)
    draw.rounded_rectangle((left + 40, top + 40, right - 40, (top + bottom) / 2), 20, fill=lighter)
    for place in range(rng.randrange(2, 5)):
        x = left + 70 + place * 110
        draw.ellipse((x, bottom - 120, x + 60, bottom - 60), fill=lighter)
    return image.filter(ImageFilter.GaussianBlur(0.8))


# What is written on them


@dataclass(frozen=True)
class Ink:
    face: str = "sans"
    size: int = 48
    colour: tuple[int, int, int] = (20, 20, 20)
    edge: tuple[int, int, int] | None = None
    alpha: int = 255
    angle: float = 0


def write(image: Image.Image, text: str, at: tuple[float, float], ink: Ink) -> Image.Image:
    """The text around a point, given as parts of width and height; lines by \\n."""
    side = 2 * max(image.size)
    layer = Image.new("RGBA", (side, side), (*ink.colour, 0))
    draw = ImageDraw.Draw(layer)
    place = (side / 2, side / 2)
    draw.multiline_text(
        place,
        text,
        font=font(ink.face, ink.size),
        fill=(*ink.colour, ink.alpha),
        anchor="mm",
        align="center",
        spacing=ink.size // 3,
        stroke_width=max(ink.size // 16, 1) if ink.edge else 0,
        stroke_fill=(*ink.edge, ink.alpha) if ink.edge else None,
    )
    layer = layer.rotate(ink.angle, resample=Image.Resampling.BICUBIC, center=place)
    left, top = round(side / 2 - image.width * at[0]), round(side / 2 - image.height * at[1])
    whole = image.convert("RGBA")
    whole.alpha_composite(layer.crop((left, top, left + image.width, top + image.height)))
    return whole.convert("RGB")


def standing(text: str) -> str:
    return "\n".join(text)


def code(text: str, kind: str, scale: int = 6) -> Image.Image:
    # With a logo in them, codes are made at the highest level of correction; we make all so that may be.
    options = {"ec_level": "H"} if kind == "QRCode" else {}
    made = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind), **options)
    pixels = np.array(made.to_image(scale=scale, add_quiet_zones=True))
    return Image.fromarray(pixels).convert("L")


def put_code(
    image: Image.Image,
    text: str,
    *,
    kind: str = "QRCode",
    part: float = 0.3,
    at: tuple[float, float] = (0.5, 0.5),
    angle: float = 0,
    dark: tuple[int, int, int] = (10, 10, 10),
    light: tuple[int, int, int] = (250, 250, 250),
    tilt: float = 0,
) -> Image.Image:
    """A code as wide as `part` of the picture, around a point; `tilt` shows it from the side."""
    drawn = code(text, kind)
    width = round(image.width * part)
    drawn = drawn.resize((width, round(drawn.height * width / drawn.width)), Image.Resampling.LANCZOS)
    levels = np.asarray(drawn, dtype=float)[:, :, None] / 255
    coloured = Image.fromarray((np.array(dark) + (np.array(light) - np.array(dark)) * levels).astype(np.uint8))
    stamp = coloured.convert("RGBA")
    if tilt:
        across, down = stamp.size
        sunk = tilt * down
        matrix = _perspective(
            [(0, 0), (across, sunk), (across, down - sunk), (0, down)], [(0, 0), (across, 0), (across, down), (0, down)]
        )
        stamp = stamp.transform(stamp.size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC)
    stamp = stamp.rotate(angle, expand=True, resample=Image.Resampling.BICUBIC)
    whole = image.convert("RGBA")
    spot = (round(image.width * at[0] - stamp.width / 2), round(image.height * at[1] - stamp.height / 2))
    whole.alpha_composite(stamp, (max(spot[0], 0), max(spot[1], 0)))
    return whole.convert("RGB")


def _perspective(target: list[tuple[float, float]], source: list[tuple[float, float]]) -> list[float]:
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return [float(each) for each in np.linalg.solve(np.array(rows, float), np.array(source, float).reshape(8))]


def slanted(image: Image.Image, sink: float) -> Image.Image:
    """As seen from the side."""
    width, height = image.size
    target = [(0.0, 0.0), (width, sink * height), (width, height - sink * height), (0.0, height)]
    source = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
    matrix = _perspective(target, source)
    return image.transform(image.size, Image.Transform.PERSPECTIVE, matrix, Image.Resampling.BICUBIC)


def tiled(image: Image.Image, text: str, ink: Ink) -> Image.Image:
    """As a watermark, again and again."""
    for down in (0.15, 0.5, 0.85):
        for across in (0.25, 0.75):
            image = write(image, text, (across, down), ink)
    return image


def identity_card(name: str, number: str, rng: Rng) -> Image.Image:
    image = plain((226, 236, 240), 860, 540)
    draw = ImageDraw.Draw(image)
    for row in range(0, 540, 14):
        draw.line((0, row, 860, row + 60), fill=(206, 222, 230), width=2)
    draw.rounded_rectangle((600, 90, 800, 360), 12, fill=(190, 205, 215))
    draw.ellipse((650, 120, 750, 240), fill=(222, 190, 165))
    draw.pieslice((620, 240, 780, 420), 180, 360, fill=(60, 70, 90))
    for row, (label, value) in enumerate(
        (("姓名", name), ("性别", "男   民族 汉"), ("出生", "1990 年 3 月 7 日"), ("住址", "北京市东城区景山前街 4 号"))
    ):
        draw.text((60, 80 + row * 75), label, font=font("sans", 26), fill=(40, 90, 150))
        draw.text((140, 78 + row * 75), value, font=font("sans", 30), fill=(20, 20, 20))
    draw.text((60, 440), "公民身份号码", font=font("sans", 26), fill=(40, 90, 150))
    draw.text((280, 436), number, font=font("mono", 36), fill=(20, 20, 20))
    ground = photo(rng, 1100, 800)
    ground.paste(image.rotate(rng.uniform(-8, 8), expand=True, fillcolor=(120, 110, 100)), (90, 90))
    return ground


def bank_card(number: str, rng: Rng, *, words: str = "中国某某银行  借记卡") -> Image.Image:
    image = plain((30, 80, 140), 860, 540)
    draw = ImageDraw.Draw(image)
    draw.ellipse((500, -200, 1000, 400), fill=(45, 100, 165))
    draw.text((60, 50), words, font=font("bold", 40), fill=(250, 250, 250))
    draw.rounded_rectangle((70, 180, 190, 270), 12, fill=(215, 190, 120))
    draw.text((60, 310), number, font=font("mono", 54), fill=(240, 240, 235))
    draw.text((560, 440), "银联 UnionPay", font=font("bold", 34), fill=(250, 250, 250))
    ground = photo(rng, 1100, 800)
    ground.paste(image.rotate(rng.uniform(-6, 6), expand=True, fillcolor=(90, 90, 90)), (100, 100))
    return ground


def weave(rng: Rng, cell: int) -> Image.Image:
    """Black and white squares at random: like a code, and none."""
    cells = np.random.default_rng(rng.randrange(2**32)).integers(0, 2, (800 // cell, 800 // cell)) * 255
    return Image.fromarray(cells.astype(np.uint8)).resize((800, 800), Image.Resampling.NEAREST).convert("RGB")


def chessboard(cell: int) -> Image.Image:
    cells = np.indices((800 // cell, 800 // cell)).sum(axis=0) % 2 * 220 + 20
    return Image.fromarray(cells.astype(np.uint8)).resize((800, 800), Image.Resampling.NEAREST).convert("RGB")


def stripes(rng: Rng) -> Image.Image:
    image = plain((250, 250, 250))
    draw = ImageDraw.Draw(image)
    x = 40
    while x < 760:
        width = rng.choice((4, 8, 12, 16, 24))
        draw.rectangle((x, 60, x + width, 740), fill=(15, 15, 15))
        x += width + rng.choice((4, 8, 12, 16, 24))
    return image


def squares_in_squares() -> Image.Image:
    """Three rings in the corners, as a code has them, on a rug."""
    image = plain((232, 220, 200))
    draw = ImageDraw.Draw(image)
    for x, y in ((90, 90), (530, 90), (90, 530), (530, 530)):
        draw.rectangle((x, y, x + 180, y + 180), fill=(120, 30, 30))
        draw.rectangle((x + 30, y + 30, x + 150, y + 150), fill=(232, 220, 200))
        draw.rectangle((x + 60, y + 60, x + 120, y + 120), fill=(120, 30, 30))
    for step in range(0, 800, 40):
        draw.line((step, 380, step + 20, 420), fill=(120, 30, 30), width=6)
    return image


# The set

DARK, WHITE, RED, BLUE, YELLOW = (20, 20, 20), (255, 255, 255), (200, 30, 30), (30, 60, 170), (250, 220, 40)
SHINE = Ink("bold", 54, WHITE, (0, 0, 0))


def texts() -> dict[str, tuple[str, Callable[[Rng], Image.Image]]]:
    """Contacts and forbidden goods, written in all the ways."""
    on_photo = photo
    return {
        "phone-level": ("contact", lambda r: write(on_photo(r), "联系电话 13812345678", (0.5, 0.5), SHINE)),
        "phone-15": (
            "contact",
            lambda r: write(on_photo(r), "有意打 15987654321", (0.5, 0.5), Ink("bold", 48, WHITE, DARK, angle=15)),
        ),
        "phone-45": (
            "contact",
            lambda r: write(on_photo(r), "电话18600001234", (0.5, 0.5), Ink("bold", 46, YELLOW, DARK, angle=45)),
        ),
        "phone-90": (
            "contact",
            lambda r: write(product(r), "13712340987", (0.9, 0.5), Ink("latin", 40, RED, angle=90)),
        ),
        "phone-180": (
            "contact",
            lambda r: write(product(r), "手机 13912348765", (0.5, 0.1), Ink("sans", 44, DARK, angle=180)),
        ),
        "phone-270": (
            "contact",
            lambda r: write(on_photo(r), "电话:17712349876", (0.12, 0.5), Ink("hei", 44, WHITE, DARK, angle=270)),
        ),
        "phone-minus-30": (
            "contact",
            lambda r: write(on_photo(r), "TEL 13600123456", (0.5, 0.5), Ink("latin", 40, WHITE, DARK, angle=-30)),
        ),
        "phone-spaced": (
            "contact",
            lambda r: write(product(r), "1 3 8 0 0 1 3 8 0 0 0", (0.5, 0.92), Ink("mono", 40, BLUE)),
        ),
        "phone-dashes": ("contact", lambda r: write(product(r), "138-0013-8000", (0.5, 0.1), Ink("mono", 54, DARK))),
        "phone-small": (
            "contact",
            lambda r: write(
                on_photo(r, 1200, 900), "手机号 15012345678 同微信", (0.75, 0.95), Ink("sans", 24, WHITE, DARK)
            ),
        ),
        "phone-huge": (
            "contact",
            lambda r: write(plain((255, 210, 0)), "138\n1234\n5678", (0.5, 0.5), Ink("latin", 190, RED)),
        ),
        "phone-chinese": (
            "contact",
            lambda r: write(product(r), "电话一三八零零一三八零零零", (0.5, 0.93), Ink("sans", 40, DARK)),
        ),
        "phone-faint": (
            "contact",
            lambda r: write(product(r), "13812349999", (0.5, 0.12), Ink("latin", 60, (196, 196, 194))),
        ),
        "phone-slanted": (
            "contact",
            lambda r: slanted(write(on_photo(r), "电话 13511112222", (0.5, 0.5), SHINE), 0.18),
        ),
        "landline": ("contact", lambda r: write(product(r), "座机 010-62345678", (0.5, 0.1), Ink("sans", 48, DARK))),
        "wechat-level": ("contact", lambda r: write(on_photo(r), "加微信 abc_8888", (0.5, 0.5), SHINE)),
        "wechat-vx": ("contact", lambda r: write(product(r), "VX:taobei2026", (0.5, 0.92), Ink("latin", 46, DARK))),
        "wechat-v": (
            "contact",
            lambda r: write(on_photo(r), "+V 13700137000", (0.5, 0.3), Ink("bold", 56, YELLOW, DARK, angle=8)),
        ),
        "wechat-kai": ("contact", lambda r: write(product(r), "微信号:xiaowang520", (0.5, 0.1), Ink("kai", 50, BLUE))),
        "wechat-homophone": (
            "contact",
            lambda r: write(on_photo(r), "加薇信 qwe12345", (0.5, 0.6), Ink("serif", 52, WHITE, DARK)),
        ),
        "wechat-standing": (
            "contact",
            lambda r: write(product(r), standing("加微信同号"), (0.08, 0.5), Ink("bold", 60, RED)),
        ),
        "wechat-watermark": (
            "contact",
            lambda r: tiled(on_photo(r, 1000, 800), "微信 shop6688", Ink("sans", 38, WHITE, DARK, 150, 25)),
        ),
        "wechat-three-lines": (
            "contact",
            lambda r: write(on_photo(r), "加我微信\n了解更多\nbaby9527", (0.5, 0.5), Ink("bold", 60, WHITE, DARK)),
        ),
        "wechat-noise": (
            "contact",
            lambda r: _crossed(write(on_photo(r), "加微信 kk77889", (0.5, 0.5), Ink("bold", 64, WHITE, DARK)), r),
        ),
        "qq-number": ("contact", lambda r: write(product(r), "QQ:123456789", (0.5, 0.1), Ink("latin", 50, BLUE))),
        "qq-group": (
            "contact",
            lambda r: write(on_photo(r), "进Q群 876543210 拿内部价", (0.5, 0.8), Ink("hei", 42, YELLOW, DARK)),
        ),
        "telegram": (
            "contact",
            lambda r: write(product(r), "telegram: @cheapgoods", (0.5, 0.92), Ink("latin", 40, DARK)),
        ),
        "link": ("contact", lambda r: write(product(r), "www.buyhere88.com", (0.5, 0.1), Ink("latin", 52, RED))),
        "brushing": (
            "fraud",
            lambda r: write(plain((255, 240, 240)), "刷单兼职\n日结三百", (0.5, 0.5), Ink("bold", 120, RED)),
        ),
        "seals": (
            "documents",
            lambda r: write(plain((240, 245, 255)), "代办证件\n刻章 学历", (0.5, 0.5), Ink("bold", 110, BLUE)),
        ),
        "counterfeit": ("counterfeit", lambda r: write(product(r), "高仿 1:1复刻", (0.5, 0.12), Ink("bold", 60, RED))),
        "cigarettes": (
            "tobacco",
            lambda r: write(on_photo(r), "电子烟 烟弹现货", (0.5, 0.4), Ink("bold", 70, WHITE, DARK, angle=-10)),
        ),
        "gambling": (
            "gambling",
            lambda r: write(plain((20, 90, 40)), "澳门赌场\n百家乐 上下分", (0.5, 0.5), Ink("bold", 96, YELLOW)),
        ),
        "gun": ("weapons", lambda r: write(on_photo(r), "气枪 铅弹 包邮", (0.5, 0.5), Ink("bold", 64, WHITE, DARK))),
        "loan": (
            "credit",
            lambda r: write(plain((255, 255, 255)), "信用卡套现\n秒到账", (0.5, 0.5), Ink("serif", 110, DARK)),
        ),
    }


def codes() -> dict[str, tuple[str, Callable[[Rng], Image.Image]]]:
    """Codes that lead away."""
    friend, group, pay = (
        "https://u.wechat.com/EHlgqW0b6bQzzzzBcEpR5w",
        "https://qm.qq.com/q/8hTuQZkzza",
        "wxp://f2f0q3zbN1cD",
    )
    return {
        "qr-level": ("contact", lambda r: put_code(plain((255, 255, 255)), friend, part=0.6)),
        "qr-photo": ("contact", lambda r: put_code(photo(r), friend, part=0.3, at=(0.7, 0.6))),
        "qr-small": ("contact", lambda r: put_code(photo(r, 1400, 1050), friend, part=0.09, at=(0.9, 0.9))),
        "qr-30": ("contact", lambda r: put_code(photo(r), group, part=0.3, angle=30)),
        "qr-45-small": ("contact", lambda r: put_code(photo(r, 1200, 900), group, part=0.14, angle=45, at=(0.2, 0.75))),
        "qr-180": ("contact", lambda r: put_code(product(r), pay, part=0.3, angle=180)),
        "qr-inverted": (
            "contact",
            lambda r: put_code(plain((10, 10, 10)), friend, part=0.5, dark=(245, 245, 245), light=(10, 10, 10)),
        ),
        "qr-coloured": (
            "contact",
            lambda r: put_code(photo(r), friend, part=0.35, dark=(20, 130, 60), light=(240, 250, 240)),
        ),
        "qr-faint": (
            "contact",
            lambda r: put_code(photo(r), friend, part=0.4, dark=(150, 150, 155), light=(205, 205, 200)),
        ),
        "qr-tilted": ("contact", lambda r: put_code(photo(r), group, part=0.4, tilt=0.12, angle=-8)),
        "qr-blurred": ("contact", lambda r: put_code(photo(r), group, part=0.4).filter(ImageFilter.GaussianBlur(2.2))),
        "qr-with-logo": ("contact", lambda r: _logo(put_code(plain((255, 255, 255)), friend, part=0.6))),
        "qr-phone": ("contact", lambda r: put_code(product(r), "tel:13812345678", part=0.25, at=(0.8, 0.85))),
        "qr-vcard": (
            "contact",
            lambda r: put_code(photo(r), "BEGIN:VCARD\nFN:Wang\nTEL:13900001111\nEND:VCARD", part=0.45),
        ),
        "qr-text": ("contact", lambda r: put_code(photo(r), "加微信abc_8888", part=0.3)),
        "qr-shop": (
            "contact",
            lambda r: put_code(product(r), "https://shop.example-fish.cn/i/88321", part=0.3, at=(0.8, 0.2)),
        ),
        "datamatrix": (
            "contact",
            lambda r: put_code(photo(r), "https://t.me/cheapgoods", kind="DataMatrix", part=0.25),
        ),
        "aztec": (
            "contact",
            lambda r: put_code(photo(r), "https://wa.me/8613812345678", kind="Aztec", part=0.3, angle=20),
        ),
        "pdf417": (
            "contact",
            lambda r: put_code(product(r), "https://weidian.com/?userid=88321", kind="PDF417", part=0.6, at=(0.5, 0.9)),
        ),
        "code128": ("contact", lambda r: put_code(product(r), "WX:abc_8888", kind="Code128", part=0.55, at=(0.5, 0.9))),
    }


def cards() -> dict[str, tuple[str, Callable[[Rng], Image.Image]]]:
    return {
        "identity-1": ("personal_data", lambda r: identity_card("王小明", "110101199003071233", r)),
        "identity-2": ("personal_data", lambda r: identity_card("李雷", "440106198512120017", r)),
        "bank-1": ("personal_data", lambda r: bank_card("6222 0212 3456 7894", r)),
        "bank-2": ("personal_data", lambda r: bank_card("4111 1111 1111 1111", r, words="信用卡 VISA")),
    }


def surfaces() -> dict[str, tuple[str, Callable[[Rng], Image.Image]]]:
    return {
        "blank-white": ("quality", lambda r: plain(WHITE)),
        "blank-black": ("quality", lambda r: plain((0, 0, 0))),
        "blank-noise": ("quality", lambda r: _grain(plain((128, 140, 150)), r, 4)),
        "one-pixel": ("quality", lambda r: plain(RED, 1, 1)),
        "tiny": ("quality", lambda r: photo(r).resize((40, 30))),
        "blank-slope": ("quality", lambda r: Image.linear_gradient("L").resize((800, 800)).convert("RGB")),
    }


def harmless() -> dict[str, tuple[str, Callable[[Rng], Image.Image]]]:
    """What sellers really show: things, their names and numbers, codes of retail, patterns."""
    found: dict[str, tuple[str, Callable[[Rng], Image.Image]]] = {}
    for number in range(8):
        found[f"photo-{number}"] = ("", lambda r: photo(r, r.randrange(600, 1400), r.randrange(500, 1100)))
    for number in range(6):
        found[f"product-{number}"] = ("", lambda r: product(r))
    brands = (
        "HUAWEI Mate 60 Pro", "iPhone 15 Pro Max 256GB", "小米 Redmi K70", "SONY α7 IV", "MUJI 無印良品", "飞利浦电动牙刷头",
        "Canon EF 18-55mm", "NIKE AIR MAX 270", "乐高 LEGO 42115", "戴森 V12 吸尘器", "雅马哈 YAMAHA F310", "海尔冰箱 BCD-216",
    )  # fmt: skip
    for number, brand in enumerate(brands):
        ink = Ink(
            ("bold", "sans", "serif", "hei")[number % 4], 44, WHITE, DARK, angle=(0, 7, -12, 90, 0, 30)[number % 6]
        )
        ground = photo if number % 2 else product
        found[f"brand-{number}"] = ("", lambda r, b=brand, i=ink, g=ground: write(g(r), b, (0.5, 0.45), i))
    words = (
        "全新未拆封\n支持验货", "九成新 无磕碰\n功能正常", "尺寸 1800*2000*220mm\n实木床架", "型号:KFR-35GW\n功率 1.5匹",
        "净含量 500ml\n保质期 36 个月", "¥ 1299.00\n原价 2599", "生产日期 2026/03/15\n批号 20260315A", "2024-2025 学年\n高等数学 第七版",
        "128 256 512\n75 100 150", "SN: C02XG0FDJGH5", "尺码 165/88A M\n100% 棉", "满199减20\n新人专享", "输入 100-240V~50/60Hz\n输出 5V=3A",
        "ISBN 978-7-04-060000-5", "解决大麻烦的小工具", "彩色印刷单页", "客服热线 400-830-8300", "微信读书 定制周边",
    )  # fmt: skip
    for number, text in enumerate(words):
        ink = Ink(
            ("sans", "hei", "serif", "kai")[number % 4],
            46,
            DARK if number % 3 else BLUE,
            angle=(0, 0, 5, -4)[number % 4],
        )
        found[f"words-{number}"] = ("", lambda r, t=text, i=ink: write(plain((250, 248, 240)), t, (0.5, 0.5), i))
    found |= {
        "ean": ("", lambda r: put_code(product(r), "6901028075763", kind="EAN13", part=0.4, at=(0.5, 0.88))),
        "ean-turned": ("", lambda r: put_code(photo(r), "6920152414019", kind="EAN13", part=0.3, angle=90)),
        "isbn": ("", lambda r: put_code(product(r), "9787111213826", kind="EAN13", part=0.35, at=(0.7, 0.85))),
        "serial-code": ("", lambda r: put_code(product(r), "C02XG0FDJGH5", kind="Code128", part=0.5, at=(0.5, 0.9))),
        "serial-qr": ("", lambda r: put_code(photo(r), "SN:20260315A0071", part=0.2)),
        "energy-label": ("", lambda r: put_code(product(r), "http://www.energylabel.com.cn/qr/2026A0071", part=0.2)),
        "weave-fine": ("", lambda r: weave(r, 16)),
        "weave-coarse": ("", lambda r: weave(r, 50)),
        "chessboard": ("", lambda r: chessboard(100)),
        "stripes": ("", stripes),
        "rug": ("", lambda r: squares_in_squares()),
    }  # fmt: skip
    return found


def _crossed(image: Image.Image, rng: Rng) -> Image.Image:
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        ends = [rng.randrange(image.width if place % 2 == 0 else image.height) for place in range(4)]
        draw.line(ends, fill=tuple(rng.randrange(256) for _ in range(3)), width=2)
    return image


def _logo(image: Image.Image) -> Image.Image:
    draw = ImageDraw.Draw(image)
    side = image.width * 0.055
    centre = image.width / 2
    draw.rounded_rectangle((centre - side, centre - side, centre + side, centre + side), 12, fill=(7, 193, 96))
    return image


def _grain(image: Image.Image, rng: Rng, strength: float) -> Image.Image:
    grain = np.random.default_rng(rng.randrange(2**32)).normal(0, strength, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def animation(rng: Rng) -> list[Image.Image]:
    """Harmless at first sight: the contact comes in the second half."""
    frames = [product(rng, width=400, height=400)]
    frames += [ImageEnhance.Brightness(frames[0]).enhance(1 - 0.05 * step) for step in range(1, 4)]
    frames += [write(frame, "加微信 abc_8888", (0.5, 0.5), Ink("bold", 40, RED)) for frame in frames[:3]]
    return frames


def held_out(name: str) -> bool:
    return int(hashlib.sha256(f"picture {name}".encode()).hexdigest(), 16) % 3 == 0


def _is_drawing(image: Image.Image) -> bool:
    return image.width * image.height < 10_000 or image.getcolors(4) is not None


def rng_kind(name: str) -> str:
    """JPEG or WebP: both are stored."""
    return "jpg" if Rng(f"kind {name}").random() < 0.3 else "webp"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    rows = []
    groups = (
        ("violation", texts()),
        ("violation", codes()),
        ("violation", cards()),
        ("violation", surfaces()),
        ("harmless", harmless()),
    )
    for label, group in groups:
        for name, (category, draw) in group.items():
            image = draw(Rng(name))
            kind = "png" if _is_drawing(image) else rng_kind(name)
            path = FOLDER / f"{name}.{kind}"
            options = {"png": {"optimize": True}, "jpg": {"quality": 60, "optimize": True}, "webp": {"quality": 60}}
            image.save(path, **options[kind])
            rows.append({"file": path.name, "label": label, "category": category, "held_out": held_out(name)})
    frames = animation(Rng("animation"))
    frames[0].save(FOLDER / "animation.gif", save_all=True, append_images=frames[1:], duration=300, loop=0)
    rows.append(
        {"file": "animation.gif", "label": "violation", "category": "contact", "held_out": held_out("animation")}
    )
    LABELS.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    violations = sum(row["label"] == "violation" for row in rows)
    print(len(rows), "pictures,", violations, "violations,", sum(row["held_out"] for row in rows), "held out")
    print(math.ceil(sum(path.stat().st_size for path in FOLDER.iterdir()) / 1024), "KiB")


if __name__ == "__main__":
    main()
