"""URLs of the export and the deletion of an account."""

from app.account_data import queries, service
from app.account_data.schemas import AccountExportOut, DeleteAccountIn
from app.answers import Answer
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("account_data", __name__, tag="账号数据", about="all that is kept about a user, and the end of an account")


@api.get(
    "/api/user/export/",
    auth=Auth.USER,
    out=AccountExportOut,
    answer=Answer.ACCOUNT_EXPORTED,
    refuses=(Answer.NO_SUCH_USER,),
    limit="rate_limit_login",
)
def export(*, actor: Actor) -> AccountExportOut:
    """Everything that is kept about the caller."""
    return queries.export_of(actor.id)


@api.delete(
    "/api/user/",
    auth=Auth.USER,
    body=DeleteAccountIn,
    answer=Answer.ACCOUNT_DELETED,
    refuses=(Answer.OLD_PASSWORD_WRONG, Answer.NO_SUCH_USER, Answer.TOO_MANY_REQUESTS, Answer.ACCOUNT_IN_USE),
    limit="rate_limit_login",
)
def delete_account(*, actor: Actor, body: DeleteAccountIn) -> None:
    """Delete the caller's account. It takes the password, and cannot be undone.

    Open orders, money in the wallet and withdrawals under way prevent it. Orders stay, without the name.
    """
    service.delete_account(
        user_id=actor.id, session_id=actor.claims["session"], password=body.password.get_secret_value()
    )
