"""The check of texts: `check_text(text, context=TextContext(kind=TextKind.TITLE, price=9900))` → `Judgement`.

Functions from content to judgements: they know no database and no HTTP.
"""

from app.moderation.text.check import check_text, check_texts, load_rules, rules_version
from app.moderation.text.context import SellerHistory, TextContext, TextKind
from app.moderation.text.names import objection
from app.moderation.text.word_lists import WordListError

__all__ = [
    "SellerHistory",
    "TextContext",
    "TextKind",
    "WordListError",
    "check_text",
    "check_texts",
    "load_rules",
    "objection",
    "rules_version",
]
