"""Pictures for the demo market, drawn with Pillow: one shape for each category on a gradient. No fonts needed."""

import colorsys
import io
import random
from collections.abc import Callable
from typing import Final

from PIL import Image, ImageDraw

_SIDE: Final = 800
_Draw = ImageDraw.ImageDraw
Colour = tuple[int, int, int]


def draw_picture(*, category: int, seed: str) -> bytes:
    """A JPEG of 800×800 for a good of `category`; the same `seed` gives the same picture."""
    generator = random.Random(seed)  # noqa: S311 - it picks colours
    hue = generator.random()
    image = _background(hue)
    draw = ImageDraw.Draw(image)
    draw.ellipse((180, 640, 620, 720), fill=_colour(hue, 0.25, 0.72))
    _SHAPES[category](draw, _colour((hue + 0.45 + generator.random() * 0.1) % 1, 0.55, 0.85), _colour(hue, 0.35, 0.3))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _background(hue: float) -> Image.Image:
    light = Image.new("RGB", (_SIDE, _SIDE), _colour(hue, 0.08, 0.98))
    dark = Image.new("RGB", (_SIDE, _SIDE), _colour(hue, 0.3, 0.85))
    return Image.composite(dark, light, Image.linear_gradient("L").resize((_SIDE, _SIDE)))


def _phone(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rounded_rectangle((270, 120, 530, 680), 40, fill=dark)
    draw.rounded_rectangle((286, 150, 514, 650), 20, fill=main)
    draw.ellipse((388, 126, 412, 146), fill=main)


def _camera(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rounded_rectangle((300, 220, 500, 320), 24, fill=dark)
    draw.rounded_rectangle((150, 270, 650, 650), 40, fill=dark)
    draw.ellipse((270, 320, 530, 580), fill=main)
    draw.ellipse((330, 380, 470, 520), fill=dark)
    draw.ellipse((355, 400, 400, 445), fill=(255, 255, 255))


def _flat(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.polygon(((120, 380), (400, 150), (680, 380)), fill=dark)
    draw.rectangle((190, 380, 610, 680), fill=main)
    draw.rectangle((350, 500, 450, 680), fill=dark)
    for left in (230, 490):
        draw.rectangle((left, 430, left + 80, 510), fill=(255, 255, 255))


def _shirt(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.polygon(
        (
            (290, 180),
            (510, 180),
            (690, 300),
            (620, 420),
            (560, 380),
            (560, 680),
            (240, 680),
            (240, 380),
            (180, 420),
            (110, 300),
        ),
        fill=main,
    )
    draw.pieslice((330, 120, 470, 240), 0, 180, fill=dark)


def _sofa(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rounded_rectangle((190, 280, 610, 540), 50, fill=dark)
    draw.rounded_rectangle((130, 400, 670, 630), 50, fill=main)
    for left in (180, 580):
        draw.rectangle((left, 620, left + 40, 680), fill=dark)


def _bottle(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rectangle((350, 130, 450, 250), fill=dark)
    draw.rounded_rectangle((270, 250, 530, 680), 50, fill=main)
    draw.rounded_rectangle((310, 400, 490, 560), 16, fill=(255, 255, 255))


def _ball(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.ellipse((160, 190, 640, 670), fill=main)
    draw.arc((40, 190, 400, 670), 300, 60, fill=dark, width=16)
    draw.arc((400, 190, 760, 670), 120, 240, fill=dark, width=16)
    draw.line((160, 430, 640, 430), fill=dark, width=16)


def _fridge(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rounded_rectangle((240, 110, 560, 690), 30, fill=main)
    draw.line((240, 320, 560, 320), fill=dark, width=10)
    for top in (190, 380):
        draw.rounded_rectangle((500, top, 524, top + 90), 12, fill=dark)


def _guitar(draw: _Draw, main: Colour, dark: Colour) -> None:
    draw.rectangle((375, 90, 425, 420), fill=dark)
    draw.ellipse((290, 330, 510, 530), fill=main)
    draw.ellipse((240, 440, 560, 700), fill=main)
    draw.ellipse((345, 470, 455, 580), fill=dark)
    for string in (388, 400, 412):
        draw.line((string, 100, string, 640), fill=(255, 255, 255), width=3)


_SHAPES: Final[dict[int, Callable[[_Draw, Colour, Colour], None]]] = {
    1: _phone,
    2: _camera,
    3: _flat,
    4: _shirt,
    5: _sofa,
    6: _bottle,
    7: _ball,
    8: _fridge,
    9: _guitar,
}
