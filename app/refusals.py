"""What refusals tell beside their name: the shape of `data` without its `error`."""

from collections.abc import Mapping
from typing import Any, Final

from app.account_data.schemas import AccountInUse
from app.accounts.schemas import SuspensionOut
from app.answers import Answer, FieldErrors
from app.goods.schemas import GoodRefusalDetails, QuotaFull, RefusalReasons
from app.orders.schemas import LimitReached, OrderRefusalDetails, PresentFigures, TriesLeft
from app.web.health import ReadyOut

REFUSAL_DETAILS: Final[Mapping[Answer, Any]] = {  # TypedDicts, or unions that pydantic's TypeAdapter takes
    Answer.MALFORMED: FieldErrors,
    Answer.LOGIN_MALFORMED: FieldErrors,
    Answer.REGISTRATION_MALFORMED: FieldErrors,
    Answer.RELEASE_MALFORMED: FieldErrors,
    Answer.EDIT_MALFORMED: FieldErrors,
    Answer.REGISTRATION_FAILED: FieldErrors,
    Answer.RELEASE_FAILED: RefusalReasons,
    Answer.EDIT_FAILED: GoodRefusalDetails,
    Answer.DELETE_FAILED: GoodRefusalDetails,
    Answer.TAKE_DOWN_FAILED: GoodRefusalDetails,
    Answer.RESTORE_FAILED: GoodRefusalDetails,
    Answer.APPEAL_REFUSED: RefusalReasons,
    Answer.REPORT_REFUSED: RefusalReasons,
    Answer.REVIEW_OUTDATED: RefusalReasons | None,  # where a picture is banned
    Answer.ACCOUNT_SUSPENDED: SuspensionOut,
    Answer.GOOD_CHANGED: PresentFigures,
    Answer.PICTURE_QUOTA_FULL: QuotaFull,
    Answer.WRONG_STATE: OrderRefusalDetails,
    Answer.FORBIDDEN: OrderRefusalDetails | None,  # where it is about an order's state
    Answer.HANDOVER_CODE_WRONG: TriesLeft,
    Answer.ACCOUNT_IN_USE: AccountInUse,
    Answer.MONEY_CASE_REFUSED: RefusalReasons,
    Answer.TOO_MANY_UNPAID: LimitReached,
    Answer.TOO_MANY_STATEMENTS: LimitReached,
    Answer.NOT_READY: ReadyOut | None,  # of `/readyz`
}
"""By refusal; those that are not here tell nothing more, those with None not always."""
