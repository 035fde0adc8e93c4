"""Picture check (pic_verify in the API spec, `api-notes.txt`): the file exists, is intact, and is looked at."""

import hashlib
from dataclasses import dataclass

from app.goods.storage import PictureStorage
from app.moderation.pictures import Look, look_at, rules_version
from app.moderation.text import TextContext
from app.moderation.verdicts import Category, Decision, Hit, Judgement


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A picture as the database has it: `sha256` of its bytes, width and height in pixels."""

    id: int
    sha256: str
    width: int
    height: int


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
