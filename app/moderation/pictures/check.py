"""The public function of the check of pictures."""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Final

from app import vision
from app.goods.pictures import check_size
from app.moderation.pictures import codes, engines
from app.moderation.pictures.cards import card_hits
from app.moderation.pictures.engines import DETECTION_SIDE
from app.moderation.pictures.fingerprints import fingerprint
from app.moderation.pictures.frames import Frame, Looks, Undecodable, decode
from app.moderation.pictures.reading import Line, Reading, read_texts
from app.moderation.pictures.surfaces import surface_hits
from app.moderation.text import TextContext, TextKind, check_text, load_rules
from app.moderation.text import rules_version as text_rules_version
from app.moderation.verdicts import Box, Category, Decision, Hit, Judgement, Span
from app.settings import settings
from config import UnseenPictures

_NOTHING_KNOWN: Final = TextContext(kind=TextKind.PICTURE)
_VERSION: Final = "picture-3"  # counted up when anything changes but the files that are hashed below

_NUDE: Final = 0.85
"""From this score on a person looks: the model flags grids of harmless pictures, too, and misses plain cases."""

_LEAST_SEEN: Final = 32  # pixels of the short side

_HOTLINE: Final = re.compile(r"[48]00[ \-]?\d{3,4}[ \-]?\d{3,4}")
"""A maker's number for customers: on the thing itself and its box it leads nobody past the platform."""

_FRAMES_WORTH: Final = 1.6
"""In the frames of an animation, together, lines are looked for in as many pixels as in so many pictures, …"""

_LEAST_SIDE: Final = 192
"""… but in no fewer of each: letters of a 20th of it are found."""

_THOROUGH_FRAMES: Final = 4
"""Of an animation, how many frames are looked at for what costs most: nudity, and codes that are hard to read."""

_PRINTED: Final = frozenset({"contact.link", "contact.mail", "contact.landline", "contact.handle"})
"""What makers print on things and their boxes, too: a person tells it from the seller's own."""

_OWN_MARK: Final = re.compile(r"(?:闲鱼|咸鱼)\s*$")
"""What stands before the seller's name in the mark that the app puts on pictures: 闲鱼@小王的店."""

_SURE: Final = 0.8
"""A line that was read with a lower score rejects nothing: a person looks."""


@cache
def _digest_of_files() -> str:
    return hashlib.sha256(codes.RULES.read_bytes()).hexdigest()[:8]


def rules_version() -> str:
    """The version of all that `check_picture` does now: part of the key of kept verdicts."""
    eyes = "" if vision.is_installed() else f"/unseen-{settings().pictures_unseen}"
    return f"{_VERSION}.{_digest_of_files()}/{text_rules_version()}{eyes}"


