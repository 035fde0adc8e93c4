"""What listings say of condition, brand, coupons and shipping, and how many offers there are for a keyword.

Revision: 0021
After: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_CONDITIONS = "condition IN (1, 2, 3, 4, 5)"
_CATEGORIES = "category IN (1, 2, 3, 4, 5, 6, 7, 8, 9)"


def upgrade() -> None:
    """Apply."""
    op.add_column("listings", sa.Column("coupon_off", sa.BigInteger(), nullable=True))
    op.add_column("listings", sa.Column("condition", sa.SmallInteger(), nullable=True))
    op.add_column("listings", sa.Column("source_condition", sa.Text(), nullable=True))
    op.add_column("listings", sa.Column("brand", sa.Text(), nullable=True))
    op.add_column("listings", sa.Column("free_shipping", sa.Boolean(), nullable=True))
    op.create_check_constraint(op.f("ck_listings_coupon_off_not_negative"), "listings", "coupon_off >= 0")
    op.create_check_constraint(op.f("ck_listings_condition_known"), "listings", _CONDITIONS)
    op.create_table(
        "search_supplies",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("keyword", sa.Text(), nullable=False),
        sa.Column("terms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=True),
        sa.Column("offers", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("offers >= 0", name=op.f("ck_search_supplies_offers_not_negative")),
        sa.CheckConstraint(_CATEGORIES, name=op.f("ck_search_supplies_category_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_supplies")),
        sa.UniqueConstraint("source", "keyword", name=op.f("uq_search_supplies_source_keyword")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("search_supplies")
    op.drop_constraint(op.f("ck_listings_condition_known"), "listings", type_="check")
    op.drop_constraint(op.f("ck_listings_coupon_off_not_negative"), "listings", type_="check")
    for column in ("free_shipping", "brand", "source_condition", "condition", "coupon_off"):
        op.drop_column("listings", column)
