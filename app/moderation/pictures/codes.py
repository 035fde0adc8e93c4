"""QR codes, bar codes and their like in pictures: where they lead (`codes.txt`), or that they cannot be read."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from app.moderation.pictures.frames import Frame, Pixels
from app.moderation.text import TextContext, check_text
from app.moderation.verdicts import Box, Category, Decision, Hit

RULES: Final = Path(__file__).with_name("codes.txt")

# Weaker ones (ITF, Codabar) are seen in any fence, and nobody's telephone reads them.
_BARS: Final = "PDF417,Code128,Code39,EAN13,EAN8,UPCA,UPCE,DataBar"
_SQUARES: Final = "QRCode,MicroQRCode,RMQRCode"
_OTHERS: Final = f"DataMatrix,{_BARS}"
"""Looking for these takes ten times as long as for squares, so they are looked for in fewer and smaller views."""
_AZTEC: Final = "Aztec"
"""On chequered cloth it takes thirty times as long, so it is looked for once, in an even smaller view."""
_RETAIL: Final = frozenset({"EAN13", "EAN8", "UPCA", "UPCE", "ISBN", "DataBar", "DataBarOmni", "DataBarStk"})

_SMALL: Final = 1300  # pixels of the long side below which a picture is also looked at twice as large
_TURNED_SIDE: Final = 900  # pixels of the long side of what is turned
_OTHERS_PIXELS: Final = 1_600_000  # of what is looked through for bars and DataMatrix
_AZTEC_PIXELS: Final = 800_000
_COLOURED_PIXELS: Final = 2_000_000  # of what is looked at band by band
_CONFIRMED_SIDE: Final = 600  # pixels of the long side in which the second library looks for an unreadable code
_HOST: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?:[^/?#@]*@)?(?P<host>[^/?#:]+)(?P<path>[^?#]*)")
_HOST_ALONE: Final = re.compile(r"(?P<host>(?:[a-z0-9-]+\.)+[a-z]{2,})(?P<path>/.*)?")


class CodeRulesError(ValueError):
    """The file of rules cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What becomes of codes that begin so; `host` is the host's name where that is what counts, else empty."""

    policy: Decision
    beginning: str
    host: str
    what: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was found: its text, whether it is a number of retail (EAN, UPC, ISBN), and where it stands.

    The text is None of one that is there and cannot be read: covered in part, or drawn over.
    """

    text: str | None
    is_retail: bool
    box: Box


def read_rules(path: Path) -> Iterator[CodeRule]:
    """The rules of the file. Raises `CodeRulesError` for a line that is none."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            policy, beginning, what = line.split(maxsplit=2)
            rule = CodeRule(Decision(policy), beginning.removeprefix("//"), beginning[2:].partition("/")[0], what)
        except ValueError as error:
            raise CodeRulesError(f"{path}:{number}: not a policy, a beginning and what it is: {line!r}") from error
        yield rule if beginning.startswith("//") else CodeRule(rule.policy, beginning, "", what)


@cache
def rules() -> tuple[CodeRule, ...]:
    """The rules of `codes.txt`, in their order."""
    return tuple(read_rules(RULES))


def rule_for(text: str) -> CodeRule | None:
    """The first rule that a code's text falls under; None if none."""
    plain = "".join(text.lower().split())
    address = _HOST.match(plain) or _HOST_ALONE.fullmatch(plain)
    host, where = (address["host"], address["host"] + (address["path"] or "")) if address else ("", "")
    for rule in rules():
        if rule.host:
            own = where[len(host) - len(rule.host) :] if host == rule.host or host.endswith("." + rule.host) else ""
            if own.startswith(rule.beginning):
                return rule
        elif plain.startswith(rule.beginning):
            return rule
    if address is not None and not plain.startswith(("sn:", "wifi:")):
        return next((rule for rule in rules() if rule.beginning == "http:"), None)
    return None


def code_hits(codes: Iterable[Code], *, context: TextContext) -> Iterator[Hit]:
    """What is wrong with the codes: links and contacts lead past the platform, other text is checked as text."""
    for code in codes:
        if code.is_retail:
            continue
        if code.text is None:
            reason = "图片疑似含有无法识别的二维码,需人工查看"
            yield Hit(Category.CONTACT, "contact.unreadable_code", reason, Decision.REVIEW, 0.6, box=code.box)
            continue
        rule = rule_for(code.text)
        if rule is not None:
            if rule.policy is not Decision.PASS:
                name = "contact.code" if rule.policy is Decision.REJECT else "contact.code_link"
                reason = f"图片含有{rule.what},涉嫌引流" if rule.policy is Decision.REJECT else f"图片含有{rule.what}"
                yield Hit(Category.CONTACT, name, reason, rule.policy, box=code.box)
            continue
        for hit in check_text(code.text, context=context).hits:
            yield Hit(hit.category, hit.code, f"图片中的码:{hit.reason}", hit.policy, hit.confidence, box=code.box)