def load() -> None:
    """Load what `look_at` needs, models and lists, now: a worker does it before its first job."""
    engines.load()
    load_rules()


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of a picture, and its fingerprint (`app.moderation.pictures.fingerprints`), if it has one."""

    judgement: Judgement
    fingerprint: int | None


def check_picture(data: bytes, *, context: TextContext = _NOTHING_KNOWN) -> Judgement:
    """What is wrong with the picture in `data`, as `look_at` finds it."""
    return look_at(data, context=context).judgement


def look_at(data: bytes, *, context: TextContext = _NOTHING_KNOWN) -> Look:
    """Look at the picture in `data`, a whole file. It reads settings and needs an application context.

    `context` is what is known of the good. Boxes are in pixels of the upright picture. Want of memory and the end of a
    job's time pass through; all else that is wrong with the file is a hit.
    """
    try:
        return _look_at(data, context=replace(context, kind=TextKind.PICTURE))
    finally:
        engines.return_memory()


def _look_at(data: bytes, *, context: TextContext) -> Look:
    try:
        if too_large := check_size(len(data), limit=settings().picture_bytes_limit):
            raise Undecodable(f"图片{too_large}")  # noqa: TRY301 - as the decoder says it
        looks = decode(data, pixels_limit=settings().picture_pixels_limit)
    except Undecodable as refusal:
        broken = Hit(Category.QUALITY, "quality.undecodable", str(refusal), Decision.REJECT)
        return Look(Judgement(rules_version(), (broken,)), None)
    hits = dict.fromkeys(_hits(looks, context=context))
    return Look(Judgement(rules_version(), tuple(hits)), fingerprint(looks.frames[0]))


def _hits(looks: Looks, *, context: TextContext) -> Iterator[Hit]:
    surfaces = [list(surface_hits(frame, width=looks.width, height=looks.height)) for frame in looks.frames]
    # An animation is blank where all of its frames are: many begin with an empty one.
    shows_nothing = surfaces[0] if all(surfaces) else []
    # One that is tiny for a good may still show a code: it may be the picture of a person.
    too_small = min(looks.width, looks.height) < _LEAST_SEEN
    if Judgement("", tuple(shows_nothing)).decision is Decision.REJECT and (too_small or not _is_tiny(shows_nothing)):
        yield from shows_nothing
        return
    if not vision.is_installed():
        yield from shows_nothing
        yield from _unseen_hits()
        return
    side = round(DETECTION_SIDE * min(_FRAMES_WORTH / len(looks.frames), 1) ** 0.5)
    readings = read_texts(looks.frames, side=max(side, _LEAST_SIDE))
    every = math.ceil(len(looks.frames) / _THOROUGH_FRAMES)
    for place, (frame, reading) in enumerate(zip(looks.frames, readings, strict=True)):
        is_thorough = place % every == 0
        yield from codes.code_hits(codes.read_codes(frame, thorough=is_thorough), context=context)
        # Words on an empty ground are something.
        if any(line.score >= _SURE for line in reading.lines) and not _is_tiny(shows_nothing):
            shows_nothing = []
        yield from _text_hits(reading, context=context)
        if is_thorough:
            yield from _nudity_hits(frame)
    yield from shows_nothing
    if not looks.complete:
        yield Hit(Category.QUALITY, "quality.unseen_frames", "动图过长,需人工查看", Decision.REVIEW, confidence=0.5)


def _is_tiny(hits: Sequence[Hit]) -> bool:
    return [hit.code for hit in hits] == ["quality.tiny"]


def _unseen_hits() -> Iterator[Hit]:
    if settings().pictures_unseen is UnseenPictures.REVIEW:
        yield Hit(Category.QUALITY, "quality.unseen", "图片需人工查看", Decision.REVIEW, confidence=0.0)


def _text_hits(reading: Reading, *, context: TextContext) -> Iterator[Hit]:
    """What is wrong with the text in a frame, line for line; then with lines that belong together."""
    lines = reading.lines
    found: set[str] = set()
    for hit in _checked(lines, "\n", context=context):
        found.add(hit.code)
        yield hit
    if len(lines) > 1:
        # VX in one line, the number in the next. Columns of a table are joined, too, so a person looks.
        for hit in _checked(lines, " ", context=context):
            if hit.code not in found and hit.policy is not Decision.PASS:
                yield replace(hit, policy=Decision.REVIEW)
    yield from card_hits("\n".join(line.text for line in lines))
    if not reading.complete:
        yield Hit(Category.QUALITY, "quality.unread", "图片文字过多,需人工查看", Decision.REVIEW, confidence=0.5)


def _checked(lines: Sequence[Line], separator: str, *, context: TextContext) -> Iterator[Hit]:
    starts = list(accumulate((len(line.text) + len(separator) for line in lines), initial=0))
    text = separator.join(line.text for line in lines)
    for hit in check_text(text, context=context).hits:
        if hit.span is not None and _is_harmless(hit.code, text, hit.span):
            continue
        touched = [
            line
            for line, start in zip(lines, starts, strict=False)
            if hit.span is None or (start < hit.span.end and hit.span.start < start + len(line.text))
        ]
        score = min((line.score for line in touched), default=1.0)
        is_doubtful = score < _SURE or hit.code in _PRINTED
        policy = Decision.REVIEW if hit.policy is Decision.REJECT and is_doubtful else hit.policy
        yield Hit(
            hit.category,
            hit.code,
            f"图片文字{hit.reason}",
            policy,
            round(hit.confidence * score, 2),
            box=_around([line.box for line in touched]),
        )


def _is_harmless(code: str, text: str, span: Span) -> bool:
    if code == "contact.handle":
        return _OWN_MARK.search(text, 0, span.start) is not None
    return _HOTLINE.fullmatch(text[span.start : span.end].strip()) is not None


def _around(boxes: Sequence[Box]) -> Box | None:
    if not boxes:
        return None
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.left + box.width for box in boxes), max(box.top + box.height for box in boxes)
    return Box(left, top, right - left, bottom - top)


def _nudity_hits(frame: Frame) -> Iterator[Hit]:
    score = engines.nudity_classifier().classify(frame.pixels).nsfw
    if score >= _NUDE:
        yield Hit(
            Category.PORNOGRAPHY, "pornography.nudity", "图片疑似裸露,需人工查看", Decision.REVIEW, round(score, 2)
        )
