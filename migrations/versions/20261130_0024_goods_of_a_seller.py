"""An index for the goods of one seller that are for sale, newest first.

Revision: 0024
After: 0023
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_goods_owner_id_published_at",
        "goods",
        ["owner_id", "published_at", "id"],
        postgresql_where=sa.text("status = 2 AND NOT deleted AND NOT taken_down"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_goods_owner_id_published_at", table_name="goods")
