"""Listings seen elsewhere, their prices, and the crawl runs that brought them.

Revision: 0006
After: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "listings",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("item_id", sa.String(length=32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("original_price", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.SmallInteger(), nullable=True),
        sa.Column("source_category", sa.String(length=32), nullable=True),
        sa.Column("area", sa.Text(), nullable=True),
        sa.Column("want_count", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("flags", postgresql.ARRAY(sa.String(length=20)), nullable=False),
        sa.Column("terms", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_listings_price_not_negative")),
        sa.CheckConstraint("original_price >= 0", name=op.f("ck_listings_original_price_not_negative")),
        sa.CheckConstraint("want_count >= 0", name=op.f("ck_listings_want_count_not_negative")),
        sa.CheckConstraint("category IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", name=op.f("ck_listings_category_known")),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f("ck_listings_seen_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
        sa.UniqueConstraint("source", "item_id", name=op.f("uq_listings_source_item_id")),
    )
    op.create_index(
        "ix_listings_terms",
        "listings",
        ["terms"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "listing_prices",
        sa.Column("listing_id", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_listing_prices_price_not_negative")),
        sa.ForeignKeyConstraint(["listing_id"], ["listings.id"], name=op.f("fk_listing_prices_listing_id_listings")),
        sa.PrimaryKeyConstraint("listing_id", "seen_at", name=op.f("pk_listing_prices")),
    )
    op.create_table(
        "crawl_runs",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("spider", sa.String(length=40), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("exit_code", sa.SmallInteger(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("outdated", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("damaged", sa.Integer(), nullable=False),
        sa.CheckConstraint("created >= 0", name=op.f("ck_crawl_runs_created_not_negative")),
        sa.CheckConstraint("updated >= 0", name=op.f("ck_crawl_runs_updated_not_negative")),
        sa.CheckConstraint("unchanged >= 0", name=op.f("ck_crawl_runs_unchanged_not_negative")),
        sa.CheckConstraint("outdated >= 0", name=op.f("ck_crawl_runs_outdated_not_negative")),
        sa.CheckConstraint("rejected >= 0", name=op.f("ck_crawl_runs_rejected_not_negative")),
        sa.CheckConstraint("damaged >= 0", name=op.f("ck_crawl_runs_damaged_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawl_runs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_crawl_runs_run_id")),
    )
    op.create_index("ix_crawl_runs_started_at", "crawl_runs", ["started_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_crawl_runs_started_at", table_name="crawl_runs")
    op.drop_table("crawl_runs")
    op.drop_table("listing_prices")
    op.drop_index("ix_listings_terms", table_name="listings", postgresql_using="gin")
    op.drop_table("listings")
