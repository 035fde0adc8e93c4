"""Reads of the table of regions."""

from functools import lru_cache
from typing import Final

from app.answers import Answer, Refused
from app.regions.schemas import RegionsOut, region_out
from app.regions.table import region_table

SOURCE: Final = "@vant/area-data 2.1.0"


@lru_cache(maxsize=64)
def regions(*, parent: str | None, depth: int) -> RegionsOut:
    """What lies in the region of code `parent`, or all provinces, `depth` levels of it.

    Raises Refused(NO_SUCH_REGION).
    """
    table = region_table()
    if parent is None:
        found = table.provinces
    elif parent in table.by_code:
        found = tuple(table.by_code[parent].children)
    else:
        raise Refused(Answer.NO_SUCH_REGION)
    return {"items": [region_out(region, depth=depth) for region in found], "source": SOURCE}
