"""Colour profiles of pictures that name theirs instead of carrying it.

Cameras set to Adobe RGB only write the index `R03` into EXIF (JEITA DCF 2.0), some phones write the number of the
primaries of Display P3 into a HEIC (ITU-T H.273, table 2). Both profiles are made from that of sRGB, by putting other
colorants, adapted to D50, and another curve into it (ICC.1:2022, 10.18 and 10.31).
"""

import functools
import struct
from typing import Final, NamedTuple

from PIL import ExifTags, Image, ImageCms

_INTEROPERABILITY_INDEX: Final = 1
_ADOBE_RGB_INDEX: Final = "R03"
_DISPLAY_P3_PRIMARIES: Final = 12
_HEADER: Final = 128  # bytes
_COLORANTS: Final = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC")


class _Space(NamedTuple):
    """X, Y, Z of the colorants red, green and blue; the exponent of a curve that is a power, None: as sRGB's."""

    colorants: tuple[tuple[float, float, float], ...]
    exponent: float | None


# Adobe RGB (1998) Color Image Encoding, 4.3.1.2, adapted to D50 by Bradford's method, as Adobe's own profile has them.
_ADOBE_RGB: Final = _Space(
    ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 563 / 256
)
# Apple's own profile of Display P3.
_DISPLAY_P3: Final = _Space(
    ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)), None
)


def implied_profile(image: Image.Image) -> bytes | None:
    """The profile that a picture without one says it is meant in; None where it says nothing of the kind: sRGB."""
    nclx = image.info.get("nclx_profile")
    if isinstance(nclx, dict) and nclx.get("color_primaries") == _DISPLAY_P3_PRIMARIES:
        return display_p3()
    index = image.getexif().get_ifd(ExifTags.IFD.Interop).get(_INTEROPERABILITY_INDEX)
    if isinstance(index, str) and index.rstrip("\0") == _ADOBE_RGB_INDEX:
        return adobe_rgb()
    return None


@functools.cache
def adobe_rgb() -> bytes:
    """A profile of Adobe RGB (1998)."""
    return _profile(_ADOBE_RGB)


@functools.cache
def display_p3() -> bytes:
    """A profile of Display P3."""
    return _profile(_DISPLAY_P3)


def _profile(space: _Space) -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    tags = {
        signature: offset
        for signature, offset, _ in struct.iter_unpack(">4sII", profile[_HEADER + 4 : _HEADER + 4 + 12 * count])
    }
    for tag, colorant in zip(_COLORANTS, space.colorants, strict=True):
        struct.pack_into(">3i", profile, tags[tag] + 8, *map(_fixed, colorant))
    if space.exponent is not None:
        for tag in _CURVES:
            # Of the five parameters of sRGB's curve, function type 3: exponent, slope 1, and no straight part.
            struct.pack_into(">5i", profile, tags[tag] + 12, *map(_fixed, (space.exponent, 1, 0, 0, 0)))
    return bytes(profile)


def _fixed(value: float) -> int:
    """`value` as an s15Fixed16Number."""
    return round(value * 65_536)
