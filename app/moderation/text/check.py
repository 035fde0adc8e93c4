"""The check itself: folds texts, finds what the lists and patterns name, and weighs it by what stands around it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Final

from app.language.service import analyser
from app.moderation.text.contacts import SIGN_GROUPS, Contact, Group, contacts_in
from app.moderation.text.context import SellerHistory, TextContext, TextKind
from app.moderation.text.folding import Folded, fold
from app.moderation.text.lexicon import Counts, Find, decision_of
from app.moderation.text.rules import BRAND, Rules, RulesOfFolder
from app.moderation.text.surroundings import is_depicted, is_in_title, is_refused
from app.moderation.text.word_lists import Section
from app.moderation.verdicts import Category, Decision, Hit, Judgement, Span
from app.settings import settings

_NOTHING_KNOWN: Final = TextContext()
_SHORTEST_NUMBER: Final = 7
_NO_GROUPS: Final[frozenset[str]] = frozenset()
_BRAND_ALONE: Final = {BRAND}
_CONTACT_REASON: Final = "涉嫌引流"
_PRICE_REASON: Final = "价格明显低于正品行情"
_SEVERITY: Final = (Decision.PASS, Decision.REVIEW, Decision.REJECT)
_TOLD_APART: Final = frozenset({"contact.phone", "contact.landline", "contact.mail", "contact.link", "contact.token"})
# Whatever is said around them, numbers and links are a way of contact.
_NEVER_REFUSED: Final = frozenset({"phone", "landline", "mail", "link", "token"})


def check_text(text: str, *, context: TextContext = _NOTHING_KNOWN) -> Judgement:
    """What is wrong with `text`, in the order of appearance. Needs an application context, for lists and dictionary.

    Rules that need to know what `context` does not say rest.
    """
    return judge(current_rules(), [(text, context)])[0]


def check_texts(texts: Sequence[tuple[str, TextContext]]) -> list[Judgement]:
    """As `check_text`, of many texts at once, which takes a fraction of the time."""
    return judge(current_rules(), texts)


def rules_version() -> str:
    """The version of the rules and lists that `check_text` uses now: part of the key of kept verdicts."""
    return current_rules().version


def load_rules() -> None:
    """Read the lists now, or again where the operator changed them, so that nobody waits for the second it takes.

    Needs an application context. Raises `WordListError`.
    """
    current_rules()


def current_rules() -> Rules:
    """The rules of this application, with the operator's lists as they are now. Raises `WordListError` at first use."""
    return _rules_with(settings().sensitive_words_path).current()


@cache
def _rules_with(folder: Path | None) -> RulesOfFolder:
    # One for all applications of the process, because reading our own lists takes a second.
    return RulesOfFolder(folder, cut=analyser().dictionary_words)


def judge(rules: Rules, texts: Sequence[tuple[str, TextContext]]) -> list[Judgement]:
    """The judgements of `texts` by `rules`."""
    if not texts:
        return []
    folded = fold([text for text, _ in texts])
    finds, triggered = rules.lexicon.find(folded, counting=partial(_counting, folded, texts))
    for number in folded.with_long_numbers(_SHORTEST_NUMBER):
        triggered[number].add(Group.NUMBER)
    for number in folded.with_signs():
        triggered[number] |= SIGN_GROUPS
    judgements = [Judgement(rules.version)] * len(texts)
    for number in finds.keys() | triggered.keys():
        context = texts[number][1]
        hits = [_hit_of_word(folded, number, find, context) for find in finds.get(number, ())]
        groups = triggered.get(number, _NO_GROUPS)
        if groups != _BRAND_ALONE:
            hits += _hits_of_contacts(folded, number, groups)
        if BRAND in groups and context.kind in (TextKind.TITLE, TextKind.DESCRIPTION):
            hits += _hits_of_prices(rules, folded, number, context)
        if hits:
            judgements[number] = Judgement(rules.version, tuple(_without_inner(hits)))
    return judgements


