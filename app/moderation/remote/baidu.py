"""Baidu's content censoring (内容审核平台): texts and pictures by HTTP, with a token of our application.

https://cloud.baidu.com/doc/ANTIPORN/s/Rk3h6xb3i (texts), https://cloud.baidu.com/doc/ANTIPORN/s/jk42xep4e (pictures),
https://ai.baidu.com/ai-doc/REFERENCE/Ck3dwjhhu (tokens). What counts as a violation is set in Baidu's console.
"""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from PIL import Image
from urllib3.exceptions import HTTPError

from app.moderation.remote.base import Unavailable
from app.moderation.verdicts import Category, Decision, Hit

_TOKEN_PATH: Final = "/oauth/2.0/token"  # noqa: S105 - a path, no token
_TEXT_PATH: Final = "/rest/2.0/solution/v1/text_censor/v2/user_defined"
_PICTURE_PATH: Final = "/rest/2.0/solution/v1/img_censor/v2/user_defined"

_TEXT_BYTES: Final = 19_000  # Baidu takes 20,000
_PICTURE_SIDE: Final = 1280  # pixels of what is sent: enough to judge, and no more than that leaves the house
_SHORTEST_SIDE: Final = 128  # Baidu takes no smaller ones
_ANSWER_BYTES: Final = 1_000_000
_TOKEN_MARGIN: Final = 3600  # seconds before its end at which a token is changed for a new one
_LONGEST_TOKEN: Final = 30 * 86_400  # seconds: as long as Baidu's live
_RETRY_AFTER: Final = 0.6  # seconds after "too many in this second"

_COMPLIES, _VIOLATES, _DOUBTFUL, _FAILED = 1, 2, 3, 4
_POLICIES: Final = {_VIOLATES: Decision.REJECT, _DOUBTFUL: Decision.REVIEW}
"""`conclusionType` of an entry: what we make of it."""

_TOO_FAST: Final = 18
_USED_UP: Final = frozenset({4, 17, 19})  # of the day, or altogether
_TOKEN_INVALID: Final = frozenset({110, 111})
_UNTIL_THERE_IS_MORE: Final = 900  # seconds

_TEXT_CATEGORIES: Final = {
    0: Category.QUALITY,  # 低质灌水
    1: Category.CONTRABAND,  # 违禁
    2: Category.PORNOGRAPHY,  # 文本色情
    3: Category.CONTRABAND,  # 敏感信息
    4: Category.CONTACT,  # 恶意推广
    5: Category.ABUSE,  # 低俗辱骂
    6: Category.CONTACT,  # 恶意推广-联系方式
    7: Category.CONTACT,  # 恶意推广-软文推广
}
"""`subType` of an entry about a text."""

_PICTURE_CATEGORIES: Final = {
    1: Category.PORNOGRAPHY,  # 色情
    2: Category.PORNOGRAPHY,  # 性感
    3: Category.WEAPONS,  # 暴恐
    4: Category.QUALITY,  # 恶心
    5: Category.CONTACT,  # 水印码
    11: Category.CONTRABAND,  # 百度官方违禁图
    21: Category.QUALITY,  # 不良场景
}
"""`type` of an entry about a picture."""


