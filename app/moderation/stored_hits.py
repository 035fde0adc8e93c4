"""Hits as they are stored with verdicts and told in answers, and back."""

from typing import Any

from app.goods.schemas import HitOut
from app.moderation.verdicts import Box, Category, Decision, Hit, Span


def hit_out(hit: Hit) -> HitOut:
    """The stored form."""
    box = hit.box
    return {
        "category": hit.category.value,
        "code": hit.code,
        "reason": hit.reason,
        "policy": hit.policy.value,
        "confidence": hit.confidence,
        "start": None if hit.span is None else hit.span.start,
        "end": None if hit.span is None else hit.span.end,
        "box": None if box is None else {"left": box.left, "top": box.top, "width": box.width, "height": box.height},
    }


def hit_of(stored: dict[str, Any]) -> Hit:
    """The hit that was stored so."""
    return Hit(
        category=Category(stored["category"]),
        code=stored["code"],
        reason=stored["reason"],
        policy=Decision(stored["policy"]),
        confidence=stored["confidence"],
        span=None if stored["start"] is None else Span(stored["start"], stored["end"]),
        box=None if stored["box"] is None else Box(**stored["box"]),
    )
