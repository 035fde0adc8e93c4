"""Tables that only grow: the database itself refuses to change, delete or truncate their rows.

Whoever owns the database can drop the triggers; hash chains and `flask ledger audit` are for that.
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
"""The function behind every such trigger; its error is SQLSTATE 23001."""


def append_only(table: FromClause) -> None:
    """Let `create_all` make the triggers of a model's `__table__`; migrations say the same in their own words."""
    assert isinstance(table, Table)  # noqa: S101 - SQLAlchemy's types cannot tell a model's table from a query
    for statement in (FUNCTION, *statements(table.name)):
        ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy's own gap
        event.listen(table, "after_create", ddl)


def statements(table: str) -> tuple[str, str]:
    """The SQL of the two triggers on `table`."""
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
