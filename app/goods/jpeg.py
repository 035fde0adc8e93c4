"""What a JPEG file consists of, read as libjpeg reads it: how many scans it has, where it ends, whether it is whole.

The names of markers and fields are those of ITU-T T.81, Annex B.
"""

import re
from dataclasses import dataclass
from typing import Final

START: Final = b"\xff\xd8\xff"
"""How every JPEG begins: start of image, and the first byte of another marker."""

END: Final = b"\xff\xd9"
"""End of image."""

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; the others are DHT, JPG, DAC
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})

# A marker is FF and a byte that is neither 00, which stands for a coded FF, nor a fill byte FF. Restart markers (D0 to
# D7) stand among coded bytes and are nobody's beginning or end.
_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

_ALL_COEFFICIENTS: Final = (1 << 64) - 1
_MOST_SEGMENTS: Final = 10_000  # real files have some dozens, with maps and notes of a camera some hundreds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The first picture in a file. What stands behind its end (a second one, a film) is not looked at.

    `scans` counts its scans. `ended` is whether it has its end. Of one that has not, an end may be put behind its first
    `usable` bytes, which are all but a segment that broke off, where everything has been told `roughly` at least, or
    the `only` scan has begun, which tells all, row by row.
    """

    scans: int
    ended: bool
    roughly: bool = False
    only: bool = False
    usable: int


class TooManySegments(Exception):  # noqa: N818 - it says what the matter is
    """More segments than any encoder writes: reading them would cost more than the picture."""


def outline_of(source: bytes) -> Outline:
    """The outline of the JPEG that `source` begins with. Raises `TooManySegments`."""
    scans = 0
    progressive = False
    told: dict[int, int] = {}  # by component of the frame, a bit for each coefficient that whole scans have told
    latest: dict[int, int] = {}  # the same of the latest scan, which may be cut
    position, usable = len(END), len(source)
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(source, position)
        if marker is None:
            break
        kind = source[marker.end() - 1]
        position = marker.end()
        if kind == _EOI:
            return Outline(scans=scans, ended=True, usable=usable)
        if kind in (_SOI, _TEM):
            continue
        length = max(int.from_bytes(source[position : position + 2]), 2)
        if position + length > len(source):
            usable = marker.start()
            _add(told, latest)  # behind which this one begins
            break
        segment = source[position + 2 : position + length]
        position += length
        if kind in _FRAMES:
            progressive = kind in _PROGRESSIVE
            told = dict.fromkeys(segment[6::3], 0)
        elif kind == _SOS:
            scans += 1
            _add(told, latest)
            latest = _told_by(segment)
    else:
        raise TooManySegments
    roughly = scans > 0 and all(coefficients == _ALL_COEFFICIENTS for coefficients in told.values())
    only = scans == 1 and not progressive and latest.keys() == told.keys()
    return Outline(scans=scans, ended=False, roughly=roughly, only=only, usable=usable)


def _add(told: dict[int, int], latest: dict[int, int]) -> None:
    for component, coefficients in latest.items():
        told[component] = told.get(component, 0) | coefficients


def _told_by(scan: bytes) -> dict[int, int]:
    """By component, the coefficients that a scan with this header tells, a bit for each."""
    if not scan or len(scan) < 2 * scan[0] + 4:
        return {}
    first, last = scan[2 * scan[0] + 1], min(scan[2 * scan[0] + 2], 63)
    bits = _ALL_COEFFICIENTS >> first << first & _ALL_COEFFICIENTS >> 63 - last
    return dict.fromkeys(scan[1 : 2 * scan[0] + 1 : 2], bits)
