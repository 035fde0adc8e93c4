"""The URLs about what people search for."""

from app.answers import Answer
from app.paging import Page, page_of
from app.staff_roles import Permission
from app.suggestions import queries, service
from app.suggestions.schemas import (
    BanQueryIn,
    ClickIn,
    HotQueriesQuery,
    SearchedQueriesQuery,
    SearchedQueryOut,
    SuggestionsOut,
    SuggestQuery,
)
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("suggestions", __name__, tag="搜索建议", about="completions of what is being typed, hot queries")


@api.get(
    "/api/suggest/",
    query=SuggestQuery,
    out=SuggestionsOut,
    answer=Answer.SUGGESTIONS_FOUND,
    empty=Answer.NO_SUGGESTIONS,
    limit="rate_limit_suggest",
)
def suggest(*, query: SuggestQuery) -> SuggestionsOut:
    """What the text being typed may become, the likeliest first.

    The text may be Chinese, pinyin in full or as initials, or mixed. Phrases are those of several sellers' titles and
    queries of several clients.
    """
    return _out(service.suggest(typed=query.q, limit=query.size))


@api.get(
    "/api/hot_queries/",
    query=HotQueriesQuery,
    out=SuggestionsOut,
    answer=Answer.SUGGESTIONS_FOUND,
    empty=Answer.NO_SUGGESTIONS,
    cache_seconds=60,
)
def hot_queries(*, query: HotQueriesQuery) -> SuggestionsOut:
    """What many people search for now, the most first."""
    return _out(queries.hot_queries(limit=query.size))


def _out(texts: list[str]) -> SuggestionsOut:
    return {"items": [{"text": text} for text in texts], "total": len(texts)}


@api.post("/api/search_click/", body=ClickIn, answer=Answer.CLICK_COUNTED, limit="rate_limit_search", idempotent=False)
def count_click(*, body: ClickIn) -> None:
    """Count that a hit of a search was opened. Who opened which is neither asked nor kept."""
    service.count_click(text=body.q)


@api.get(
    "/api/staff/queries/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    query=SearchedQueriesQuery,
    out=Page[SearchedQueryOut],
    answer=Answer.QUERIES_FOUND,
    empty=Answer.NO_QUERIES,
)
def searched_queries(*, actor: Actor, query: SearchedQueriesQuery) -> Page[SearchedQueryOut]:  # noqa: ARG001 - as all of staff
    """What several clients searched for, and what of it nobody is shown."""
    items, total = queries.searched_queries(query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/ban_query/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=BanQueryIn,
    out=SearchedQueryOut,
    answer=Answer.QUERY_BANNED,
)
def ban_query(*, actor: Actor, body: BanQueryIn) -> SearchedQueryOut:
    """Show a query to nobody any more, neither as a hot one nor in completions that contain it."""
    return queries.searched_query(service.ban_query(actor_id=actor.id, text=body.text, reason=body.reason))


@api.post(
    "/api/staff/allow_query/",
    auth=Auth.STAFF,
    permission=Permission.REVIEW,
    body=BanQueryIn,
    out=SearchedQueryOut,
    answer=Answer.QUERY_ALLOWED,
)
def allow_query(*, actor: Actor, body: BanQueryIn) -> SearchedQueryOut:
    """Let a query be shown that was banned, or that the check of texts refused."""
    return queries.searched_query(service.allow_query(actor_id=actor.id, text=body.text, reason=body.reason))
