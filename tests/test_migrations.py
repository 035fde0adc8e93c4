"""Migrations: up from empty, down to empty, and the migrated database equals the models."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DataError

from app.db.database import db
from config import load_settings
from tests.applications import running_app
from tests.live import PROJECT

# Everything that makes the schema what it is, in PostgreSQL's own words; Alembic itself compares no CHECKs.
_SCHEMA = {
    "columns": """
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        ORDER BY 1, 2""",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version' ORDER BY 1, 2""",
    "indexes": """
        SELECT tablename, indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal ORDER BY 1, 2""",
    "sequences": "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1",
}


def _schema(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1)) as connection:
        return {part: connection.execute(query).fetchall() for part, query in _SCHEMA.items()}


@pytest.fixture
def empty(environment: dict[str, str]) -> Iterator[tuple[Flask, str, str]]:
    """An application on an empty database, that database's URL, and the URL of a second empty one."""
    server = make_url(environment["DATABASE_URL"])
    names = [f"{server.database}_migrated", f"{server.database}_modelled"]
    urls = [server.set(database=name).render_as_string(hide_password=False) for name in names]
    admin = environment["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            with running_app(load_settings(environment | {"DATABASE_URL": urls[0]})) as application:
                yield application, urls[0], urls[1]
        finally:
            for name in names:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_up_equals_the_models_and_down_leaves_nothing(empty: tuple[Flask, str, str]) -> None:
    application, migrated, modelled = empty
    engine = create_engine(modelled)
    db.metadata.create_all(engine)
    engine.dispose()
    with application.app_context():
        flask_migrate.upgrade()
    expected = _schema(modelled)
    assert len(expected["constraints"]) > 40
    assert _schema(migrated) == expected
    with application.app_context():
        flask_migrate.downgrade(revision="base")
    assert _schema(migrated) == {part: [] for part in _SCHEMA}
    with application.app_context():
        flask_migrate.upgrade()
    assert _schema(migrated) == expected


def test_alembic_sees_no_difference(empty: tuple[Flask, str, str]) -> None:
    application, _, _ = empty
    with application.app_context():
        flask_migrate.upgrade()
        flask_migrate.check()


def test_a_new_migration_alters_tables_directly(empty: tuple[Flask, str, str], tmp_path: Path) -> None:
    """`flask db migrate` writes for PostgreSQL, without the batches that Flask-Migrate would like for SQLite."""
    application, _, _ = empty
    folder = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    with application.app_context():
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE addresses DROP COLUMN district"))
        flask_migrate.migrate(directory=str(folder), message="district", rev_id="9999")
    [written] = folder.glob("versions/*_9999_district.py")
    steps = [line.strip() for line in written.read_text().splitlines() if line.strip().startswith(("op.", "with "))]
    assert [step.partition("(")[0] for step in steps] == ["op.add_column", "op.drop_column"]


_ADDRESS = (
    "INSERT INTO addresses"
    " (user_id, name, mobile, province, city, district, detail, is_default, created_at, updated_at)"
    " SELECT id, '王小明', %s, '粤', '鹏城', '南山', '人民路 1 号', false, now(), now() FROM users"
)


def test_addresses_from_before_stay_and_numbers_that_were_none_then_hold_the_way_back(
    empty: tuple[Flask, str, str],
) -> None:
    application, migrated, _ = empty
    url = migrated.replace("postgresql+psycopg://", "postgresql://", 1)
    with application.app_context(), psycopg.connect(url, autocommit=True) as connection:
        flask_migrate.upgrade(revision="0019")
        connection.execute(
            "INSERT INTO users (username, username_key, password_hash, bio, is_staff, created_at)"
            " VALUES ('alice', 'alice', '', '', false, now())"
        )
        connection.execute(_ADDRESS, ["13800138000"])
        before = connection.execute("SELECT * FROM addresses").fetchall()
        flask_migrate.upgrade(revision="0020")
        assert connection.execute("SELECT * FROM addresses").fetchall() == before
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(_ADDRESS, ["98765432"])
        connection.execute(_ADDRESS, ["+85298765432"])
        with pytest.raises(DataError, match="value too long"):
            flask_migrate.downgrade(revision="0019")
        assert [row[0] for row in connection.execute("SELECT mobile FROM addresses ORDER BY id")] == [
            *("13800138000", "+85298765432")
        ]
        connection.execute("DELETE FROM addresses WHERE mobile LIKE '+%'")
        flask_migrate.downgrade(revision="0019")
        assert connection.execute("SELECT * FROM addresses").fetchall() == before
