"""Bodies and answers of the accounts' URLs."""

from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.accounts.passwords import KnownPasswordIn, NewPasswordIn, resembles
from app.accounts.usernames import UsernameIn
from app.clock import MomentOut, format_moment
from app.fields import CleanText, Compact, PersonNameIn, PhoneIn, PhoneOfSomePlaceIn
from app.fields.phones import read_phone
from app.moderation.text import TextKind, objection
from app.regions.table import missing_level, phone_place


class RegisterIn(BaseModel):
    """A registration."""

    model_config = ConfigDict(frozen=True)

    username: UsernameIn
    password: NewPasswordIn
    captcha_id: Annotated[str, CleanText(1, 64)]
    captcha_code: Annotated[str, Compact(1, 16)]

    @field_validator("password")
    @classmethod
    def _not_the_username(cls, password: NewPasswordIn, info: ValidationInfo) -> NewPasswordIn:
        if resembles(password.get_secret_value(), info.data.get("username", "")):
            raise ValueError("不能与用户名相同")
        return password

    @field_validator("username")
    @classmethod
    def _says_nothing_forbidden(cls, username: str) -> str:
        reason = objection(username, kind=TextKind.USERNAME)
        if reason is not None:
            raise ValueError(reason)
        return username


class LoginIn(BaseModel):
    """A login."""

    model_config = ConfigDict(frozen=True)

    username: UsernameIn
    password: KnownPasswordIn


class PasswordIn(BaseModel):
    """A change of password."""

    model_config = ConfigDict(frozen=True)

    old_password: KnownPasswordIn
    new_password: NewPasswordIn


_Place = Annotated[str, CleanText(1, 30)]
_PlaceIfAny = Annotated[str, CleanText(0, 30)]
_Detail = Annotated[str, CleanText(1, 200)]


class AddressIn(BaseModel):
    """A delivery address. `is_default` false never takes the default away: there is always exactly one.

    `GET /api/regions/` tells which level a place needs: 东莞市 has no districts, in 香港 the city may be left out too.
    """

    model_config = ConfigDict(frozen=True)

    name: PersonNameIn
    province: _Place
    city: Annotated[_PlaceIfAny, Field(validate_default=True)] = ""
    district: Annotated[_PlaceIfAny, Field(validate_default=True)] = ""
    detail: _Detail
    mobile: PhoneIn
    is_default: bool = False

    @field_validator("city", "district")
    @classmethod
    def _named_where_needed(cls, name: str, info: ValidationInfo) -> str:
        places = {"province": "", "city": "", "district": ""} | info.data | {info.field_name: name}
        missing = missing_level(**{level: places[level] for level in ("province", "city", "district")})
        if missing is not None and missing[0] == info.field_name:
            raise ValueError(missing[1])
        return name

    @field_validator("mobile", mode="before")
    @classmethod
    def _dialled_there(cls, mobile: object, info: ValidationInfo) -> str:
        return read_phone(mobile, place=phone_place(info.data.get("province", "")))

    def changes(self) -> dict[str, Any]:
        """Every field."""
        return self.model_dump()


class AddressPatchIn(BaseModel):
    """Some fields of a delivery address; those left out stay as they are. What a place needs is as in `AddressIn`."""

    model_config = ConfigDict(frozen=True)

    # The defaults only make the fields optional: `changes` leaves fields out that were not sent.
    name: PersonNameIn = Field(default_factory=str)
    province: _Place = Field(default_factory=str)
    city: _PlaceIfAny = Field(default_factory=str)
    district: _PlaceIfAny = Field(default_factory=str)
    detail: _Detail = Field(default_factory=str)
    mobile: PhoneOfSomePlaceIn = Field(default_factory=str)
    is_default: bool = Field(default_factory=bool)

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class CaptchaOut(TypedDict):
    """A captcha; `image` is a PNG as data URI, `captcha_code` is there only where the setting CAPTCHA_REVEAL is on."""

    captcha_id: str
    image: str
    captcha_code: NotRequired[str]


class RegisteredOut(TypedDict):
    """Who was registered."""

    user_id: int
    username: str


class PersonOut(TypedDict):
    """A user wherever one is named. A `nickname` is shown instead of the username; `avatar` is a URL."""

    id: int
    username: str
    nickname: str | None
    avatar: str | None


class OwnProfileOut(PersonOut):
    """A user as they see themselves."""

    bio: str
    is_staff: bool
    created_at: MomentOut


class TokensOut(TypedDict):
    """Bearer tokens; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class LoginOut(TokensOut):
    """Tokens, and whose they are."""

    user: OwnProfileOut


class AddressOut(TypedDict):
    """A delivery address, for its owner.

    `mobile` is eleven digits, or E.164 (`+85298765432`) where it is no mobile number of the mainland. `city` and
    `district` are empty where the place has none.
    """

    id: int
    name: str
    mobile: str
    province: str
    city: str
    district: str
    detail: str
    is_default: bool
    created_at: MomentOut
    updated_at: MomentOut


def avatar_url(avatar_id: int | None) -> str | None:
    """The URL that serves an avatar."""
    return None if avatar_id is None else f"/api/avatar/{avatar_id}/"


def person_out(user_id: int, *, username: str, nickname: str | None, avatar_id: int | None) -> PersonOut:
    """A user wherever one is named."""
    return {"id": user_id, "username": username, "nickname": nickname, "avatar": avatar_url(avatar_id)}


def own_profile_out(row: Row[Any]) -> OwnProfileOut:
    """`row` of `queries.own_profile`."""
    return {
        **person_out(row.id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id),
        "bio": row.bio,
        "is_staff": row.is_staff,
        "created_at": format_moment(row.created_at),
    }


def address_out(row: Row[Any]) -> AddressOut:
    """`row` of the table of addresses."""
    return {
        "id": row.id,
        "name": row.name,
        "mobile": row.mobile,
        "province": row.province,
        "city": row.city,
        "district": row.district,
        "detail": row.detail,
        "is_default": row.is_default,
        "created_at": format_moment(row.created_at),
        "updated_at": format_moment(row.updated_at),
    }


class SuspensionOut(TypedDict):
    """Why staff suspended a user, since when and until when (null: for good)."""

    reason: str
    since: MomentOut
    until: MomentOut | None
