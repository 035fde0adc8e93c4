"""Names and profiles: nobody reviews them, so what a text may not say is refused while its owner is still there."""

from app.moderation.text.check import check_text
from app.moderation.text.context import TextContext, TextKind
from app.moderation.verdicts import Category, Decision, Hit


def objection(text: str, *, kind: TextKind) -> str | None:
    """Why `text`, which everybody reads, may not be used, in Chinese; None where it may.

    What only a person could decide is let through, except words that are written so that no filter reads them.
    """
    for hit in check_text(text, context=TextContext(kind=kind)).hits:
        if _counts(hit):
            if hit.category is Category.CONTACT:
                return f"不能含有联系方式({hit.reason.rpartition(':')[2]})"
            return f"不能使用({hit.reason})"
    return None


def _counts(hit: Hit) -> bool:
    respelled = hit.code.endswith("_respelled")
    return hit.policy is Decision.REJECT or (hit.policy is Decision.REVIEW and respelled)
