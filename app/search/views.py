"""The URL of search."""

from flask import request

from app.answers import Answer
from app.search import service
from app.search.schemas import SearchOut, SearchQuery, search_out
from app.suggestions.service import count_search
from app.web.api import Api

api = Api("search", __name__, tag="搜索", about="full-text search of goods")


@api.get(
    "/test/",
    query=SearchQuery,
    out=SearchOut,
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
    refuses=(Answer.NOT_READY,),
    limit="rate_limit_search",
)
def search(*, query: SearchQuery) -> SearchOut:
    """Full-text search over the titles and descriptions of the goods for sale."""
    results = service.search_goods(
        text=query.q, filters=query.filters, sort=query.sort, start=query.start, size=query.size
    )
    if query.page == 1 and query.cursor is None:
        count_search(text=query.q, client=request.remote_addr, found=results.total > 0)
    return search_out(results, query)
