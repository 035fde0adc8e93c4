"""The check of texts: `check_text(text, context=TextContext(kind=TextKind.TITLE, price=9900))` → `Judgement`.

Functions from content to judgements: they know no database and no HTTP.
"""

from app.moderation.text.check import check_text, rules_version
from app.moderation.text.context import SellerHistory, TextContext, TextKind

__all__ = ["SellerHistory", "TextContext", "TextKind", "check_text", "rules_version"]
