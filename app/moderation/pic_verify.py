"""Picture check (pic_verify in the API spec, `api-notes.txt`): the file exists, is intact, decodes, is in limits."""

import hashlib
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image
from rq.timeouts import BaseTimeoutException

from app.goods.storage import PictureStorage
from app.moderation.pictures import Look, look_at, rules_version
from app.moderation.text import TextContext
from app.moderation.verdicts import Category, Decision, Hit, Judgement

MAX_ASPECT_RATIO: Final = 30
"""The largest ratio of a picture's long side to its short side; long product descriptions stay below 20."""


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture as the database has it: `sha256` of its bytes, width and height in pixels."""

    id: int
    sha256: str
    width: int
    height: int


def check_picture(picture: StoredPicture, *, storage: PictureStorage, pixels_limit: int) -> list[str]:
    """The reasons why `picture` may not be shown; empty if it may.

    An OSError of the storage itself passes through, because it is not the picture's fault, and so do want of memory and
    the end of the job's time.
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
    except (MemoryError, BaseTimeoutException):  # the job has no room or time left, which RQ says with an Exception
        raise
    except Exception:  # noqa: BLE001 - Pillow's decoders raise nearly any exception on malicious bytes
        return ["图片无法解码"]
    reasons = []
    if size != (picture.width, picture.height):
        reasons.append("图片尺寸与记录不符")
    if max(size) > MAX_ASPECT_RATIO * min(size):
        reasons.append("图片长宽比例过大")
    return reasons


def look_at_stored(picture: StoredPicture, *, storage: PictureStorage, context: TextContext) -> Look:
    """Look at a picture in the storage, if it still is the file that was stored, by `app.moderation.pictures.look_at`.

    An OSError of the storage itself passes through, because it is not the picture's fault, and so do want of memory and
    the end of the job's time.
    """
    try:
        with storage.open(picture.sha256) as file:
            data = file.read()
    except FileNotFoundError:
        return _unusable("quality.file_missing", "图片文件缺失")
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        return _unusable("quality.file_damaged", "图片文件已损坏")
    return look_at(data, context=context)


def _unusable(code: str, reason: str) -> Look:
    return Look(Judgement(rules_version(), (Hit(Category.QUALITY, code, reason, Decision.REJECT),)), None)
