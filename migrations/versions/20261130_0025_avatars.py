"""Nicknames, and avatars with their reviews.

Revision: 0025
After: 0024
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_ATTACHED = "detached_at IS NULL"


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "avatars",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=20), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detached_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("side > 0", name=op.f("ck_avatars_has_size")),
        sa.CheckConstraint("state IN ('pending', 'passed', 'failed')", name=op.f("ck_avatars_state_known")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_avatars_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_avatars")),
    )
    op.create_index("ix_avatars_user_id", "avatars", ["user_id"])
    for name, state in (("uq_avatars_shown", "state = 'passed'"), ("uq_avatars_waiting", "state <> 'passed'")):
        op.create_index(name, "avatars", ["user_id"], unique=True, postgresql_where=sa.text(f"{state} AND {_ATTACHED}"))
    op.create_index("ix_avatars_sha256", "avatars", ["sha256"])
    op.create_index(
        "ix_avatars_detached_at", "avatars", ["detached_at"], postgresql_where=sa.text("detached_at IS NOT NULL")
    )
    op.add_column("users", sa.Column("nickname", sa.String(length=20), nullable=True))
    op.add_column("users", sa.Column("avatar_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key("fk_users_avatar_id_avatars", "users", "avatars", ["avatar_id"], ["id"])
    op.create_index("ix_users_staff", "users", ["id"], postgresql_where=sa.text("is_staff"))


def downgrade() -> None:
    """Take back. The files of avatars stay until the sweep finds that nothing refers to them."""
    op.drop_index("ix_users_staff", table_name="users")
    op.drop_constraint("fk_users_avatar_id_avatars", "users", type_="foreignkey")
    op.drop_column("users", "avatar_id")
    op.drop_column("users", "nickname")
    op.drop_table("avatars")
