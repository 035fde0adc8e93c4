"""The public function of the text check."""

from typing import Final

from app.moderation.content_verify import CONTACT_REASON, lexicon
from app.moderation.text.context import TextContext
from app.moderation.verdicts import Category, Decision, Hit, Judgement
from app.settings import settings

_NOTHING_KNOWN: Final = TextContext()


def check_text(text: str, *, context: TextContext = _NOTHING_KNOWN) -> Judgement:  # noqa: ARG001 - its rules follow
    """What is wrong with `text`; it reads the setting `sensitive_words_path` and needs an application context."""
    hits = []
    for reason in lexicon(settings().sensitive_words_path).check(text):
        category = Category.CONTACT if reason.startswith(CONTACT_REASON) else Category.CONTRABAND
        hits.append(Hit(category=category, code=f"{category.value}.word", reason=reason, policy=Decision.REJECT))
    return Judgement(rules_version(), tuple(hits))


def rules_version() -> str:
    """The version of the rules and lists that `check_text` uses now: part of the key of kept verdicts."""
    return "text-0"
