"""Goods that staff take down, and users whom they suspend.

Revision: 0013
After: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FOR_SALE = "status = 2 AND NOT deleted"
_IN_REVIEW = "status = 1 AND NOT deleted"
_INDEXES = (
    ("ix_goods_category_published_at", ["category", "published_at", "id"], _FOR_SALE),
    ("ix_goods_published_at", ["published_at", "id"], _FOR_SALE),
    ("ix_goods_price", ["price", "id"], _FOR_SALE),
    ("ix_goods_in_review", ["updated_at"], _IN_REVIEW),
)


def upgrade() -> None:
    """Apply."""
    op.add_column("goods", sa.Column("taken_down", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("goods", sa.Column("takedown_cause", sa.String(length=20), nullable=True))
    op.create_check_constraint(
        op.f("ck_goods_taken_down_for_a_cause"), "goods", "taken_down = (takedown_cause IS NOT NULL)"
    )
    op.create_check_constraint(op.f("ck_goods_deleted_or_taken_down"), "goods", "NOT (deleted AND taken_down)")
    for name, columns, where in _INDEXES:
        op.drop_index(name, table_name="goods")
        op.create_index(name, "goods", columns, postgresql_where=sa.text(f"{where} AND NOT taken_down"))
    op.add_column("users", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("suspended_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("suspension_reason", sa.String(length=500), server_default="", nullable=False))
    op.create_index(
        "ix_users_suspended_until",
        "users",
        ["suspended_until"],
        postgresql_where=sa.text("suspended_until IS NOT NULL"),
    )


def downgrade() -> None:
    """Take back. What was taken down stays off the market, as deleted; who was suspended may log in again."""
    op.drop_index("ix_users_suspended_until", table_name="users")
    for column in ("suspension_reason", "suspended_until", "suspended_at"):
        op.drop_column("users", column)
    for name, columns, where in _INDEXES:
        op.drop_index(name, table_name="goods")
        op.create_index(name, "goods", columns, postgresql_where=sa.text(where))
    op.drop_constraint(op.f("ck_goods_deleted_or_taken_down"), "goods")
    op.drop_constraint(op.f("ck_goods_taken_down_for_a_cause"), "goods")
    op.execute("UPDATE goods SET deleted = true WHERE taken_down AND status <> 3")
    op.drop_column("goods", "takedown_cause")
    op.drop_column("goods", "taken_down")
