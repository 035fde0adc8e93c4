"""What is asked of the regions and what is answered."""

from typing import Annotated, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.enums import OneOf
from app.fields import Whole
from app.fields.phones import CODES
from app.regions.table import Need, Region, calling_place


class RegionQuery(BaseModel):
    """Which regions, and how many levels of them."""

    model_config = ConfigDict(frozen=True)

    parent: Annotated[str, Field(pattern="^[0-9]{6}$", examples=["440000"])] | None = Field(
        None, description="only what lies in the region of this code; without it, the provinces"
    )
    depth: Annotated[int, Whole(1, 3)] = Field(3, description="how many levels; 1: without what lies in them")


class RegionOut(TypedDict):
    """A province, city or district. `below` says whether an address names the level below; a district has none.

    `code` is of GB/T 2260: 440000 a province, 440300 a city in it, 440305 a district in that. Of a province
    `calling_code` is what phone numbers there begin with.
    """

    code: str
    name: str
    below: NotRequired[Annotated[str, OneOf(Need)]]
    calling_code: NotRequired[str]
    children: NotRequired[list["RegionOut"]]


class RegionsOut(TypedDict):
    """Regions in the order of their codes. `source` is where they are from, with its version."""

    items: list[RegionOut]
    source: str


def region_out(region: Region, *, depth: int) -> RegionOut:
    """`region` with `depth` levels, itself included."""
    out: RegionOut = {"code": region.code, "name": region.name}
    if region.below is not None:
        out["below"] = region.below.value
    place = calling_place(region.code)
    if place is not None:
        out["calling_code"] = f"+{CODES[place]}"
    if depth > 1 and region.children:
        out["children"] = [region_out(child, depth=depth - 1) for child in region.children]
    return out
