"""Goods: search, one with all there is of it, take down and restore."""

from flask import Response

from app.categories import CATEGORY_TEXT
from app.office.views.pages import done, office, show
from app.paging import page_of
from app.staff import queries, service
from app.staff.schemas import DecisionIn, GoodQuery
from app.staff.sessions import Member
from app.staff_roles import Permission
from statemachine.good import GOOD_TEXT


@office.page("/goods/", title="商品", permission=Permission.GOODS, query=GoodQuery)
def goods(*, member: Member, query: GoodQuery) -> Response:
    """All goods, filtered."""
    items, total = queries.list_goods(actor_id=member.id, query=query)
    page = page_of(items, total=total, query=query)
    return show("goods.html", page=page, query=query, categories=CATEGORY_TEXT, statuses=GOOD_TEXT)


@office.page("/goods/<id:good_id>/", title="商品详情", permission=Permission.GOODS)
def good(*, member: Member, good_id: int) -> Response:
    """One good as it stands, with its orders and what staff did to it."""
    return show("good.html", good=queries.good_detail(actor_id=member.id, good_id=good_id))


@office.form("/goods/<id:good_id>/take_down/", title="下架商品", permission=Permission.GOODS, body=DecisionIn)
def take_down_good(*, member: Member, good_id: int, body: DecisionIn) -> Response:
    """Take it off the market."""
    service.take_down_good(actor_id=member.id, good_id=good_id, reason=body.reason)
    return done(f"商品 {good_id} 已下架", to=f"/admin/goods/{good_id}/")


@office.form("/goods/<id:good_id>/restore/", title="恢复商品", permission=Permission.GOODS, body=DecisionIn)
def restore_good(*, member: Member, good_id: int, body: DecisionIn) -> Response:
    """Put it back where it stood."""
    service.restore_good(actor_id=member.id, good_id=good_id, reason=body.reason)
    return done(f"商品 {good_id} 已恢复", to=f"/admin/goods/{good_id}/")
