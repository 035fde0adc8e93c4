"""Whole numbers: ids, codes of the API spec, pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from annotated_types import Ge, GroupedMetadata, Le
from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from app.fields.lists import Separated

MAX_BIGINT: Final = 2**63 - 1

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Whole(GroupedMetadata):
    """`Annotated[int, Whole(1, 9)]`: a JSON integer, or its digits as text, because form fields are always text.

    Booleans and floats are refused. The default range is that of a BigInteger.
    """

    minimum: int = -MAX_BIGINT
    maximum: int = MAX_BIGINT

    def __iter__(self) -> Iterator[Any]:  # pydantic's own metadata has no common type
        """The rule as pydantic metadata: the value is parsed before its range is checked."""
        yield Ge(self.minimum)
        yield Le(self.maximum)
        yield BeforeValidator(self.parse)

    @staticmethod
    def parse(value: object) -> int:
        """The integer that `value` is or spells."""
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise PydanticKnownError("int_type")


IdIn = Annotated[int, Whole(1)]

IdsIn = Annotated[list[IdIn], Separated]
"""Several ids: a list in JSON, comma-separated in forms."""
"""An id in a body or query."""
