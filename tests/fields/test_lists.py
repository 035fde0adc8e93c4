"""Lists in forms: values with commas, of ids and of other things."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from app.fields import IdsIn, Separated

IDS = TypeAdapter(IdsIn)
WORDS = TypeAdapter(Annotated[list[str], Separated])


@pytest.mark.parametrize(
    ("given", "read"),
    [([3, 1], [3, 1]), ("3,1", [3, 1]), (" 3， 1 ", [3, 1]), ("[3, 1]", [3, 1]), ("[]", []), ("7", [7]), ([], [])],
)
def test_ids(given: object, read: list[int]) -> None:
    assert IDS.validate_python(given) == read


@pytest.mark.parametrize("given", ["", "3;1", "3,,1", "[3", "0", "3,-1", "{}", {"3": 1}, 3, None])
def test_no_ids(given: object) -> None:
    with pytest.raises(ValidationError):
        IDS.validate_python(given)


def test_words() -> None:
    assert WORDS.validate_python("gambling, fraud") == ["gambling", "fraud"]
