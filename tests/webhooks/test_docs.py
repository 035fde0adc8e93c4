"""docs/webhooks.md: its example verifies what we send, and refuses everything else."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.clock import utcnow
from app.outbox.models import Topic
from app.webhooks.signing import signed_headers
from config import PROJECT_ROOT
from tasks.outbox import WORK
from tests.webhooks.receiver import PREVIOUS_SECRET, SECRET

TEXT = (PROJECT_ROOT / "docs" / "webhooks.md").read_text("utf-8")
BODY = b'{"type":"order.pay","data":{"order_no":"1"}}'


@pytest.fixture
def verify() -> Callable[..., Any]:
    """The function of the document."""
    found = re.search(r"<!-- verify -->\n```python\n(.*?)```\n<!-- /verify -->", TEXT, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1], "docs/webhooks.md", "exec"), names)  # noqa: S102 - this is what the test is about
    function: Callable[..., Any] = names["verify"]
    return function


def headers(*secrets: str, age: int = 0, body: bytes = BODY) -> dict[str, str]:
    return signed_headers(message_id="evt_1", at=utcnow() - timedelta(seconds=age), body=body, secrets=secrets)


def test_what_we_send_is_believed(verify: Callable[..., Any]) -> None:
    expected = {"type": "order.pay", "data": {"order_no": "1"}}
    assert verify(SECRET, headers(SECRET), BODY) == expected
    assert verify(SECRET, headers(PREVIOUS_SECRET, SECRET), BODY) == expected
    assert verify(SECRET, headers(SECRET, age=299), BODY) == expected


def test_anything_else_is_refused(verify: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="wrong signature"):
        verify(SECRET, headers(PREVIOUS_SECRET), BODY)
    with pytest.raises(ValueError, match="wrong signature"):
        verify(SECRET, headers(SECRET), BODY + b" ")
    for name in ("webhook-id", "webhook-timestamp"):
        changed = headers(SECRET)
        changed[name] += "1"
        with pytest.raises(ValueError, match="wrong signature"):
            verify(SECRET, changed, BODY)
    unknown = headers(SECRET)
    unknown["webhook-signature"] = unknown["webhook-signature"].replace("v1,", "v2,")
    with pytest.raises(ValueError, match="wrong signature"):
        verify(SECRET, unknown, BODY)
    for age in (302, -302):
        with pytest.raises(ValueError, match="too old, or from the future"):
            verify(SECRET, headers(SECRET, age=age), BODY)


def test_the_numbers_are_those_of_the_outbox() -> None:
    work = WORK[Topic.WEBHOOK]
    waits = [work.wait_after(attempts) or 0 for attempts in range(1, work.max_attempts)]
    assert f"after {waits[0]}, {waits[1]}, {waits[2]} … seconds, at most an hour apart" in TEXT
    assert (max(waits), round(sum(waits) / 3600)) == (3600, 5)
    assert f"{work.max_attempts} times in about five hours" in TEXT
