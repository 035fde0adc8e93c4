"""The URLs of reference prices."""

from flask import Response

from app.answers import Answer
from app.listings import queries
from app.listings.chart import price_chart
from app.listings.schemas import PriceReferenceOut, PriceReferenceQuery
from app.web.api import Api

api = Api("listings", __name__, tag="参考价", about="what things are asked for elsewhere")


@api.get(
    "/api/price_reference/",
    query=PriceReferenceQuery,
    out=PriceReferenceOut,
    answer=Answer.PRICES_FOUND,
    empty=Answer.TOO_FEW_PRICES,
    limit="rate_limit_price_reference",
)
def price_reference(*, query: PriceReferenceQuery) -> PriceReferenceOut:
    """What things like this one are asked for elsewhere.

    From listings that were publicly to be seen: asking prices, not prices that were paid.
    """
    return queries.price_reference(title=query.title, category=query.category, condition=query.condition)


@api.get(
    "/api/price_reference/chart/",
    query=PriceReferenceQuery,
    limit="rate_limit_price_reference",
    media=("image/svg+xml",),
)
def chart(*, query: PriceReferenceQuery) -> Response:
    """The same as a picture; where there are too few prices it says so."""
    found = queries.find_reference(title=query.title, category=query.category, condition=query.condition)
    drawn = price_chart(
        found.summary, title=query.title, found=found.count, needed=found.needed, notes=queries.notes_of(found)
    )
    response = Response(drawn, mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Disposition"] = "inline"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response
