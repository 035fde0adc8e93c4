"""What users do with their profiles, one function per verb, each one transaction; and the review of avatars."""

from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from typing import IO, Final

import structlog
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from app.accounts.look_alikes import looks_like_staff
from app.accounts.models import User
from app.accounts.suspensions import lock_user, refuse_suspended
from app.accounts.usernames import username_key
from app.answers import Answer, Refused, field_errors
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.goods.picture_quota import subtract_usage
from app.goods.stored_pictures import store_pictures
from app.goods.uploads import prepare_uploads
from app.moderation.checks import look_at_picture
from app.moderation.pic_verify import StoredPicture
from app.moderation.verdicts import Decision, Judgement
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from app.outbox.models import Topic
from app.outbox.service import add_message
from app.profiles.models import PART_TEXT, Avatar, AvatarState, ProfilePart
from app.profiles.nicknames import claims_to_be_official
from app.profiles.squares import square_of
from app.settings import settings
from app.staff.models import ActionKind, Subject
from app.staff.service import check_staff, record_action
from app.staff_roles import Permission

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 500
_WELCOME: Final = frozenset(
    {"quality.tiny", "quality.blank", "quality.nearly_blank", "quality.strip", "quality.unseen", "quality.unread"}
)
"""What is wrong with the picture of a good, and not with that of a person."""

_WITHOUT_OBJECTS: Final = {"synchronize_session": False}


def edit_profile(*, user_id: int, changes: dict[str, str | None]) -> None:
    """Change `bio` and `nickname`, or one of them, as `schemas.ProfileIn` reads them.

    Raises Refused with NO_SUCH_USER, and MALFORMED where nothing is to be changed, or the nickname claims to be the
    platform's, or is taken for somebody of staff or for another user's username.
    """
    if not changes:
        raise Refused(Answer.MALFORMED, data=field_errors(body="没有要修改的内容"))
    with transaction() as session:
        user = lock_user(session, user_id)
        nickname = changes.get("nickname")
        if nickname is not None:
            reasons = _reasons_against(session, nickname, user)
            if reasons:
                raise Refused(Answer.MALFORMED, data=field_errors(nickname=reasons))
        for name, value in changes.items():
            setattr(user, name, value)


def _reasons_against(session: Session, nickname: str, user: User) -> list[str]:
    """Why the user may not be called so."""
    if not user.is_staff and claims_to_be_official(nickname):
        return ["不能冒充平台或客服"]
    if looks_like_staff(session, nickname, user_id=user.id):
        return ["与平台工作人员的名称过于相似"]
    others = select(User.id).where(User.username_key == username_key(nickname), User.id != user.id)
    return ["与其他用户的用户名相同"] if session.scalar(others) is not None else []


def upload_avatar(*, user_id: int, upload: IO[bytes]) -> None:
    """Keep a new avatar for the user, in the place of one that waited or did not pass. Its review shows it.

    Raises Refused with NO_SUCH_USER, ACCOUNT_SUSPENDED, and as `app.goods.uploads.prepare_uploads`, MALFORMED with what
    is wrong with the picture.
    """
    [prepared] = prepare_uploads([upload], user_id=user_id, malformed=Answer.MALFORMED, alone=True)
    square = square_of(prepared)
    with transaction() as session:
        refuse_suspended(lock_user(session, user_id))
        _detach(session, Avatar.user_id == user_id, Avatar.state != AvatarState.PASSED.value)
        avatar = Avatar(
            user_id=user_id,
            state=AvatarState.PENDING.value,
            reasons=[],
            sha256=square.sha256,
            content_type=square.content_type,
            size=len(square.data),
            side=square.width,
            created_at=utcnow(),
        )
        session.add(avatar)
        session.flush()
        add_message(session, Topic.AVATAR_REVIEW, avatar.id)
        store_pictures(session, [square], user_id=user_id)


def delete_avatar(*, user_id: int) -> None:
    """Take the user's avatars away, the one that is shown and the one that waits. Raises Refused(NO_SUCH_USER)."""
    with transaction() as session:
        lock_user(session, user_id).avatar_id = None
        session.flush()
        _detach(session, Avatar.user_id == user_id)


