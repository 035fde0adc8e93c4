"""URLs of registration, login, sessions and addresses."""

from flask import request

from app.accounts import queries, service, sessions
from app.accounts.captcha import make_captcha
from app.accounts.schemas import (
    AddressIn,
    AddressOut,
    AddressPatchIn,
    CaptchaOut,
    LoginIn,
    LoginOut,
    OwnProfileOut,
    PasswordIn,
    RegisteredOut,
    RegisterIn,
    TokensOut,
    address_out,
    own_profile_out,
)
from app.accounts.tokens import tokens_of
from app.answers import Answer
from app.paging import Page, PageQuery, page_of
from app.settings import settings
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("accounts", __name__, tag="用户", about="registration, login, sessions, addresses")


@api.get("/register/", out=CaptchaOut, answer=Answer.CAPTCHA_MADE, limit="rate_limit_captcha")
def captcha() -> CaptchaOut:
    """A captcha for the registration.

    It lives five minutes and works once, right or wrong.
    """
    made = make_captcha(lifetime=settings().captcha_lifetime)
    out: CaptchaOut = {"captcha_id": made.id, "image": made.image}
    return {**out, "captcha_code": made.code} if settings().captcha_reveal else out


@api.post(
    "/register/",
    body=RegisterIn,
    out=RegisteredOut,
    answer=Answer.REGISTERED,
    malformed=Answer.REGISTRATION_MALFORMED,
    refuses=(Answer.CAPTCHA_WRONG, Answer.REGISTRATION_FAILED),
    limit="rate_limit_register",
)
def register(*, body: RegisterIn) -> RegisteredOut:
    """Register.

    The format is checked first, then the captcha, which a malformed request leaves unused, then whether the username
    is taken; upper and lower case are one.
    """
    user_id = service.register(
        username=body.username,
        password=body.password.get_secret_value(),
        captcha_id=body.captcha_id,
        captcha_code=body.captcha_code,
    )
    return {"user_id": user_id, "username": body.username}


@api.post(
    "/login/",
    body=LoginIn,
    out=LoginOut,
    answer=Answer.LOGGED_IN,
    malformed=Answer.LOGIN_MALFORMED,
    refuses=(Answer.WRONG_CREDENTIALS, Answer.LOGIN_FAILED, Answer.ACCOUNT_SUSPENDED),
    limit="rate_limit_login",
    idempotent=False,
)
def login(*, body: LoginIn) -> LoginOut:
    """Log in.

    After too many failures from the caller's network, logins are refused (429) for the seconds in `Retry-After`, which
    double with each further failure. After many from networks in which the account is not at home, all of those are
    refused.
    """
    user, issue = service.login(
        username=body.username, password=body.password.get_secret_value(), origin=request.remote_addr
    )
    return {**tokens_of(issue), "user": own_profile_out(user)}


@api.post(
    "/api/token_refresh/",
    auth=Auth.REFRESH,
    out=TokensOut,
    answer=Answer.TOKEN_REFRESHED,
    limit="rate_limit_login",
    idempotent=False,
)
def refresh_tokens(*, actor: Actor) -> TokensOut:
    """Renew the tokens.

    The refresh token comes as bearer; the answer is a new pair. Each refresh token works once. Used again within a few
    seconds it answers the same pair, because answers get lost; later it ends its session.
    """
    claims = actor.claims
    return tokens_of(sessions.rotate(user_id=actor.id, session_id=claims["session"], jti=claims["jti"]))


@api.post("/api/logout/", auth=Auth.USER, answer=Answer.LOGGED_OUT, idempotent=False)
def logout(*, actor: Actor) -> None:
    """Log out.

    The session ends: its access and refresh tokens are refused from now on.
    """
    sessions.end_session(user_id=actor.id, session_id=actor.claims["session"])


@api.get("/api/user/", auth=Auth.USER, out=OwnProfileOut, answer=Answer.USER_FOUND, refuses=(Answer.NO_SUCH_USER,))
def own_profile(*, actor: Actor) -> OwnProfileOut:
    """The caller's own profile."""
    return own_profile_out(queries.own_profile(actor.id))


