"""Tables of the PostgreSQL search engine. The search worker fills them from the goods, beside a running market.

Revision: 0030
After: 0029
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "search_documents",
        sa.Column("good_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("trade_mode", sa.SmallInteger(), nullable=False),
        sa.Column("condition", sa.SmallInteger(), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("freight", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("tokens", postgresql.TSVECTOR(), nullable=False),
        sa.Column("columns", sa.LargeBinary(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_search_documents_price_not_negative")),
        sa.CheckConstraint("freight >= 0", name=op.f("ck_search_documents_freight_not_negative")),
        sa.ForeignKeyConstraint(
            ["good_id"], ["goods.id"], name=op.f("fk_search_documents_good_id_goods"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("good_id", name=op.f("pk_search_documents")),
    )
    op.create_index(
        "ix_search_documents_tokens",
        "search_documents",
        ["tokens"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 256},
    )
    op.create_index("ix_search_documents_published", "search_documents", ["published", "good_id"])
    op.create_index("ix_search_documents_price", "search_documents", ["price", "published", "good_id"])
    op.create_table(
        "search_words",
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("goods", sa.Integer(), nullable=False),
        sa.Column("titles", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_search_words")),
    )
    op.create_table(
        "search_state",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("filled_to", sa.BigInteger(), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("goods", sa.BigInteger(), nullable=False),
        sa.Column("average_length", sa.Float(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_search_state_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_state")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("search_state")
    op.drop_table("search_words")
    op.drop_table("search_documents")
