"""The saved searches' URLs."""

from app.answers import Answer
from app.goods.schemas import GoodOut
from app.paging import Page, PageQuery, page_of
from app.saved_searches import queries, service
from app.saved_searches.schemas import ChangeSavedSearchIn, SavedSearchOut, SaveSearchIn
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("saved_searches", __name__, tag="保存的搜索", about="searches that tell their users of new goods")


@api.post(
    "/api/saved_search/",
    auth=Auth.USER,
    body=SaveSearchIn,
    out=SavedSearchOut,
    answer=Answer.SEARCH_SAVED,
    refuses=(Answer.TOO_MANY_SAVED_SEARCHES, Answer.NO_SUCH_USER),
)
def save_search(*, actor: Actor, body: SaveSearchIn) -> SavedSearchOut:
    """Save a search: whoever saves it hears of other people's goods that become public from now on and fit.

    What was found is told in one notification, and then nothing for an hour. The same search is saved only once.
    """
    search_id = service.save_search(user_id=actor.id, q=body.q, notify_me=body.notify, **body.filters())
    return queries.saved_search(user_id=actor.id, search_id=search_id)


@api.get(
    "/api/saved_search/",
    auth=Auth.USER,
    query=PageQuery,
    out=Page[SavedSearchOut],
    answer=Answer.SAVED_SEARCHES_FOUND,
    empty=Answer.NO_SAVED_SEARCHES,
)
def saved_searches(*, actor: Actor, query: PageQuery) -> Page[SavedSearchOut]:
    """The caller's saved searches, the newest first."""
    items, total = queries.saved_searches(user_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/saved_search/<id:search_id>/",
    auth=Auth.USER,
    out=SavedSearchOut,
    answer=Answer.SAVED_SEARCHES_FOUND,
    refuses=(Answer.NO_SUCH_SAVED_SEARCH,),
)
def saved_search(*, actor: Actor, search_id: int) -> SavedSearchOut:
    """One of the caller's saved searches."""
    return queries.saved_search(user_id=actor.id, search_id=search_id)


@api.patch(
    "/api/saved_search/<id:search_id>/",
    auth=Auth.USER,
    body=ChangeSavedSearchIn,
    out=SavedSearchOut,
    answer=Answer.SAVED_SEARCH_EDITED,
    refuses=(Answer.NO_SUCH_SAVED_SEARCH,),
)
def switch_notifications(*, actor: Actor, search_id: int, body: ChangeSavedSearchIn) -> SavedSearchOut:
    """Switch the notifications of a saved search on or off."""
    service.switch_notifications(user_id=actor.id, search_id=search_id, notify_me=body.notify)
    return queries.saved_search(user_id=actor.id, search_id=search_id)


@api.delete(
    "/api/saved_search/<id:search_id>/",
    auth=Auth.USER,
    answer=Answer.SAVED_SEARCH_DELETED,
    refuses=(Answer.NO_SUCH_SAVED_SEARCH,),
)
def delete_saved_search(*, actor: Actor, search_id: int) -> None:
    """Delete a saved search."""
    service.delete_saved_search(user_id=actor.id, search_id=search_id)


@api.get(
    "/api/saved_search/<id:search_id>/goods/",
    auth=Auth.USER,
    query=PageQuery,
    out=Page[GoodOut],
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
    refuses=(Answer.NO_SUCH_SAVED_SEARCH,),
)
def goods_found(*, actor: Actor, search_id: int, query: PageQuery) -> Page[GoodOut]:
    """What was found for a saved search since it was saved and is for sale, the last found first."""
    items, total = queries.goods_found(user_id=actor.id, search_id=search_id, query=query)
    return page_of(items, total=total, query=query)
