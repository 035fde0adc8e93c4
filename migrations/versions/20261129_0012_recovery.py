"""Addresses that help with forgotten passwords, and one-time codes.

Revision: 0012
After: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "recovery_channels",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'mobile')", name=op.f("ck_recovery_channels_channel_known")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_channels_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_channels")),
        sa.UniqueConstraint("user_id", "channel", name=op.f("uq_recovery_channels_user_id_channel")),
    )
    op.create_table(
        "one_time_codes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("username_key", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=True),
        sa.Column("address", sa.String(length=254), nullable=True),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("by_staff", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose IN ('verify', 'reset')", name=op.f("ck_one_time_codes_purpose_known")),
        sa.CheckConstraint("tries_left >= 0", name=op.f("ck_one_time_codes_tries_left_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_codes")),
    )
    op.create_index("ix_one_time_codes_username_key", "one_time_codes", ["username_key", "created_at"], unique=False)
    op.create_index("ix_one_time_codes_expires_at", "one_time_codes", ["expires_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_one_time_codes_expires_at", table_name="one_time_codes")
    op.drop_index("ix_one_time_codes_username_key", table_name="one_time_codes")
    op.drop_table("one_time_codes")
    op.drop_table("recovery_channels")
