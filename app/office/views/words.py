"""The word lists: what is in them, whether they can be used, and what the rules say of a text."""

from flask import Response

from app.categories import CATEGORY_TEXT as GOOD_CATEGORY_TEXT
from app.fen import format_yuan
from app.moderation import listed_words, trials
from app.moderation.schemas import TrialIn, WordQuery
from app.moderation.texts import CATEGORY_TEXT, TEXT_KIND_TEXT
from app.office.marks import marked
from app.office.views.pages import office, show
from app.office.views.texts import DECISION_TEXT
from app.paging import page_of
from app.staff.sessions import Member
from app.staff_roles import Permission


@office.page("/words/", title="词表与试词", permission=Permission.REVIEW, query=WordQuery)
def words(*, member: Member, query: WordQuery) -> Response:
    """The lists, their words, and a form for a text, to see what the rules say of it."""
    return _words(None, query)


@office.form("/words/", title="词表与试词", permission=Permission.REVIEW, body=TrialIn)
def try_text(*, member: Member, body: TrialIn) -> Response:
    """What the rules say of a text, as of a good of this category and price. Nothing of it is kept."""
    return _words(body, WordQuery())


def _words(body: TrialIn | None, query: WordQuery) -> Response:
    result = None if body is None else trials.try_text(body)
    items, total = listed_words.list_words(query)
    lists = listed_words.word_lists()
    return show(
        "words.html",
        given=body,
        price=None if body is None or body.price is None else format_yuan(body.price),
        result=result,
        shown=None if body is None or result is None else marked(body.text, result["hits"]),
        lists=lists,
        files=[(each["file"], each["file"]) for each in lists["lists"]],
        listed=listed_words.listed_codes(),
        page=page_of(items, total=total, query=query),
        query=query,
        good_categories=GOOD_CATEGORY_TEXT,
        kinds=TEXT_KIND_TEXT,
        category_text={category.value: text for category, text in CATEGORY_TEXT.items()},
        policies=DECISION_TEXT,
        list_policies=listed_words.POLICY_TEXT,
    )
