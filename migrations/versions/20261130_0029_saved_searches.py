"""What people search for, counted; saved searches, what is found for them, notifications about that; how sellers stand.

Revision: 0029
After: 0028
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_KINDS = "'order', 'reminder', 'payout', 'staff', 'review'"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "query_counts",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.String(length=40), nullable=False),
        sa.Column("searches", sa.Integer(), nullable=False),
        sa.Column("clicks", sa.Integer(), nullable=False),
        sa.Column("without_hit", sa.Integer(), nullable=False),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_query_counts_{name}_not_negative"))
            for name in ("searches", "clicks", "without_hit")
        ),
        sa.PrimaryKeyConstraint("hour", "text", name=op.f("pk_query_counts")),
    )
    op.create_index("ix_query_counts_text", "query_counts", ["text"])
    op.create_table(
        "searched_queries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(length=40), nullable=False),
        sa.Column("heat", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("rules_version", sa.String(length=100), server_default="", nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("heat >= 0", name=op.f("ck_searched_queries_heat_not_negative")),
        sa.CheckConstraint("state IN ('allowed', 'refused', 'banned')", name=op.f("ck_searched_queries_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searched_queries")),
        sa.UniqueConstraint("text", name=op.f("uq_searched_queries_text")),
    )
    op.create_index(
        "ix_searched_queries_heat", "searched_queries", ["heat", "text"], postgresql_where=sa.text("state = 'allowed'")
    )
    op.create_table(
        "saved_searches",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("q", sa.String(length=100), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=True),
        sa.Column("price_min", sa.BigInteger(), nullable=True),
        sa.Column("price_max", sa.BigInteger(), nullable=True),
        sa.Column("trade_mode", sa.SmallInteger(), nullable=True),
        sa.Column("notify", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("keys", postgresql.ARRAY(sa.String(length=64)), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("price_min >= 0", name=op.f("ck_saved_searches_price_min_not_negative")),
        sa.CheckConstraint("price_max >= 0", name=op.f("ck_saved_searches_price_max_not_negative")),
        sa.CheckConstraint("price_min <= price_max", name=op.f("ck_saved_searches_price_range")),
        sa.CheckConstraint("category IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", name=op.f("ck_saved_searches_category_known")),
        sa.CheckConstraint("trade_mode IN (6, 7, 8)", name=op.f("ck_saved_searches_trade_mode_known")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_saved_searches_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_searches")),
    )
    op.create_index("ix_saved_searches_user_id_id", "saved_searches", ["user_id", "id"])
    op.create_index("ix_saved_searches_keys", "saved_searches", ["keys"], postgresql_using="gin")
    op.create_table(
        "saved_search_hits",
        sa.Column("search_id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["search_id"],
            ["saved_searches.id"],
            name=op.f("fk_saved_search_hits_search_id_saved_searches"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_saved_search_hits_good_id_goods")),
        sa.PrimaryKeyConstraint("search_id", "good_id", name=op.f("pk_saved_search_hits")),
    )
    op.create_index("ix_saved_search_hits_good_id", "saved_search_hits", ["good_id"])
    op.create_index(
        "ix_saved_search_hits_untold", "saved_search_hits", ["search_id"], postgresql_where=sa.text("told_at IS NULL")
    )
    op.create_table(
        "seller_standings",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("taken_down", sa.Integer(), nullable=False),
        sa.Column("standing", sa.SmallInteger(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_seller_standings_{name}_not_negative"))
            for name in ("settled", "failed", "taken_down")
        ),
        sa.CheckConstraint("standing BETWEEN -100 AND 100", name=op.f("ck_seller_standings_standing_in_range")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_seller_standings_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_seller_standings")),
    )
    op.add_column("notifications", sa.Column("saved_search_id", sa.BigInteger(), nullable=True))
    op.drop_constraint(op.f("ck_notifications_kind_known"), "notifications")
    op.create_check_constraint(op.f("ck_notifications_kind_known"), "notifications", f"kind IN ({_KINDS}, 'search')")


def downgrade() -> None:
    """Take back. Notifications about saved searches go with these."""
    op.execute("DELETE FROM notifications WHERE kind = 'search'")
    op.drop_constraint(op.f("ck_notifications_kind_known"), "notifications")
    op.create_check_constraint(op.f("ck_notifications_kind_known"), "notifications", f"kind IN ({_KINDS})")
    op.drop_column("notifications", "saved_search_id")
    for table in ("seller_standings", "saved_search_hits", "saved_searches", "searched_queries", "query_counts"):
        op.drop_table(table)
