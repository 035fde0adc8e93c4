"""The tables of the API spec, read from the copy of it beside this file, `api-notes.txt`."""

import re
from pathlib import Path

TEXT = (Path(__file__).parent / "api-notes.txt").read_text(encoding="utf-8")


def urls() -> list[str]:
    """Every documented URL as it is written: `/api/good/good_id/`."""
    found = re.findall(r"^(/[a-z_/()]*)", TEXT, re.MULTILINE)
    return [url.strip() for url in found]


def messages() -> list[tuple[int, str]]:
    """Every `(status, text)` of the list of messages."""
    return [(int(status), text) for status, text in re.findall(r"^(\d{3}) '([^']*)'", TEXT, re.MULTILINE)]


def statuses() -> list[int]:
    """The numbers that an envelope's status can be."""
    section = TEXT.split("status:", 2)[-1].split("msg:")[0]
    return [int(number) for number in re.findall(r"^(\d{3}) ", section, re.MULTILINE)]


def table(heading: str) -> dict[int, str]:
    """The code table under `heading`: `{1: '待审核', …}`."""
    section = TEXT.split(heading, 1)[1].split("\n\n", 1)[1 if heading.startswith("# 订单状态") else 0]
    return {int(code): text for code, text in re.findall(r"\((\d+),\s*'([^']+)'\)", section)}
