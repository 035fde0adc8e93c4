"""Lists: `?page=1&size=20` in, `{"items", "page", "size", "total", "pages"}` out."""

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

Item = TypeVar("Item")

# Beyond this a deep OFFSET costs more than any reader gains.
MAX_PAGE = 10_000


class PageQuery(BaseModel):
    """The paging part of a query string; lists with filters derive from it."""

    model_config = ConfigDict(frozen=True)

    page: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 1
    size: Annotated[int, Field(ge=1, le=100)] = 20

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.page - 1) * self.size


# Not to be derived from: pydantic would not know what the `items` of the derived type are.
class Page(TypedDict, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    page: int
    size: int
    total: int
    pages: int


def page_of(items: Sequence[Item], *, total: int, query: PageQuery) -> Page[Item]:
    """The answer for one page: its `items` (the page's only) with the page's numbers and the `total` of all items."""
    return {
        "items": list(items),
        "page": query.page,
        "size": query.size,
        "total": total,
        "pages": -(-total // query.size),
    }
