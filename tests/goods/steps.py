"""Steps that tests of goods share."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import event, func, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app.answers import Answer
from app.db.database import db
from app.goods.models import Good, GoodRevision, Picture
from app.moderation.service import check_good, conclude_good, revision_in_review
from app.outbox.models import OutboxMessage
from config import Settings
from tests.factories import Made, StatementCounter, assert_envelope, auth_headers, picture_bytes

Result = TypeVar("Result")

FORM = {
    "title": "九成新 Switch 游戏机",
    "description": "去年双十一买的,带两个手柄。\n可当面验货。",
    "price": "1280.50",
    "freight": "12",
    "original_price": 2099,
    "category": 2,
    "trade_mode": 7,
}
"""A release form that is right in every field."""

WRITTEN = {
    "title": "九成新 Switch 游戏机",
    "description": "去年双十一买的,带两个手柄。\n可当面验货。",
    "price": 128050,
    "freight": 1200,
    "original_price": 209900,
    "category": 2,
    "trade_mode": 7,
}
"""The columns that `FORM` fills."""


def form_with(*pictures: bytes, **fields: Any) -> dict[str, Any]:
    """`FORM` with `fields` and pictures, as `multipart`."""
    return multipart(*pictures, **(FORM | fields))


def multipart(*pictures: bytes, **fields: Any) -> dict[str, Any]:
    """Fields and pictures as a form: the options for Werkzeug's client.

    Encoded here, because that client leaves its temporary files open when a form is large.
    """
    files = [FileStorage(io.BytesIO(picture), f"{number}.jpg") for number, picture in enumerate(pictures)]
    boundary, body = encode_multipart({**fields, "pictures": files})
    return {"data": body, "content_type": f'multipart/form-data; boundary="{boundary}"'}


def release(app: Flask, client: FlaskClient, owner: Made, *pictures: bytes, **fields: Any) -> Any:
    """Release a good over HTTP; returns it."""
    response = client.post("/api/good_release/", headers=auth_headers(app, owner), **form_with(*pictures, **fields))
    return assert_envelope(response, Answer.GOOD_RELEASED)


def publish(app: Flask, good_id: int, *, status: int = 2, **columns: Any) -> None:
    """Bring a good to `status`, as moderation and orders would."""
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Good).where(Good.id == good_id).values(status=status, **columns))


def review(app: Flask, good_id: int) -> None:
    """Let the machine review what waits of the good, as its two jobs do."""
    with app.app_context():
        revision = revision_in_review(good_id)
        assert revision is not None
        check_good(good_id=good_id, revision=revision)
        conclude_good(good_id=good_id, revision=revision)


def revision_rows(app: Flask, good_id: int) -> list[dict[str, Any]]:
    """The rows of the good's revisions, in their order."""
    statement = select(GoodRevision.__table__).where(GoodRevision.good_id == good_id).order_by(GoodRevision.revision)
    with app.app_context(), db.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(statement)]


def picture_in(color: tuple[int, ...], width: int = 60, height: int = 40, format: str = "PNG") -> bytes:  # noqa: A002 - Pillow's name
    """A picture file of one colour."""
    return encoded(Image.new("RGBA" if len(color) == 4 else "RGB", (width, height), color), format)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:  # noqa: A002 - Pillow's name
    """`image` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def without_links(pictures: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an answer tells of pictures beside their links, which change with time."""
    return [{name: value for name, value in each.items() if name != "links"} for each in pictures]


def nine_pictures() -> list[bytes]:
    """As many different pictures as a good may have."""
    return [picture_bytes(40 + number, 30) for number in range(9)]


def row_of(app: Flask, good_id: int) -> dict[str, Any]:
    """The good's row."""
    with app.app_context(), db.engine.connect() as connection:
        return dict(connection.execute(select(Good.__table__).where(Good.id == good_id)).one()._mapping)


def picture_rows(app: Flask) -> list[dict[str, Any]]:
    """All pictures' rows by id."""
    with app.app_context(), db.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(select(Picture.__table__).order_by(Picture.id))]


def messages(app: Flask) -> list[tuple[str, int]]:
    """All messages in the outbox, oldest first."""
    with app.app_context(), db.engine.connect() as connection:
        statement = select(OutboxMessage.topic, OutboxMessage.subject_id).order_by(OutboxMessage.id)
        return [(topic, subject) for topic, subject in connection.execute(statement)]


def stored_files(settings: Settings) -> list[str]:
    """The names of all files in the storage of pictures."""
    return sorted(path.name for path in (settings.instance_path / "pictures").rglob("*") if path.is_file())


def everything(app: Flask, settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int, list[str]]:
    """All that goods store: rows, pictures, how many messages, files. Equal before and after a refusal."""
    with app.app_context(), db.engine.connect() as connection:
        goods = [dict(row._mapping) for row in connection.execute(select(Good.__table__).order_by(Good.id))]
        count = connection.execute(select(func.count()).select_from(OutboxMessage)).scalar_one()
    return goods, picture_rows(app), count, stored_files(settings)


def assert_malformed(response: TestResponse, answer: Answer, **reasons: Sequence[str]) -> None:
    """Assert that `response` refuses exactly the fields `reasons`, each for these reasons."""
    assert assert_envelope(response, answer) == {"errors": {name: list(texts) for name, texts in reasons.items()}}


@contextmanager
def counting(app: Flask) -> Iterator[list[str]]:
    """The SQL statements that the block sends."""
    counter = StatementCounter()
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", counter.on_execute)
    try:
        yield counter.statements
    finally:
        event.remove(engine, "before_cursor_execute", counter.on_execute)


def at_once(*calls: Callable[[], Result]) -> list[Result]:
    """What `calls` return when they start together, each in a thread."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Result]) -> Result:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
