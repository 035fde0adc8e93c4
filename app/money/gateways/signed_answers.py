"""Finds the part of an answer that its signature covers: the value of one member, exactly as it stands in the text."""

from json import JSONDecoder
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # what the decoder itself skips; typeshed leaves it out

_DECODER = JSONDecoder()


def signed_part(text: str, name: str) -> str:
    """The text of the member `name` of the JSON object `text`; ValueError where that is not there exactly once.

    Every value is read as JSON, so braces and quotes inside of texts do not count.
    """
    found = []
    position = _skip(text, 0, "{")
    while text[position : position + 1] != "}":
        key, position = _DECODER.raw_decode(text, position)
        start = _skip(text, _spaces(text, position), ":")
        _, position = _DECODER.raw_decode(text, start)
        if key == name:
            found.append(text[start:position])
        position = _spaces(text, position)
        if text[position : position + 1] == ",":
            position = _spaces(text, position + 1)
        elif text[position : position + 1] != "}":
            raise ValueError(f"no comma at {position}")
    if len(found) != 1:
        raise ValueError(f"{name} is there {len(found)} times")
    return found[0]


def _skip(text: str, position: int, expected: str) -> int:
    """The position of what follows `expected` and the spaces around it."""
    position = _spaces(text, position)
    if text[position : position + 1] != expected:
        raise ValueError(f"no {expected} at {position}")
    return _spaces(text, position + 1)


def _spaces(text: str, position: int) -> int:
    end: int = WHITESPACE.match(text, position).end()
    return end
