"""The lines of text in a picture, at any angle, as far as the time for a picture goes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from app.moderation.pictures.engines import DETECTION_SIDE, text_reader
from app.moderation.pictures.frames import Frame, Pixels
from app.moderation.verdicts import Box

READ_WIDTH_LIMIT: Final = 4200
"""How wide all lines of a picture that are read may be together, in pixels of lines 48 high: some hundred characters.
Reading costs 0.12 ms of CPU time per pixel, so this is what the 0.9 s of a picture are for."""

_LINE_HEIGHT: Final = 48
_WIDEST: Final = 1600  # pixels of a line as it is read; longer ones are compressed
_LEAST_SCORE: Final = 0.5
_SURE_SCORE: Final = 0.9
_STANDING: Final = 1.5  # height by width from which a line stands upright or is turned
_STACKED: Final = 2.2  # height by width from which characters may stand one below the other

_LONG: Final = 2.5  # the ratio of sides from which a picture is looked at in parts
_OVERLAP: Final = 0.12
_LEAST_SCALE: Final = 0.16  # of long pictures: below it ordinary letters of a telephone's screen cannot be found
_FAINT: Final = 70  # levels between dark and light below which contrast is raised first

Corners = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
"""Four points (across, down) in pixels of the frame: top left, top right, bottom right, bottom left of the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read. `box` is in pixels of the upright picture, `score` between 0 and 1."""

    text: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Reading:
    """The lines of a picture from the top; `complete` says whether all that were found could be read."""

    lines: tuple[Line, ...]
    complete: bool


def read_text(frame: Frame) -> Reading:
    """The text in a frame. Costs at most what `READ_WIDTH_LIMIT` says, and 0.3 s to find the lines."""
    pixels = _with_contrast(frame.pixels)
    boxes, complete = _find_lines(pixels)
    lines: list[Line] = []
    left = READ_WIDTH_LIMIT
    for corners in boxes:
        crop = _cut_out(pixels, corners)
        left -= _read_width(crop)
        if left < 0:
            complete = False
            break
        text, score = _read_line(crop)
        if text.strip() and score >= _LEAST_SCORE:
            lines.append(Line(text, score, _box(corners, frame.scale)))
    return Reading(tuple(_in_order(lines)), complete)


def _with_contrast(pixels: Pixels) -> Pixels:
    """The picture in blue, green, red, as the models want it; a faint one with its contrast raised."""
    import cv2

    turned = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    grey = cv2.blur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (3, 3))  # single pixels are noise
    dark, light = float(grey.min()), float(grey.max())
    if light - dark < _FAINT:
        raised = (turned.astype(np.float32) - dark) * (255 / max(light - dark, 8))
        turned = np.clip(raised, 0, 255).astype(np.uint8)
    return np.asarray(turned, np.uint8)


def _find_lines(pixels: Pixels) -> tuple[list[Corners], bool]:
    """Where lines stand, the larger ones first; and whether letters of ordinary size could be found everywhere."""
    import cv2

    height, width = pixels.shape[:2]
    found: list[Corners] = []
    parts = list(_parts(width, height))
    area = sum(part_width * part_height for _, _, part_width, part_height in parts)
    scale = min(DETECTION_SIDE / max(parts[0][2:]), (DETECTION_SIDE**2 / area) ** 0.5, 1)
    for across, down, part_width, part_height in parts:
        part = pixels[down : down + part_height, across : across + part_width]
        if scale < 1:
            size = (max(round(part_width * scale), 32), max(round(part_height * scale), 32))
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        ratio = np.array([part_width / part.shape[1], part_height / part.shape[0]], np.float32)
        output: Any = text_reader()(np.ascontiguousarray(part), use_det=True, use_cls=False, use_rec=False)
        boxes = output.boxes if output.boxes is not None else ()
        found += [np.asarray(box, np.float32) * ratio + np.array([across, down], np.float32) for box in boxes]
    if len(parts) > 1:
        found = _without_doubles(found)
    found.sort(key=_area, reverse=True)
    return found, len(parts) == 1 or scale >= _LEAST_SCALE


def _parts(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of the parts that a picture is looked at in: one, but for long pictures."""
    long, short = max(width, height), min(width, height)
    if long <= _LONG * short:
        yield 0, 0, width, height
        return
    step = 2 * short
    length = round(step * (1 + _OVERLAP))
    for start in range(0, long, step):
        size = min(length, long - start)
        if start and size <= length - step:
            return
        yield (0, start, width, size) if height >= width else (start, 0, size, height)


