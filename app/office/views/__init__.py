"""The pages, by what they are about. `office` is the blueprint that all of them belong to."""

from app.office.views import (  # noqa: F401 - each registers its pages
    goods,
    login,
    market,
    money,
    operations,
    people,
    review,
    words,
)
from app.office.views.pages import office

__all__ = ["office"]
