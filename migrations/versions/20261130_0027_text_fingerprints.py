"""What descriptions look like, to find those that are taken from other goods.

Revision: 0027
After: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Goods from before get theirs when they are checked next."""
    op.create_table(
        "text_fingerprints",
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("exact", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("bands", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_text_fingerprints_good_id_goods")),
        sa.PrimaryKeyConstraint("good_id", "revision", name=op.f("pk_text_fingerprints")),
    )
    op.create_index("ix_text_fingerprints_bands", "text_fingerprints", ["bands"], postgresql_using="gin")


def downgrade() -> None:
    """Take back."""
    op.drop_table("text_fingerprints")
