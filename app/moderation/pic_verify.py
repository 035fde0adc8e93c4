"""Picture check (the note's pic_verify): the file is there, is what was uploaded, decodes, and is within limits."""

import hashlib
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from app.goods.storage import PictureStorage

WIDEST: Final = 30
"""How many times its short side a picture's long side may be; long product descriptions stay below 20."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """What the database says of a picture: `sha256` of its bytes, sizes in pixels."""

    id: int
    sha256: str
    width: int
    height: int


def check_picture(picture: StoredPicture, *, storage: PictureStorage, pixels_limit: int) -> list[str]:
    """Why `picture` may not be shown; empty if it may.

    An OSError of the storage itself passes through: an unreachable disk says nothing about the picture.
    """
    try:
        with storage.open(picture.sha256) as file:
            data = file.read()
    except FileNotFoundError:
        return ["图片文件缺失"]
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        return ["图片文件已损坏"]
    try:
        with Image.open(io.BytesIO(data)) as image:
            size = image.size
            if size[0] * size[1] > pixels_limit:
                return ["图片像素过多"]
            image.load()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - on bytes made to break them, Pillow's decoders raise nearly anything
        return ["图片无法解码"]
    reasons = []
    if size != (picture.width, picture.height):
        reasons.append("图片尺寸与记录不符")
    if max(size) > WIDEST * min(size):
        reasons.append("图片长宽比例过大")
    return reasons