def _counting(folded: Folded, texts: Sequence[tuple[str, TextContext]], number: int) -> Counts:
    """What says which words count in text `number`."""
    context = texts[number][1]
    first, text = folded.part(number)

    def counts(section: Section, start: int, end: int) -> bool:
        if section.kinds and context.kind not in section.kinds:
            return False
        start, end = start - first, end - first
        # Nobody sends away an insult, but with one.
        if section.category is not Category.ABUSE and is_refused(text, start, end):
            return False
        return section.firm or not (is_in_title(text, start, end) or is_depicted(text, start, end, section.category))

    return counts


def _hit_of_word(folded: Folded, number: int, find: Find, context: TextContext) -> Hit:
    section = find.section
    policy = decision_of(find)
    if policy is Decision.PASS and _is_suspicious(context.seller):
        policy = Decision.REVIEW
    return Hit(
        category=section.category,
        code=section.code if find.exact else f"{section.code}_respelled",
        reason=f"{section.reason}:{find.label}",
        policy=policy,
        confidence=0.95 if find.exact and section.policy is Decision.REJECT else 0.6,
        span=Span(*folded.original(number, find.start, find.end)),
    )


def _hits_of_contacts(folded: Folded, number: int, groups: Collection[str]) -> list[Hit]:
    first, text = folded.part(number)
    digits = folded.digits[first : first + len(text)]
    return [
        _hit_of_contact(folded, number, first, contact)
        for contact in contacts_in(text, digits, groups)
        if contact.name in _NEVER_REFUSED or not is_refused(text, contact.start, contact.end)
    ]


def _hit_of_contact(folded: Folded, number: int, first: int, contact: Contact) -> Hit:
    return Hit(
        category=Category.CONTACT,
        code=f"contact.{contact.name}",
        reason=f"{_CONTACT_REASON}:{contact.reason}",
        policy=contact.policy,
        confidence=0.95 if contact.policy is Decision.REJECT else 0.6,
        span=Span(*folded.original(number, first + contact.start, first + contact.end)),
    )


def _hits_of_prices(rules: Rules, folded: Folded, number: int, context: TextContext) -> Iterator[Hit]:
    cheap = rules.brands.too_cheap(folded, number, category=context.category, price=context.price)
    if cheap is not None:
        start, end, brand = cheap
        yield Hit(
            category=Category.PRICE,
            code="price.brand",
            reason=f"{_PRICE_REASON}:{brand.name}",
            policy=Decision.REVIEW,
            confidence=0.5,
            span=Span(*folded.original(number, start, end)),
        )


def _is_suspicious(seller: SellerHistory | None) -> bool:
    """Whether a seller's history makes what is only noted worth a look by a person."""
    return seller is not None and (seller.taken_down > 0 or seller.refused > max(2, seller.approved))


def _without_inner(hits: list[Hit]) -> list[Hit]:
    """The hits in the order of appearance, without those inside of one that is as severe; each reason once.

    Of invitations to a messenger that overlap (加微信, 微信 and an id) one is told, from the first's beginning to the
    last's end.
    """
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.span.start, -hit.span.end) if hit.span else (0, 0)):
        covering = next((place for place, other in enumerate(kept) if _covers(other, hit)), None)
        if covering is None:
            kept.append(hit)
        elif _overlaps(kept[covering], hit):
            kept[covering] = _extended(kept[covering], hit)
    return kept


def _covers(other: Hit, hit: Hit) -> bool:
    if _SEVERITY.index(other.policy) < _SEVERITY.index(hit.policy):
        return False
    if other.reason == hit.reason:
        return True
    if other.category is not hit.category or not _overlaps(other, hit) or hit.code in _TOLD_APART:
        return False
    return hit.category is Category.CONTACT or _is_inside(hit.span, other.span)


def _overlaps(other: Hit, hit: Hit) -> bool:
    return other.span is not None and hit.span is not None and hit.span.start < other.span.end


def _is_inside(inner: Span | None, outer: Span | None) -> bool:
    return inner is not None and outer is not None and outer.start <= inner.start and inner.end <= outer.end


def _extended(other: Hit, hit: Hit) -> Hit:
    if other.span is None or hit.span is None:
        return other
    return replace(other, span=Span(other.span.start, max(other.span.end, hit.span.end)))
