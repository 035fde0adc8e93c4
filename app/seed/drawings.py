"""Pictures of the demo market's goods, drawn with Pillow: what each title says, in its colour. No fonts, no files."""

import colorsys
import io
import random
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from app.seed.pen import FINER, SIDE, Colour, Pen
from app.seed.things import SIDES

_COARSER: Final = 4  # the background is drawn so many times smaller
_CLOSE: Final = 0.62  # of a side, what a close view shows


def draw_picture(*, thing: str, colour: Colour, view: int) -> bytes:
    """A JPEG of 800 × 800 of a `thing` of `app.seed.things`; the same arguments give the same picture.

    `view` counts the pictures of one good: its sides, if it has more than one to show, then a closer look.
    """
    sides = SIDES[thing]
    canvas = _background(f"{thing} {view}")
    sides[view % len(sides)](Pen(canvas), colour)
    image = canvas.reduce(FINER)
    if view >= len(sides):
        image = _close(image, mirrored=view % 2 == 1)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _background(seed: str) -> Image.Image:
    """A light wall and a table, with a soft shadow in the middle."""
    hue = random.Random(seed).random()  # noqa: S311 - it picks colours
    size = (SIDE // _COARSER, SIDE // _COARSER)  # there is nothing fine in it
    light, dark = (Image.new("RGB", size, _from_hsv(hue, *each)) for each in ((0.05, 0.98), (0.16, 0.88)))
    image = Image.composite(dark, light, Image.linear_gradient("L").resize(size))
    shadow = Image.new("L", size, 0)
    ImageDraw.Draw(shadow).ellipse([edge / _COARSER for edge in (150, 655, 650, 725)], fill=95)
    image.paste(_from_hsv(hue, 0.25, 0.45), mask=shadow.filter(ImageFilter.GaussianBlur(18 / _COARSER)))
    # What is smooth at the size of the picture needs no more than its pixels repeated where things are drawn finer.
    smooth = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return smooth.resize((SIDE * FINER, SIDE * FINER), Image.Resampling.NEAREST)


def _from_hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _close(image: Image.Image, *, mirrored: bool) -> Image.Image:
    """The same from nearer, from the other side where it is `mirrored`."""
    margin = round(SIDE * (1 - _CLOSE) / 2)
    nearer = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (margin, margin, SIDE - margin, SIDE - margin))
    return ImageOps.mirror(nearer) if mirrored else nearer
