"""Fields that hold one of a few codes: plain numbers and texts on the wire, named enums in the OpenAPI document.

    class OrderOut(TypedDict):
        bill_status: Annotated[int, OneOf(BillStatus, BILL_TEXT)]

Answers hold the bare values, so nothing is converted where rows are read; in tests every answer's values are checked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

ONE_OF: Final = "saltfish_one_of"
"""The key under which a field's core schema has its `OneOf` in its metadata; read by `app.web.openapi`."""


@dataclass(frozen=True)
class OneOf:
    """Metadata of an `int` or `str` field whose value is one of those of `enum`.

    The value stays the plain number or text that it is. The OpenAPI document describes it as a component of the enum's
    name; `texts`, what users read for each value, are listed there.
    """

    enum: type[IntEnum] | type[StrEnum]
    texts: Mapping[Any, str] | None = field(default=None, compare=False)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Pydantic's hook: the field's own schema, with a check that the value is one of the enum's."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source), metadata={ONE_OF: self})

    def _checked(self, value: int | str) -> int | str:
        if value not in self.enum._value2member_map_:
            raise ValueError(f"{value!r} is no {self.enum.__name__}")
        return value


def text_enum(name: str, values: Iterable[str], *, about: str) -> type[StrEnum]:
    """A `StrEnum` of values defined elsewhere. Members are named after their values in upper case; "" is `NONE`."""
    members: dict[str, str] = {value.upper() or "NONE": value for value in values}
    made = StrEnum(name, members)  # type: ignore[misc] # mypy wants a literal, to know the members
    made.__doc__ = about
    return made
