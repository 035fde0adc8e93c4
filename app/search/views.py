"""The URL of search."""

from flask import request

from app.answers import Answer
from app.search import service
from app.search.schemas import SearchOut, SearchQuery, SimilarOut, SimilarQuery, search_out
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
        text=query.q,
        filters=query.filters,
        sort=query.sort,
        start=query.start,
        size=query.size,
        literal=query.literal,
        without=query.without,
    )
    if query.page == 1 and query.cursor is None:
        count_search(text=query.q, client=request.remote_addr, found=results.total > 0)
    return search_out(results, query)


@api.get(
    "/api/good/<id:good_id>/similar/",
    query=SimilarQuery,
    out=SimilarOut,
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
    refuses=(Answer.NO_SUCH_GOOD, Answer.NOT_READY),
    limit="rate_limit_search",
)
def similar(*, good_id: int, query: SimilarQuery) -> SimilarOut:
    """Goods for sale that are like a public one: by the words of its title, its category and its price."""
    goods = service.similar_goods(good_id=good_id, count=query.size)
    return {"items": goods, "total": len(goods)}