class Baidu:
    """Asks Baidu. `turn` waits until one more query fits into the second, or raises `Unavailable`."""

    def __init__(self, *, url: str, api_key: str, secret_key: str, timeout: int, turn: Callable[[], None]) -> None:
        self._url = url.rstrip("/")
        self._credentials = {"grant_type": "client_credentials", "client_id": api_key, "client_secret": secret_key}
        self._timeout = timeout
        self._turn = turn
        self._pool = urllib3.PoolManager(maxsize=4)
        self._lock = threading.Lock()
        self._token = ""
        self._token_ends = 0.0

    def check_text(self, text: str) -> tuple[Hit, ...]:
        """As `Provider.check_text`."""
        answers = [self._ask(_TEXT_PATH, {"text": part}) for part in _parts(text)]
        return tuple(hit for answer in answers for hit in _hits(answer, _TEXT_CATEGORIES, by="subType"))

    def check_picture(self, data: bytes) -> tuple[Hit, ...]:
        """As `Provider.check_picture`."""
        answer = self._ask(_PICTURE_PATH, {"image": base64.b64encode(_to_send(data)).decode()})
        return tuple(_hits(answer, _PICTURE_CATEGORIES, by="type"))

    def _ask(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer that holds a verdict."""
        renewed = waited = False
        while True:
            token = self._valid_token()
            self._turn()
            answer = self._post(f"{path}?{urlencode({'access_token': token})}", form)
            error = _number(answer.get("error_code"))
            if error in _TOKEN_INVALID and not renewed:
                self._forget_token(token)
                renewed = True
            elif error == _TOO_FAST and not waited:  # others use the same application
                time.sleep(_RETRY_AFTER)
                waited = True
            elif "error_code" in answer:
                pause = _UNTIL_THERE_IS_MORE if error in _USED_UP else 0
                raise Unavailable(f"error {error}", pause=pause)
            elif _number(answer.get("conclusionType")) not in (_COMPLIES, _VIOLATES, _DOUBTFUL):
                raise Unavailable(f"conclusion {str(answer.get('conclusionType'))[:20]}")
            else:
                return answer

    def _valid_token(self) -> str:
        with self._lock:
            if not self._token or time.monotonic() >= self._token_ends:
                answer = self._post(_TOKEN_PATH, self._credentials)
                token, seconds = answer.get("access_token"), answer.get("expires_in")
                if not isinstance(token, str) or not token or not isinstance(seconds, int):
                    raise Unavailable(f"no token: {str(answer.get('error'))[:40]}")
                self._token = token
                self._token_ends = time.monotonic() + min(max(seconds - _TOKEN_MARGIN, 60), _LONGEST_TOKEN)
            return self._token

    def _forget_token(self, token: str) -> None:
        with self._lock:
            if self._token == token:  # else another thread has a new one already
                self._token = ""

    def _post(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = self._pool.request(
                "POST",
                self._url + path,
                body=urlencode(form),
                headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
                timeout=urllib3.Timeout(total=self._timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = response.read(_ANSWER_BYTES + 1)
            finally:
                response.close()
        except HTTPError as error:
            raise Unavailable(type(error).__name__) from None  # its text may name the URL, and that the token
        # Refused credentials come with 401 and say why.
        if response.status not in (200, 400, 401) or len(body) > _ANSWER_BYTES:
            raise Unavailable(f"status {response.status}")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):  # the latter of one that is nested a thousand times
            raise Unavailable("an answer that is no JSON") from None
        if not isinstance(answer, dict):
            raise Unavailable("an answer that is no object")
        return answer


def _parts(text: str) -> Iterator[str]:
    """The text in pieces that Baidu takes."""
    encoded = text.encode()
    while encoded:
        part = encoded[:_TEXT_BYTES].decode(errors="ignore")
        yield part
        encoded = encoded[len(part.encode()) :]


def _to_send(data: bytes) -> bytes:
    """The picture as a JPEG that is no larger than it needs to be: what else the file holds is nobody's business."""
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (_PICTURE_SIDE, _PICTURE_SIDE))
        small = image.convert("RGB")
    small.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    if min(small.size) < _SHORTEST_SIDE:
        framed = Image.new("RGB", (max(small.width, _SHORTEST_SIDE), max(small.height, _SHORTEST_SIDE)), "white")
        framed.paste(small)
        small = framed
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _hits(answer: Mapping[str, Any], categories: Mapping[int, Category], *, by: str) -> Iterator[Hit]:
    policy = _POLICIES.get(answer["conclusionType"])
    if policy is None:
        return
    entries = answer.get("data")
    found = False
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and (own := _POLICIES.get(_number(entry.get("conclusionType")))) is not None:
            category = categories.get(_number(entry.get(by)), Category.CONTRABAND)
            yield _hit(category, own, entry.get("probability"))
            found = True
    if not found:
        yield _hit(Category.CONTRABAND, policy, None)


def _number(value: object) -> int:
    """A number of the answer; -1, which stands for nothing, where there is none."""
    return value if isinstance(value, int) else -1


def _hit(category: Category, policy: Decision, probability: object) -> Hit:
    sure = float(probability) if isinstance(probability, int | float) and 0 <= probability <= 1 else 1.0
    return Hit(category, f"{category.value}.baidu", "内容未通过第三方审核", policy, round(sure, 2))
