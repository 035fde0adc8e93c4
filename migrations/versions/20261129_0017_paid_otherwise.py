"""Refunds: since when a request is undecided; refunds and payouts that staff paid otherwise.

Revision: 0017
After: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("refunds", sa.Column("undecided_at", sa.DateTime(timezone=True), nullable=True))
    # The gateway may still carry out what it was asked for before and did not refuse.
    op.execute("UPDATE refunds SET undecided_at = now() WHERE state = 'pending' AND attempts > 0")
    for table in ("refunds", "payouts"):
        op.add_column(table, sa.Column("paid_otherwise", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    """Take back."""
    for table in ("payouts", "refunds"):
        op.drop_column(table, "paid_otherwise")
    op.drop_column("refunds", "undecided_at")