def clear_profile(*, actor_id: int, user_id: int, parts: Collection[ProfilePart], reason: str) -> None:
    """Take away what a user shows: nickname, bio, or avatars, with one that waits for its review. The user is told why.

    Where nothing of it is there, nothing is done. Raises FORBIDDEN for an actor who is not staff and for a user who is,
    NO_SUCH_USER.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.SUSPEND)
        user = lock_user(session, user_id)
        if user.is_staff:
            raise Refused(Answer.FORBIDDEN)
        cleared = [part for part in ProfilePart if part in parts and _clear(session, user, part)]
        if not cleared:
            return
        record_action(
            session,
            ActionKind.CLEAR_PROFILE,
            actor_id=actor_id,
            subject=Subject.USER,
            subject_id=user_id,
            reason=reason,
            details={"parts": [part.value for part in cleared]},
        )
        words = "、".join(PART_TEXT[part] for part in cleared)
        notify(
            session,
            user_id=user_id,
            kind=NotificationKind.STAFF,
            title="资料已被清除",
            text=f"你的{words}违反平台规则,已被清除。原因:{reason}",
            event="clear_profile",
        )
    log.info("profile_cleared", actor_id=actor_id, user_id=user_id, parts=[part.value for part in cleared])


def _clear(session: Session, user: User, part: ProfilePart) -> bool:
    """Take one part away; False where there is none."""
    if part is ProfilePart.AVATAR:
        user.avatar_id = None
        session.flush()
        return _detach(session, Avatar.user_id == user.id) > 0
    if part is ProfilePart.NICKNAME:
        is_there, user.nickname = user.nickname is not None, None
    else:
        is_there, user.bio = user.bio != "", ""
    return is_there


def forget_avatars(session: Session, *, user_id: int) -> None:
    """Delete all avatars of a user whose row is locked; the files go with the next sweep."""
    session.execute(update(User).where(User.id == user_id).values(avatar_id=None), execution_options=_WITHOUT_OBJECTS)
    gone = session.execute(
        delete(Avatar).where(Avatar.user_id == user_id).returning(Avatar.size), execution_options=_WITHOUT_OBJECTS
    ).scalars()
    sizes = gone.all()
    subtract_usage(session, {user_id: sum(sizes)} if sizes else {})


def review_avatar(avatar_id: int) -> None:
    """Check an avatar as pictures of goods are checked, and show it in the place of the earlier one if it passes.

    No person looks at avatars: one of which the machine is not sure does not pass, and its owner takes another. Does
    nothing if it was reviewed, replaced or deleted meanwhile.
    """
    row = row_or_none(select(Avatar.__table__).where(Avatar.id == avatar_id, *_is_waiting()))
    if row is None:
        return
    picture = StoredPicture(row.id, row.sha256, row.side, row.side)
    reasons = _faults(look_at_picture(picture).judgement)
    with transaction() as session:
        user = session.scalar(select(User).where(User.id == row.user_id).with_for_update(key_share=True))
        avatar = session.scalar(select(Avatar).where(Avatar.id == avatar_id, *_is_waiting()).with_for_update())
        if user is None or avatar is None:
            return
        avatar.reviewed_at = utcnow()
        avatar.reasons = reasons
        if reasons:
            avatar.state = AvatarState.FAILED.value
        else:
            _detach(session, Avatar.user_id == user.id, Avatar.state == AvatarState.PASSED.value)
            avatar.state = AvatarState.PASSED.value
            user.avatar_id = avatar.id
    log.info("avatar_reviewed", avatar_id=avatar_id, passed=not reasons)


def _faults(judgement: Judgement) -> list[str]:
    against = [hit for hit in judgement.hits if hit.policy is not Decision.PASS and hit.code not in _WELCOME]
    return list(dict.fromkeys(hit.reason for hit in against))


def collect_avatars() -> int:
    """Delete the avatars that nobody has seen for UNUSED_PICTURE_LIFETIME; returns how many. Their files stay."""
    before = utcnow() - timedelta(seconds=settings().unused_picture_lifetime)
    deleted = 0
    while True:
        old = (
            select(Avatar.id, Avatar.user_id, Avatar.size)
            .where(Avatar.detached_at < before)
            .order_by(Avatar.id)
            .limit(_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        with transaction() as session:
            found = session.execute(old).all()
            ids = [row.id for row in found]
            session.execute(delete(Avatar).where(Avatar.id.in_(ids)), execution_options=_WITHOUT_OBJECTS)
            freed: Counter[int] = Counter()
            for row in found:
                freed[row.user_id] += row.size
            subtract_usage(session, freed)
        deleted += len(found)
        if len(found) < _AT_ONCE:
            return deleted


def _is_waiting() -> tuple[ColumnElement[bool], ...]:
    return Avatar.state == AvatarState.PENDING.value, Avatar.detached_at.is_(None)


def _detach(session: Session, *which: ColumnElement[bool]) -> int:
    """Let nobody see these avatars any more; returns how many."""
    detached = session.execute(
        update(Avatar).where(*which, Avatar.detached_at.is_(None)).values(detached_at=utcnow()).returning(Avatar.id),
        execution_options=_WITHOUT_OBJECTS,
    )
    return len(detached.all())