def _without_doubles(found: list[Corners]) -> list[Corners]:
    """Lines that two parts have found only once: of two that overlap the larger one."""
    kept: list[Corners] = []
    for corners in sorted(found, key=_area, reverse=True):
        centre = corners.mean(axis=0)
        if not any((other.min(axis=0) <= centre).all() and (centre <= other.max(axis=0)).all() for other in kept):
            kept.append(corners)
    return kept


def _area(corners: Corners) -> float:
    return float(np.linalg.norm(corners[1] - corners[0]) * np.linalg.norm(corners[3] - corners[0]))


def _cut_out(pixels: Pixels, corners: Corners) -> Pixels:
    """The line between these corners, straight; of a line 48 pixels or the width of a standing one."""
    import cv2

    across = max(float(np.linalg.norm(corners[1] - corners[0])), float(np.linalg.norm(corners[2] - corners[3])), 1)
    down = max(float(np.linalg.norm(corners[3] - corners[0])), float(np.linalg.norm(corners[2] - corners[1])), 1)
    scale = _LINE_HEIGHT / (across if down >= _STANDING * across else down)
    width, height = max(round(across * scale), 8), max(round(down * scale), 8)
    width, height = min(width, _WIDEST), min(height, _WIDEST)
    goal = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(corners, np.float32), goal)
    if scale < 0.5:  # much smaller: first blurred, or thin strokes fall between the pixels
        sigma = 0.35 / scale
        left, top = np.maximum(corners.min(axis=0).astype(int) - 4, 0)
        right, bottom = corners.max(axis=0).astype(int) + 4
        pixels = pixels.copy()
        pixels[top:bottom, left:right] = cv2.GaussianBlur(pixels[top:bottom, left:right], (0, 0), sigma)
    warped = cv2.warpPerspective(
        pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _read_width(crop: Pixels) -> int:
    height, width = crop.shape[:2]
    return max(max(height, width), 2 * _LINE_HEIGHT)


def _read_line(crop: Pixels) -> tuple[str, float]:
    """The text of a line and how sure the model is."""
    height, width = crop.shape[:2]
    if height < _STANDING * width:
        return _recognised(crop)
    turned = _recognised(np.ascontiguousarray(np.rot90(crop)))
    if turned[1] >= _SURE_SCORE or height < _STACKED * width:
        return turned
    return max(turned, _recognised(_laid_down(crop)), key=lambda reading: reading[1])


def _laid_down(crop: Pixels) -> Pixels:
    """Characters that stand one below the other, put one beside the other."""
    height, width = crop.shape[:2]
    count = max(round(height / width), 2)
    edges = np.linspace(0, height, count + 1).astype(int)
    size = max(int(height / count), width)
    row = np.zeros((size, size * count, 3), np.uint8)
    row[:] = np.median(crop, axis=(0, 1)).astype(np.uint8)
    for place, (top, bottom) in enumerate(pairwise(edges)):
        cell = crop[top : min(bottom, top + size)]
        row[: cell.shape[0], place * size : place * size + width] = cell
    return row


def _recognised(line: Pixels) -> tuple[str, float]:
    output: Any = text_reader()(line, use_det=False, use_cls=True, use_rec=True)
    if not output.txts:
        return "", 0.0
    return str(output.txts[0]), float(output.scores[0])


def _box(corners: Corners, scale: float) -> Box:
    left, top = np.maximum(corners.min(axis=0) * scale, 0)
    right, bottom = corners.max(axis=0) * scale
    return Box(round(float(left)), round(float(top)), round(float(right - left)), round(float(bottom - top)))


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """From the top, and what stands at one height from the left."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box.top + line.box.height / 2):
        centre = line.box.top + line.box.height / 2
        if rows and centre - (rows[-1][0].box.top + rows[-1][0].box.height / 2) < rows[-1][0].box.height / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box.left)]
