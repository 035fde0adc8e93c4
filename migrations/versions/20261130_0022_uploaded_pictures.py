"""Pictures are uploaded one at a time before a good or a refund request uses them.

Revision: 0022
After: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The version before goes on meanwhile: what it writes has a good and no uploader."""
    op.add_column("pictures", sa.Column("uploader_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_pictures_uploader_id_users"), "pictures", "users", ["uploader_id"], ["id"])
    op.alter_column("pictures", "good_id", existing_type=sa.BigInteger(), nullable=True)
    op.add_column("pictures", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_pictures_of_good_or_uploader"),
        "pictures",
        "good_id IS NOT NULL OR (uploader_id IS NOT NULL AND position IS NULL AND detached_at IS NULL)",
    )
    op.create_check_constraint(
        op.f("ck_pictures_used_once"), "pictures", "used_at IS NULL OR (good_id IS NULL AND NOT counted)"
    )
    op.create_index(
        "ix_pictures_of_no_good",
        "pictures",
        ["uploader_id", "created_at"],
        unique=False,
        postgresql_where=sa.text("good_id IS NULL"),
    )


def downgrade() -> None:
    """Take back. What nothing uses yet goes; its files are collected as all that no row refers to."""
    op.execute(
        "UPDATE picture_usage SET bytes = picture_usage.bytes - unused.bytes FROM"
        " (SELECT uploader_id, sum(size) AS bytes FROM pictures WHERE good_id IS NULL AND counted"
        " GROUP BY uploader_id) AS unused"
        " WHERE unused.uploader_id = picture_usage.user_id"
    )
    op.execute("DELETE FROM pictures WHERE good_id IS NULL")
    op.drop_index("ix_pictures_of_no_good", table_name="pictures")
    op.drop_constraint(op.f("ck_pictures_used_once"), "pictures", type_="check")
    op.drop_constraint(op.f("ck_pictures_of_good_or_uploader"), "pictures", type_="check")
    op.drop_column("pictures", "used_at")
    op.alter_column("pictures", "good_id", existing_type=sa.BigInteger(), nullable=False)
    op.drop_constraint(op.f("fk_pictures_uploader_id_users"), "pictures", type_="foreignkey")
    op.drop_column("pictures", "uploader_id")