@api.post(
    "/api/user/password/",
    auth=Auth.USER,
    body=PasswordIn,
    answer=Answer.PASSWORD_CHANGED,
    refuses=(Answer.OLD_PASSWORD_WRONG, Answer.NO_SUCH_USER, Answer.TOO_MANY_REQUESTS),
    limit="rate_limit_login",
)
def change_password(*, actor: Actor, body: PasswordIn) -> None:
    """Change the password.

    This session goes on; all others of the user end.
    """
    service.change_password(
        user_id=actor.id,
        session_id=actor.claims["session"],
        old_password=body.old_password.get_secret_value(),
        new_password=body.new_password.get_secret_value(),
    )


@api.post(
    "/api/add_address/",
    auth=Auth.USER,
    body=AddressIn,
    out=AddressOut,
    answer=Answer.ADDRESS_ADDED,
    refuses=(Answer.TOO_MANY_ADDRESSES, Answer.NO_SUCH_USER),
)
def add_address(*, actor: Actor, body: AddressIn) -> AddressOut:
    """Add a delivery address.

    The first address is the default one, whatever `is_default` says.
    """
    return address_out(service.add_address(user_id=actor.id, **body.changes()))


@api.get(
    "/api/address/",
    auth=Auth.USER,
    query=PageQuery,
    out=Page[AddressOut],
    answer=Answer.ADDRESS_FOUND,
    empty=Answer.NO_ADDRESSES,
)
def addresses(*, actor: Actor, query: PageQuery) -> Page[AddressOut]:
    """The caller's delivery addresses.

    The default one first, then the newest.
    """
    kept = queries.addresses(actor.id)
    shown = kept[query.offset : query.offset + query.size]
    return page_of([address_out(row) for row in shown], total=len(kept), query=query)


@api.get(
    "/api/address/<id:address_id>/",
    auth=Auth.USER,
    out=AddressOut,
    answer=Answer.ADDRESS_FOUND,
    refuses=(Answer.NO_SUCH_ADDRESS,),
)
def address(*, actor: Actor, address_id: int) -> AddressOut:
    """One of the caller's delivery addresses."""
    return address_out(queries.address(user_id=actor.id, address_id=address_id))


@api.put(
    "/api/address/<id:address_id>/",
    auth=Auth.USER,
    body=AddressIn,
    out=AddressOut,
    answer=Answer.ADDRESS_EDITED,
    refuses=(Answer.NO_SUCH_ADDRESS, Answer.NO_SUCH_USER),
)
def replace_address(*, actor: Actor, address_id: int, body: AddressIn) -> AddressOut:
    """Replace a delivery address."""
    return address_out(service.edit_address(user_id=actor.id, address_id=address_id, **body.changes()))


@api.patch(
    "/api/address/<id:address_id>/",
    auth=Auth.USER,
    body=AddressPatchIn,
    out=AddressOut,
    answer=Answer.ADDRESS_EDITED,
    refuses=(Answer.NO_SUCH_ADDRESS, Answer.NO_SUCH_USER),
)
def edit_address(*, actor: Actor, address_id: int, body: AddressPatchIn) -> AddressOut:
    """Edit some fields of a delivery address."""
    return address_out(service.edit_address(user_id=actor.id, address_id=address_id, **body.changes()))


@api.post(
    "/api/address/<id:address_id>/default/",
    auth=Auth.USER,
    out=AddressOut,
    answer=Answer.ADDRESS_EDITED,
    refuses=(Answer.NO_SUCH_ADDRESS, Answer.NO_SUCH_USER),
)
def make_address_default(*, actor: Actor, address_id: int) -> AddressOut:
    """Make a delivery address the default one."""
    return address_out(service.edit_address(user_id=actor.id, address_id=address_id, is_default=True))


@api.delete(
    "/api/address/<id:address_id>/",
    auth=Auth.USER,
    answer=Answer.ADDRESS_DELETED,
    refuses=(Answer.NO_SUCH_ADDRESS, Answer.NO_SUCH_USER),
)
def delete_address(*, actor: Actor, address_id: int) -> None:
    """Delete a delivery address.

    Where it was the default, the newest remaining one becomes it. Orders keep their copies.
    """
    service.delete_address(user_id=actor.id, address_id=address_id)
