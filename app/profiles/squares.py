"""Cuts an avatar out of an uploaded picture that was prepared already, and so is safe to decode anywhere."""

import hashlib
import io
from typing import Final

from PIL import Image, ImageOps

from app.goods.pictures import PreparedPicture

LARGEST_SIDE: Final = 640  # pixels

_QUALITY: Final = 88


def square_of(picture: PreparedPicture) -> PreparedPicture:
    """The middle of the picture as a square of at most `LARGEST_SIDE`; never scaled up."""
    side = min(picture.width, picture.height, LARGEST_SIDE)
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(picture.data)) as image:
        # A JPEG can be decoded at a part of its size, of which the shorter side is still long enough.
        image.draft(None, (side, side))
        square = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
        if square.mode == "RGBA":
            content_type = "image/webp"
            square.save(buffer, "WEBP", quality=_QUALITY)
        else:
            content_type = "image/jpeg"
            square.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    data = buffer.getvalue()
    return PreparedPicture(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        content_type=content_type,
        width=side,
        height=side,
        decoded_pixels=picture.decoded_pixels,
    )
