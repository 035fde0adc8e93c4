"""Tables that only grow: the database itself refuses to change, delete or truncate their rows.

Whoever owns the database can drop the triggers; hash chains and `flask ledger audit` are for that.
"""

from typing import Final

from sqlalchemy import DDL, Table, event

FUNCTION: Final = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$
"""
"""The function behind every such trigger; its error is SQLSTATE 23001."""


def append_only(table: Table) -> None:
    """Let `create_all` make the triggers; migrations call `statements` for the same."""
    event.listen(table, "after_create", DDL(FUNCTION.replace("%", "%%")))
    for statement in statements(table.name):
        event.listen(table, "after_create", DDL(statement))


def statements(table: str) -> tuple[str, str]:
    """The SQL of the two triggers on `table`."""
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
