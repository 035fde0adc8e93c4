"""Pictures that show nothing: tiny ones, blank ones, ones of nearly one colour."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from app.moderation.pictures.frames import Frame
from app.moderation.verdicts import Category, Decision, Hit

SHORTEST_LONG_SIDE: Final = 100
"""Pixels: on a phone a smaller picture is a stamp on which no good can be seen."""

MAX_ASPECT_RATIO: Final = 30
"""The largest ratio of long side to short side; long product descriptions stay below 20."""

_GRID: Final = 128  # pixels of the long side at which colours are counted: noise and traces of JPEG are averaged away
_SAME_COLOUR: Final = 14  # levels by which each band may differ from the most common colour
_BLANK_PART: Final = 0.997  # of the picture in that colour
_NEARLY_BLANK_PART: Final = 0.99
_FLAT_STEP: Final = 5  # levels between neighbours: a smooth run of colours shows nothing either


def surface_hits(frame: Frame, *, width: int, height: int) -> Iterator[Hit]:
    """What is wrong with a picture of `width` × `height` pixels that shows nothing."""
    long, short = max(width, height), min(width, height)
    if long < SHORTEST_LONG_SIDE:
        yield _hit("quality.tiny", f"图片太小({width}×{height}),请上传清晰的实物图", Decision.REJECT)
        return
    if long > MAX_ASPECT_RATIO * short:
        yield _hit("quality.strip", "图片长宽比例过大", Decision.REJECT)
        return
    part, step = one_colour_part(frame)
    if part >= _BLANK_PART:
        yield _hit("quality.blank", "图片空白或只有一种颜色,请上传实物图", Decision.REJECT)
    elif part >= _NEARLY_BLANK_PART or step <= _FLAT_STEP:
        yield _hit("quality.nearly_blank", "图片近乎空白,需人工查看", Decision.REVIEW)


def one_colour_part(frame: Frame) -> tuple[float, int]:
    """The part of the picture that has its most common colour, and the largest step between neighbouring places."""
    scale = min(_GRID / max(frame.width, frame.height), 1)
    size = (max(round(frame.width * scale), 1), max(round(frame.height * scale), 1))
    small = np.asarray(Image.fromarray(frame.pixels).resize(size, Image.Resampling.BOX), dtype=np.int16)
    far = np.abs(small - np.median(small, axis=(0, 1)).astype(np.int16)).max(axis=2)
    steps = [np.abs(np.diff(small, axis=axis)).max(initial=0) for axis in (0, 1)]
    return float((far <= _SAME_COLOUR).mean()), int(max(steps))


def _hit(code: str, reason: str, policy: Decision) -> Hit:
    return Hit(Category.QUALITY, code, reason, policy)
