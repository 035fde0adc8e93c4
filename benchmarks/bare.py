"""The baseline of `benchmarks.http`: plain Flask with Flask-SQLAlchemy, written as its documentation shows.

`python -m granian --interface wsgi benchmarks.bare:app` serves it with the settings of the environment.
"""

from datetime import datetime

from flask import Flask, Response, jsonify
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import BigInteger, DateTime, SmallInteger, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from config import Settings, load_settings


class Base(DeclarativeBase):
    """The base of this application's own models: none of Saltfish's are imported."""


class Row(Base):
    """A row of the goods table, which Saltfish reads too."""

    __tablename__ = "goods"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger)
    title: Mapped[str] = mapped_column(String(60))
    description: Mapped[str] = mapped_column(String(2000))
    price: Mapped[int] = mapped_column(BigInteger)
    original_price: Mapped[int | None] = mapped_column(BigInteger)
    freight: Mapped[int] = mapped_column(BigInteger)
    category: Mapped[int] = mapped_column(SmallInteger)
    trade_mode: Mapped[int] = mapped_column(SmallInteger)
    status: Mapped[int] = mapped_column(SmallInteger)
    published_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


db = SQLAlchemy(model_class=Base)


def create_app(settings: Settings | None = None) -> Flask:
    """The bare application on the same database, with a connection pool as large as Saltfish's."""
    chosen = settings or load_settings()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = chosen.database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "pool_size": chosen.database_pool_size,
        "max_overflow": chosen.database_pool_size,
    }
    db.init_app(app)

    @app.get("/json")
    def answer() -> Response:
        return jsonify(status=200, msg="OK", data=None)

    @app.get("/row/<int:row_id>")
    def row(row_id: int) -> Response:
        found = db.session.get_one(Row, row_id)
        return jsonify(
            id=found.id,
            owner_id=found.owner_id,
            title=found.title,
            description=found.description,
            price=found.price,
            original_price=found.original_price,
            freight=found.freight,
            category=found.category,
            trade_mode=found.trade_mode,
            status=found.status,
            published_at=found.published_at.isoformat() if found.published_at else None,
            updated_at=found.updated_at.isoformat(),
        )

    return app
