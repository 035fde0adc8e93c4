"""Perceptual hashes: pictures that look alike have fingerprints that differ in few bits.

This is pHash (the 8 × 8 lowest frequencies of a discrete cosine transform, each above or below their median), on numpy,
which is there without the extra. The library for it, imagehash, would bring SciPy and PyWavelets, 38 MB, for these
lines; PDQ's own has no wheels. Who compares fingerprints says how near they have to be.
"""

from functools import cache
from typing import Final

import numpy as np
from PIL import Image

from app.moderation.pictures.frames import Frame

BITS: Final = 64

_SIDE: Final = 32
_KEPT: Final = 8
_PLAIN_DEVIATION: Final = 3.0  # levels: a picture flatter than this has no fingerprint that means something

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@cache
def _basis() -> Matrix:
    """The eight lowest frequencies after the constant one, as rows."""
    frequency = np.arange(1, _KEPT + 1)[:, None]
    place = np.arange(_SIDE)[None, :]
    return np.asarray(np.cos(np.pi / 2 / _SIDE * frequency * (2 * place + 1)))


def fingerprint(frame: Frame) -> int | None:
    """The fingerprint as a signed number of 64 bits, as PostgreSQL has them; None of a picture that is too flat."""
    grey = Image.fromarray(frame.pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    small = np.asarray(grey, dtype=np.float64)
    if float(small.std()) < _PLAIN_DEVIATION:
        return None
    waves = _basis() @ small @ _basis().T
    return int.from_bytes(np.packbits(waves > np.median(waves)).tobytes(), signed=True)


def distance(one: int, other: int) -> int:
    """In how many of the 64 bits two fingerprints differ."""
    return ((one ^ other) & ((1 << BITS) - 1)).bit_count()
