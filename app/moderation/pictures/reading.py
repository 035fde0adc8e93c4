"""The lines of text in a picture, at any angle, as far as the time for a picture goes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from app.moderation.pictures.engines import DETECTION_SIDE, NARROWEST, text_reader
from app.moderation.pictures.frames import Frame, Pixels
from app.moderation.verdicts import Box

READ_WIDTH_LIMIT: Final = 3400
"""How wide all lines of a picture may be together as they are read, in pixels of lines 48 high: a hundred characters.
Reading costs 0.13 ms of CPU time per pixel, so this is what half of the 0.9 s of a picture is for."""

LONG_READ_WIDTH_LIMIT: Final = 2900
"""The same of a long picture or an animation: decoding it and finding lines in its parts or frames takes longer."""

_LINE_HEIGHT: Final = 48
_LINE_COST: Final = 30  # pixels whose reading takes as long as telling which way up a line is
_TIGHTEST: Final = 0.65
"""Where there is much text, lines are read narrower, down to this: Han are read as well so, digits nearly as well."""

_PART_READ: Final = 0.4
"""Of the width limit where not all can be read: a person looks at the picture anyway."""


_MARGIN: Final = 4  # pixels around a line that are looked at with it
_WIDEST: Final = 1600  # pixels of a line as it is read; longer ones are compressed
_LEAST_SCORE: Final = 0.5
_SURE_SCORE: Final = 0.9
_SHORT: Final = 96  # pixels of a line 48 high: two Han or four digits
_STANDING: Final = 1.5  # height by width from which a line stands upright or is turned
_STACKED: Final = 2.2  # height by width from which characters may stand one below the other

_LONG: Final = 2.5  # the ratio of sides from which a picture is looked at in parts
_OVERLAP: Final = 0.12
_LEAST_SCALE: Final = 0.16  # of long pictures: below it ordinary letters of a telephone's screen cannot be found
_FAINT: Final = 70  # levels between dark and light below which contrast is raised first

_LOOK: Final = (96, 12)  # pixels across and down in which lines of two frames are compared
_SAME_LEVELS: Final = 40  # by which one of those may differ in what is the same line: traces of JPEG, not a digit
_NO_LOOK: Final = np.zeros((0, 0, 3), np.uint8)

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


def read_texts(frames: Sequence[Frame], *, side: int = DETECTION_SIDE) -> list[Reading]:
    """The text in each of the frames of a picture, which have one size.

    Lines are looked for in `side` pixels of each, and together as many read as the limit of width allows. A line that
    stands in several frames is read once. With the defaults it costs of one frame 0.1 s of CPU time to find them, and
    at most 0.35 s to read.
    """
    is_long = len(frames) > 1 or len(list(_parts(frames[0].width, frames[0].height))) > 1
    width_limit = LONG_READ_WIDTH_LIMIT if is_long else READ_WIDTH_LIMIT
    pixels = [_with_contrast(frame.pixels) for frame in frames]
    found, complete = _find_all(pixels, side)
    tightness, everything = _tightness([_length(each.corners) for each in found], width_limit)
    left = width_limit if complete and everything else width_limit * _PART_READ
    lines: list[list[Line]] = [[] for _ in frames]
    for each in found:
        length = _length(each.corners)
        if left < _cost(length * tightness):
            # Words come before single keys, dates and digits: the rest of those is more of the same.
            complete = complete and length <= _SHORT
            break
        text, score, cost = _read_line(_cut_out(pixels[each.shown_in[0]], each.corners, tightness))
        left -= cost
        if text.strip() and score >= _LEAST_SCORE:
            for number in each.shown_in:
                lines[number].append(Line(text, score, _box(each.corners, frames[number].scale)))
    return [Reading(tuple(_in_order(of_frame)), complete) for of_frame in lines]


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a line stands, what is there in few pixels, and the numbers of the frames that show it."""

    corners: Corners
    look: Pixels
    shown_in: list[int]


def _find_all(pixels: Sequence[Pixels], side: int) -> tuple[list[_Found], bool]:
    """The lines of all frames, and whether letters of ordinary size could be found everywhere.

    Words come before single characters, larger ones before smaller ones.
    """
    found: list[_Found] = []
    complete = True
    for number, of_frame in enumerate(pixels):
        lines, all_found = _find_lines(of_frame, side)
        complete = complete and all_found
        for corners in lines:
            look = _look(of_frame, corners) if len(pixels) > 1 else _NO_LOOK
            same = next((each for each in found if number not in each.shown_in and _is_same(each, corners, look)), None)
            if same is None:
                found.append(_Found(corners, look, [number]))
            else:
                same.shown_in.append(number)
    found.sort(key=lambda each: (_length(each.corners) > _SHORT, _area(each.corners)), reverse=True)
    return found, complete


