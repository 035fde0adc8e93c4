"""Append-only tables: triggers in the database refuse to change, delete or truncate their rows.

The owner of the database can drop the triggers; hash chains and `flask ledger audit` reveal what is changed that way.
"""

from typing import Final

from sqlalchemy import DDL, FromClause, Table, event

FUNCTION: Final = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$
"""
"""The SQL of the function that every such trigger calls; its error is SQLSTATE 23001."""


def append_only(table: FromClause) -> None:
    """Let `create_all` make the triggers of a model's `__table__`; migrations create them with SQL of their own."""
    assert isinstance(table, Table)  # noqa: S101 - SQLAlchemy's types cannot tell a model's table from a query
    for statement in (FUNCTION, *statements(table.name)):
        ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy leaves DDL untyped
        event.listen(table, "after_create", ddl)


def statements(table: str) -> tuple[str, str]:
    """The SQL of the two triggers on `table`."""
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
