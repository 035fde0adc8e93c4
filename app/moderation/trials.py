"""What the rules say of a text that is none of anybody's: for staff who ask why, and for whoever writes rules."""

from app.categories import Category as GoodCategory
from app.moderation.schemas import TrialIn, TrialOut
from app.moderation.stored_hits import hit_out
from app.moderation.text import TextContext, TextKind, check_text


def try_text(trial: TrialIn) -> TrialOut:
    """Check the text as if it were of such a good; nothing is kept, and it counts in no metric."""
    context = TextContext(
        kind=TextKind(trial.kind),
        category=None if trial.category is None else GoodCategory(trial.category),
        price=trial.price,
    )
    judgement = check_text(trial.text, context=context)
    return {
        "decision": judgement.decision.value,
        "rules_version": judgement.rules_version,
        "hits": [hit_out(hit) for hit in judgement.hits],
    }
