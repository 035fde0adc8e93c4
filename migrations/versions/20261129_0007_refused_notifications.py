"""Notifications without the gateway's signature are counted, and recorded short.

Revision: 0007
After: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("gateway_notifications", sa.Column("digest", sa.String(length=64), nullable=True))
    op.create_table(
        "refused_notifications",
        sa.Column("origin", sa.String(length=50), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "hour", name=op.f("pk_refused_notifications")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("refused_notifications")
    op.drop_column("gateway_notifications", "digest")
