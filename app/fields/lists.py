"""Lists, which forms do not have."""

from typing import Final

from pydantic import BeforeValidator


def _separated(value: object) -> object:
    """`"3, 1"` is `["3", "1"]`, and so is `"[3, 1]"`, as programs write one that they put into a form."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
        if not text:
            return []
    return [each.strip() for each in text.replace("，", ",").split(",")]


Separated: Final = BeforeValidator(_separated)
"""`Annotated[list[T], Separated]`: a list in JSON, its values with commas in forms."""