def _look(pixels: Pixels, corners: Corners) -> Pixels:
    """What stands between the corners, in few pixels, to compare it with what stands there in another frame."""
    import cv2

    left, top = np.maximum(corners.min(axis=0).astype(int), 0)
    right, bottom = corners.max(axis=0).astype(int) + 1
    return np.asarray(cv2.resize(pixels[top:bottom, left:right], _LOOK, interpolation=cv2.INTER_AREA), np.uint8)


def _is_same(found: _Found, corners: Corners, look: Pixels) -> bool:
    """Whether what was found in another frame is the line that stands here, as it would be read."""
    if float(np.abs(found.corners - corners).max()) > _MARGIN:
        return False
    return int(np.abs(found.look.astype(np.int16) - look).max()) <= _SAME_LEVELS


def _tightness(lengths: Sequence[float], width_limit: float) -> tuple[float, bool]:
    """How much narrower lines of these lengths are to be read, and whether all the words among them can be."""
    words = [length for length in lengths if length > _SHORT]
    for_words = width_limit - _LINE_COST * len(words)
    tightness = min(max(for_words / max(sum(words), 1), _TIGHTEST), 1)
    return tightness, sum(words) * tightness <= for_words + 1


def _cost(length: float) -> int:
    """What it costs to read a line that is so long as it is read."""
    return round(max(length, NARROWEST)) + _LINE_COST


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


def _find_lines(pixels: Pixels, side: int) -> tuple[list[Corners], bool]:
    """Where lines stand, and whether letters of ordinary size could be found everywhere."""
    import cv2

    height, width = pixels.shape[:2]
    found: list[Corners] = []
    parts = list(_parts(width, height))
    area = sum(part_width * part_height for _, _, part_width, part_height in parts)
    scale = min(side / max(parts[0][2:]), (side**2 / area) ** 0.5, 1)
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


def _sides(corners: Corners) -> tuple[float, float]:
    """How long the line is across and down."""
    across = max(float(np.linalg.norm(corners[1] - corners[0])), float(np.linalg.norm(corners[2] - corners[3])), 1)
    down = max(float(np.linalg.norm(corners[3] - corners[0])), float(np.linalg.norm(corners[2] - corners[1])), 1)
    return across, down


def _length(corners: Corners) -> float:
    """How long the line is where it is 48 pixels high, or wide if it stands."""
    across, down = _sides(corners)
    long, short = (down, across) if down >= _STANDING * across else (across, down)
    return min(long / short * _LINE_HEIGHT, _WIDEST)


def _cut_out(pixels: Pixels, corners: Corners, tightness: float) -> Pixels:
    """The line between these corners, straight: 48 pixels high and narrower by `tightness`; or 48 wide if it stands."""
    import cv2

    across, down = _sides(corners)
    standing = down >= _STANDING * across
    scale = _LINE_HEIGHT / (across if standing else down)
    lengths = (across * scale * (1 if standing else tightness), down * scale)
    width, height = (min(max(round(length), 8), _WIDEST) for length in lengths)
    left, top = np.maximum(corners.min(axis=0).astype(int) - _MARGIN, 0)
    right, bottom = corners.max(axis=0).astype(int) + _MARGIN
    around = pixels[top:bottom, left:right]
    if scale < 0.5:  # much smaller: first blurred, or thin strokes fall between the pixels
        around = np.asarray(cv2.GaussianBlur(around, (0, 0), 0.35 / scale), np.uint8)
    goal = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(corners - (left, top), np.float32), goal)
    warped = cv2.warpPerspective(
        around, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, np.uint8)


def _read_line(crop: Pixels) -> tuple[str, float, int]:
    """The text of a line, how sure the model is, and what reading it cost, in pixels of `READ_WIDTH_LIMIT`."""
    height, width = crop.shape[:2]
    cost = _cost(max(height, width))
    if height < _STANDING * width:
        return *_recognised(crop), cost
    turned = _recognised(np.ascontiguousarray(np.rot90(crop)))
    if turned[1] >= _SURE_SCORE or height < _STACKED * width:
        return *turned, cost
    return *max(turned, _recognised(_laid_down(crop)), key=lambda reading: reading[1]), 2 * cost


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
    which_way_up = line.shape[1] > NARROWEST  # of a single character nobody could tell
    output: Any = text_reader()(line, use_det=False, use_cls=which_way_up, use_rec=True)
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
