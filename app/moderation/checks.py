"""The checks of one subject: a text or a picture, with what is known of its good; within a time that is limited."""

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Final

import structlog
from rq.timeouts import BaseTimeoutException

from app.categories import Category as GoodCategory
from app.goods.models import VerdictKind, VerdictState
from app.goods.storage import picture_storage
from app.moderation.pic_verify import StoredPicture, look_at_stored
from app.moderation.pictures import Look
from app.moderation.pictures import rules_version as picture_rules_version
from app.moderation.remote import opinion_version, with_opinion_on_picture, with_opinion_on_text
from app.moderation.text import SellerHistory, TextContext, TextKind, check_text
from app.moderation.text import rules_version as text_rules_version
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from app.settings import settings
from config import ModerationProvider

log = structlog.get_logger(__name__)

TITLE: Final = (VerdictKind.TEXT, "title")
DESCRIPTION: Final = (VerdictKind.TEXT, "description")

STATE_OF: Final = {
    Decision.PASS: VerdictState.PASSED,
    Decision.REVIEW: VerdictState.REVIEW,
    Decision.REJECT: VerdictState.REJECTED,
}
"""What a judgement makes of its subject."""

UNFINISHED: Final = Hit(
    Category.QUALITY, "quality.unfinished", "机器审核未能完成,等待人工审核", Decision.REVIEW, confidence=0.0
)
"""What is said of a subject at which the machine did not come to an end."""

Subject = tuple[VerdictKind, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One revision of a good as it is judged."""

    good_id: int
    revision: int
    owner_id: int
    title: str
    description: str
    price: int
    category: int
    pictures: tuple[StoredPicture, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one subject, by what, and how long it took.

    `is_kept`: it is that of an earlier verdict, `by_staff` if a person gave that. `fingerprint` is what a picture looks
    like, where it was looked at now.
    """

    content_hash: str
    judgement: Judgement
    state: VerdictState
    milliseconds: int = 0
    by_staff: bool = False
    is_kept: bool = False
    fingerprint: int | None = None


def subjects_of(content: Content) -> dict[Subject, str]:
    """What there is to judge, each with the hash of all that its judgement depends on, but for the rules."""
    hashes = {
        TITLE: _hash_of_text(content, TextKind.TITLE, content.title),
        DESCRIPTION: _hash_of_text(content, TextKind.DESCRIPTION, content.description),
    }
    return hashes | {picture_subject(picture.id): picture.sha256 for picture in content.pictures}


def picture_subject(picture_id: int) -> Subject:
    """The subject of a picture's verdict."""
    return VerdictKind.PICTURE, f"picture:{picture_id}"


def rules_version_of(kind: VerdictKind) -> str:
    """The version of the rules by which subjects of this kind are judged now, with the service that is asked."""
    own = text_rules_version() if kind is VerdictKind.TEXT else picture_rules_version()
    return own + opinion_version()


def judge_subject(content: Content, subject: Subject, *, content_hash: str, seller: SellerHistory) -> Finding:
    """Judge one subject; what takes longer than `review_subject_seconds` (a setting) waits for a person."""
    kind, name = subject
    began = time.monotonic()
    judge = _judge_text if kind is VerdictKind.TEXT else _judge_picture
    try:
        with time_limit(settings().review_subject_seconds):
            look = judge(content, subject, seller)
    except OutOfTime:
        log.warning("subject_out_of_time", subject=name, good_id=content.good_id, revision=content.revision)
        look = Look(_UNFINISHED, None)
    milliseconds = round((time.monotonic() - began) * 1000)
    state = STATE_OF[look.judgement.decision]
    return Finding(content_hash, look.judgement, state, milliseconds, fingerprint=look.fingerprint)


def unfinished(content_hash: str) -> Finding:
    """The finding of a subject that the machine gives up."""
    return Finding(content_hash, _UNFINISHED, VerdictState.REVIEW)


_UNFINISHED: Final = Judgement("unfinished", (UNFINISHED,))
"""Under no version of the rules, so that it is not kept for what is judged later."""


def _judge_text(content: Content, subject: Subject, seller: SellerHistory) -> Look:
    is_title = subject == TITLE
    text = content.title if is_title else content.description
    context = TextContext(
        kind=TextKind.TITLE if is_title else TextKind.DESCRIPTION,
        category=GoodCategory(content.category),
        price=content.price,
        seller=seller,
    )
    return Look(with_opinion_on_text(check_text(text, context=context), text), None)


def _judge_picture(content: Content, subject: Subject, _seller: SellerHistory) -> Look:
    return look_at_picture(next(each for each in content.pictures if picture_subject(each.id) == subject))


def look_at_picture(picture: StoredPicture) -> Look:
    """Look at a picture in the storage, and ask the service for a second opinion, if there is one.

    Nothing is said of what it belongs to: what is found depends on the file alone, and holds for all that show it.
    Raises OSError where the storage is out of order.
    """
    storage = picture_storage()
    look = look_at_stored(picture, storage=storage, context=TextContext(kind=TextKind.PICTURE))
    if settings().moderation_provider is ModerationProvider.NONE or look.fingerprint is None:
        return look
    with storage.open(picture.sha256) as file:
        judgement = with_opinion_on_picture(look.judgement, file.read())
    return replace(look, judgement=judgement)


def _hash_of_text(content: Content, kind: TextKind, text: str) -> str:
    return hashlib.sha256(f"{kind} {content.category} {content.price} {text}".encode()).hexdigest()


# --- time ---


class OutOfTime(BaseTimeoutException):
    """The check of one subject took longer than it may.

    It is one of RQ's kind, so that whatever lets the end of a job's time through lets this through.
    """


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the block after so many seconds.

    By the timer of the process, which jobs of RQ have as well: theirs goes on, and ends this block if it is due first.
    Only the main thread has it; in others nothing is limited.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTime(f"after {seconds} s")

    began = time.monotonic()
    outer_left, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < outer_left <= seconds:
        yield
        return
    outer: Any = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, outer)
        if outer_left:
            signal.setitimer(signal.ITIMER_REAL, max(outer_left - (time.monotonic() - began), 0.001))