def read_codes(frame: Frame, *, thorough: bool = True) -> list[Code]:
    """The codes in a frame, small, turned and inverted ones too; boxes in pixels of the upright picture.

    Those that are faint, coloured or covered in part, and bars between the rows, are looked for only where it is
    `thorough`.
    """
    import cv2

    grey = np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    found = _read(View(grey, np.eye(2, 3)), _SQUARES, frame.scale)
    found += _read(_within(grey, (_OTHERS_PIXELS / grey.size) ** 0.5), _OTHERS, frame.scale)
    found += _read(_within(grey, (_AZTEC_PIXELS / grey.size) ** 0.5), _AZTEC, frame.scale)
    readable = [code for code in found if code.text is not None]
    if readable or not thorough:
        return readable
    for view, formats in _clearer(grey, frame.pixels):
        clear = [code for code in _read(view, formats, frame.scale) if code.text is not None]
        if clear:
            return clear
    # Rugs and tiles have corners like a code's, too: two libraries have to see one.
    if found and not cv2.QRCodeDetector().detect(_within(grey, _CONFIRMED_SIDE / max(grey.shape)).pixels)[0]:
        return []
    return found


class View(NamedTuple):
    """A picture made of another; `back` is the affine matrix that leads from its points to the other's."""

    pixels: Pixels
    back: np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _within(grey: Pixels, scale: float) -> View:
    """The picture scaled down, if `scale` is below 1."""
    import cv2

    if scale >= 1:
        return View(grey, np.eye(2, 3))
    smaller = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return View(np.asarray(smaller, np.uint8), np.eye(2, 3) / scale)


def _clearer(grey: Pixels, coloured: Pixels) -> Iterator[tuple[View, str]]:
    """Views of the same in which codes may be read that cannot be read in it, with the kinds to look for."""
    import cv2

    height, width = grey.shape[:2]
    if max(height, width) <= _SMALL:
        larger = np.asarray(cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
        yield View(larger, np.eye(2, 3) / 2), _SQUARES
    # What stands out faintly only: each place compared with its neighbourhood.
    yield View(np.asarray(cv2.createCLAHE(4.0, (8, 8)).apply(grey), np.uint8), np.eye(2, 3)), _SQUARES
    # What stands out by its colour only, as red does on green of the same brightness.
    if height * width <= _COLOURED_PIXELS:
        for band in (0, 2):
            yield View(np.ascontiguousarray(coloured[:, :, band]), np.eye(2, 3)), _SQUARES
    # Bars are read along rows and columns, so that those in between have to be turned.
    scale = min(_TURNED_SIDE / max(height, width), 1)
    size = math.ceil(math.hypot(height, width) * scale)
    for angle in (30, 60):
        matrix = np.array(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), np.float64)
        matrix[:, 2] += (size - np.array([width, height])) / 2
        turned = cv2.warpAffine(grey, matrix, (size, size), flags=cv2.INTER_AREA, borderValue=(255.0,))
        yield View(np.asarray(turned, np.uint8), np.asarray(cv2.invertAffineTransform(matrix))), _BARS


def _read(view: View, formats: str, scale: float) -> list[Code]:
    """The codes that are read in it; QR codes that cannot be read only where there is no other."""
    import zxingcpp

    kinds = zxingcpp.barcode_formats_from_str(formats)
    found = zxingcpp.read_barcodes(view.pixels, kinds, text_mode=zxingcpp.TextMode.Plain, return_errors=True)
    read = {(code.text, code.box): code for code in (_code(each, view, scale) for each in found if each.valid)}
    if read:
        return list(read.values())
    return [_code(each, view, scale) for each in found if each.format.name == "QRCode"]


def _code(found: Any, view: View, scale: float) -> Code:
    place = found.position
    corners = [place.top_left, place.top_right, place.bottom_right, place.bottom_left]
    points = np.array([[corner.x, corner.y, 1] for corner in corners]) @ view.back.T * scale
    left, top = (max(round(float(edge)), 0) for edge in points.min(axis=0))
    right, bottom = (round(float(edge)) for edge in points.max(axis=0))
    box = Box(left, top, right - left, bottom - top)
    return Code(found.text if found.valid else None, found.format.name in _RETAIL, box)
