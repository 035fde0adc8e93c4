"""URLs of forgotten passwords and of the addresses that help then."""

from flask import request

from app.answers import Answer
from app.messaging.base import Channel
from app.recovery import queries, service
from app.recovery.schemas import (
    ChannelRemoveIn,
    ChannelRequestIn,
    ChannelVerifyIn,
    ForgotIn,
    RecoveryOut,
    ResetIn,
)
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("recovery", __name__, tag="找回密码", about="forgotten passwords, and the addresses that help then")


@api.get("/api/user/recovery/", auth=Auth.USER, out=RecoveryOut, answer=Answer.RECOVERY_FOUND)
def recovery(*, actor: Actor) -> RecoveryOut:
    """The caller's verified addresses, masked."""
    return queries.channels_of(actor.id)


@api.post(
    "/api/user/recovery/",
    auth=Auth.USER,
    body=ChannelRequestIn,
    answer=Answer.CODE_SENT,
    refuses=(
        Answer.CHANNEL_UNAVAILABLE,
        Answer.OLD_PASSWORD_WRONG,
        Answer.NO_SUCH_USER,
        Answer.TOO_MANY_REQUESTS,
        Answer.TOO_MANY_CODES,
    ),
    limit="rate_limit_login",
)
def request_channel(*, actor: Actor, body: ChannelRequestIn) -> None:
    """Ask for a code at an e-mail address or mobile number.

    It takes the account's password. The address counts once its code has come back; until then the one before stays.
    """
    service.request_channel(
        user_id=actor.id,
        session_id=actor.claims["session"],
        channel=Channel(body.channel),
        address=body.address,
        password=body.password.get_secret_value(),
    )


@api.post(
    "/api/user/recovery/verify/",
    auth=Auth.USER,
    body=ChannelVerifyIn,
    out=RecoveryOut,
    answer=Answer.RECOVERY_VERIFIED,
    refuses=(Answer.CODE_WRONG, Answer.NO_SUCH_USER),
    limit="rate_limit_login",
)
def verify_channel(*, actor: Actor, body: ChannelVerifyIn) -> RecoveryOut:
    """Give back the code that came; the address is the account's from now on."""
    service.verify_channel(user_id=actor.id, channel=Channel(body.channel), code=body.code)
    return queries.channels_of(actor.id)


@api.delete(
    "/api/user/recovery/",
    auth=Auth.USER,
    body=ChannelRemoveIn,
    out=RecoveryOut,
    answer=Answer.RECOVERY_REMOVED,
    refuses=(Answer.OLD_PASSWORD_WRONG, Answer.NO_SUCH_USER, Answer.TOO_MANY_REQUESTS),
    limit="rate_limit_login",
)
def remove_channel(*, actor: Actor, body: ChannelRemoveIn) -> RecoveryOut:
    """Forget an address. It takes the account's password."""
    service.remove_channel(
        user_id=actor.id,
        session_id=actor.claims["session"],
        channel=Channel(body.channel),
        password=body.password.get_secret_value(),
    )
    return queries.channels_of(actor.id)


@api.post("/api/password/forgot/", body=ForgotIn, answer=Answer.RESET_REQUESTED, limit="rate_limit_password_forgot")
def forgot_password(*, body: ForgotIn) -> None:
    """Ask for a code to set a new password.

    It goes to the account's verified address. The answer is the same whether or not there is such an account.
    """
    service.request_reset(username=body.username)


@api.post(
    "/api/password/reset/",
    body=ResetIn,
    answer=Answer.PASSWORD_RESET,
    refuses=(Answer.CODE_WRONG, Answer.TOO_MANY_REQUESTS),
    limit="rate_limit_login",
)
def reset_password(*, body: ResetIn) -> None:
    """Set a new password with a code that came, or that staff told.

    All sessions of the account end.
    """
    service.reset_password(
        username=body.username,
        code=body.code,
        new_password=body.new_password.get_secret_value(),
        origin=request.remote_addr,
    )
