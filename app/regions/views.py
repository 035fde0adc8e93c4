"""The URL of the regions."""

from app.answers import Answer
from app.regions import queries
from app.regions.schemas import RegionQuery, RegionsOut
from app.web.api import Api

api = Api("regions", __name__, tag="地区", about="provinces, cities, districts, and what an address needs of them")


@api.get(
    "/api/regions/",
    query=RegionQuery,
    out=RegionsOut,
    answer=Answer.REGIONS_FOUND,
    refuses=(Answer.NO_SUCH_REGION,),
    cache_seconds=24 * 3600,
)
def regions(*, query: RegionQuery) -> RegionsOut:
    """Provinces, their cities and the districts of those, with what an address needs.

    All at once it is some 160 KB that change once a year: kept by clients for a day, then asked for with its `ETag`.
    Addresses are checked against it as far as `below` says, and no further: other names are taken as they are.
    """
    return queries.regions(parent=query.parent, depth=query.depth)
