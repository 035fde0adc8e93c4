"""Names that look alike: what nobody may be called who is not of staff, since they are taken for staff."""

from functools import cache
from importlib.resources import files

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.language.normal_form import normalise


def looks_of(name: str) -> str:
    """What `name` looks like: two names with the same looks are taken for each other (`admin`, `Аdm1n`, `ad_min`).

    Empty for a name without letters and digits.
    """
    letters = normalise(name).translate(_table())
    return "".join(each for each in letters if each.isalnum())


@cache
def _table() -> dict[int, str]:
    lines = (files("app.accounts") / "look_alikes.txt").read_text(encoding="utf-8").splitlines()
    groups = [line.split() for line in lines if not line.startswith("#")]
    return {ord(other): letter for letter, *others in groups for other in others}


def looks_like_staff(session: Session, name: str, *, user_id: int | None = None) -> bool:
    """Whether `name` looks like the username or nickname of a member of staff other than `user_id`."""
    looks = looks_of(name)
    staff = session.execute(select(User.id, User.username, User.nickname).where(User.is_staff))
    return looks != "" and any(
        looks in (looks_of(member.username), looks_of(member.nickname or ""))
        for member in staff
        if member.id != user_id
    )
