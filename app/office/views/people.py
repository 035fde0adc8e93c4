"""Users: search, one with what is theirs in numbers, suspend and let in; members of staff, and what they did."""

from datetime import datetime, time, timedelta
from typing import Literal

from flask import Response

from app.answers import Answer, Refused, field_errors
from app.clock import SHANGHAI, utcnow
from app.office.views.pages import done, office, show
from app.office.views.texts import SUBJECT_PATH, SUBJECT_TEXT, detail_lines
from app.paging import page_of
from app.profiles import service as profiles
from app.profiles.models import PART_TEXT, ProfilePart
from app.profiles.schemas import ClearProfileIn
from app.staff import login, queries, service
from app.staff.schemas import ActionQuery, DayIn, DecisionIn, ReadQuery, UserQuery
from app.staff.sessions import Member
from app.staff_roles import ROLE_TEXT, Permission

_DAYS: dict[str, int] = {"1": 1, "3": 3, "7": 7, "30": 30}


class SuspensionIn(DecisionIn):
    """Why and for how long: some days, to the end of a day, or for good."""

    days: Literal["1", "3", "7", "30", "until", "forever"]
    until: DayIn | None = None

    def ends_at(self) -> datetime | None:
        """When it ends; None for one for good. Raises MALFORMED where the day is missing or past."""
        if self.days == "forever":
            return None
        if self.days in _DAYS:
            return utcnow() + timedelta(days=_DAYS[self.days])
        if self.until is None:
            raise Refused(Answer.MALFORMED, data=field_errors(until="必填"))
        end = datetime.combine(self.until + timedelta(days=1), time(), SHANGHAI)
        if end <= utcnow():
            raise Refused(Answer.MALFORMED, data=field_errors(until="须晚于现在"))
        return end


@office.page("/users/", title="用户", permission=Permission.USERS, query=UserQuery)
def users(*, member: Member, query: UserQuery) -> Response:
    """Users, filtered."""
    items, total = queries.list_users(actor_id=member.id, query=query)
    return show("users.html", page=page_of(items, total=total, query=query), query=query)


@office.page("/users/<id:user_id>/", title="用户详情", permission=Permission.USERS)
def user(*, member: Member, user_id: int) -> Response:
    """One user."""
    found = queries.user_detail(actor_id=member.id, user_id=user_id)
    return show("user.html", user=found, roles=ROLE_TEXT, parts=PART_TEXT)


@office.form("/users/<id:user_id>/suspend/", title="停用账号", permission=Permission.SUSPEND, body=SuspensionIn)
def suspend_user(*, member: Member, user_id: int, body: SuspensionIn) -> Response:
    """Keep a user out."""
    service.suspend_user(actor_id=member.id, user_id=user_id, reason=body.reason, until=body.ends_at())
    return done(f"用户 {user_id} 已停用", to=f"/admin/users/{user_id}/")


@office.form("/users/<id:user_id>/lift/", title="恢复账号", permission=Permission.SUSPEND, body=DecisionIn)
def lift_suspension(*, member: Member, user_id: int, body: DecisionIn) -> Response:
    """Let a user in again."""
    service.lift_suspension(actor_id=member.id, user_id=user_id, reason=body.reason)
    return done(f"用户 {user_id} 已恢复", to=f"/admin/users/{user_id}/")


@office.form("/users/<id:user_id>/clear/", title="清除资料", permission=Permission.SUSPEND, body=ClearProfileIn)
def clear_profile(*, member: Member, user_id: int, body: ClearProfileIn) -> Response:
    """Take away a nickname, bio or avatar that breaks the rules."""
    parts = [ProfilePart(each) for each in body.parts]
    profiles.clear_profile(actor_id=member.id, user_id=user_id, parts=parts, reason=body.reason)
    return done(f"用户 {user_id} 的资料已清除", to=f"/admin/users/{user_id}/")


@office.form("/users/<id:user_id>/reset_code/", title="密码重置码", permission=Permission.SUSPEND, body=DecisionIn)
def issue_reset_code(*, member: Member, user_id: int, body: DecisionIn) -> Response:
    """A code for a new password, shown once, on this page alone."""
    issued = service.issue_reset_code(actor_id=member.id, user_id=user_id, reason=body.reason)
    return show("reset_code.html", issued=issued, user_id=user_id)


@office.page("/members/", title="成员", permission=Permission.MEMBERS)
def members(*, member: Member) -> Response:
    """Who is of staff."""
    return show("members.html", members=queries.list_members(actor_id=member.id), roles=ROLE_TEXT)


@office.form(
    "/members/<id:user_id>/reset_second_factor/", title="重置两步验证", permission=Permission.MEMBERS, body=DecisionIn
)
def reset_second_factor(*, member: Member, user_id: int, body: DecisionIn) -> Response:
    """Let another member set up a new authenticator app."""
    login.reset_second_factor(actor_id=member.id, user_id=user_id, reason=body.reason)
    return done(f"用户 {user_id} 的两步验证已重置", to="/admin/members/")


@office.page("/actions/", title="操作记录", permission=Permission.AUDIT, query=ActionQuery)
def actions(*, member: Member, query: ActionQuery) -> Response:
    """What staff did and why."""
    items, total = queries.list_actions(actor_id=member.id, query=query)
    page = page_of(items, total=total, query=query)
    return show(
        "actions.html",
        page=page,
        query=query,
        subjects=SUBJECT_TEXT,
        paths=SUBJECT_PATH,
        detail_lines=detail_lines,
    )


@office.page("/reads/", title="查阅记录", permission=Permission.AUDIT, query=ReadQuery)
def reads(*, member: Member, query: ReadQuery) -> Response:
    """What staff read of other people and why."""
    items, total = queries.list_reads(actor_id=member.id, query=query)
    return show("reads.html", page=page_of(items, total=total, query=query), query=query, subjects=SUBJECT_TEXT)
