"""Periodic jobs: how often each should run, and what became of its runs.

Revision: 0009
After: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "periodic_jobs",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("every", sa.Integer(), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("milliseconds", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("every > 0", name=op.f("ck_periodic_jobs_every_positive")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_periodic_jobs_failures_not_negative")),
        sa.CheckConstraint("milliseconds >= 0", name=op.f("ck_periodic_jobs_milliseconds_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_periodic_jobs")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("periodic_jobs")
