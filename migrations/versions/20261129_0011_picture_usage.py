"""What is stored for each user is counted, and pictures that nothing shows can be found.

Revision: 0011
After: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "picture_usage",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("bytes >= 0", name=op.f("ck_picture_usage_bytes_not_negative")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_picture_usage_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_picture_usage")),
    )
    op.add_column("pictures", sa.Column("detached_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("pictures", sa.Column("counted", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_index("ix_pictures_sha256", "pictures", ["sha256"], unique=False)
    op.create_index("ix_evidence_pictures_sha256", "evidence_pictures", ["sha256"], unique=False)
    op.create_index(
        "ix_pictures_detached_at",
        "pictures",
        ["detached_at"],
        unique=False,
        postgresql_where=sa.text("detached_at IS NOT NULL AND counted"),
    )
    # When an edit took a picture off was not kept: it was at the latest edit, or before.
    op.execute(
        "UPDATE pictures SET detached_at = goods.updated_at FROM goods"
        " WHERE goods.id = pictures.good_id AND pictures.position IS NULL"
    )
    op.execute(
        """
        INSERT INTO picture_usage (user_id, bytes)
        SELECT user_id, sum(size) FROM (
            SELECT goods.owner_id AS user_id, pictures.size FROM pictures JOIN goods ON goods.id = pictures.good_id
            UNION ALL
            SELECT uploader_id, size FROM evidence_pictures
        ) AS stored GROUP BY user_id
        """
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_pictures_detached_at", table_name="pictures")
    op.drop_index("ix_evidence_pictures_sha256", table_name="evidence_pictures")
    op.drop_index("ix_pictures_sha256", table_name="pictures")
    op.drop_column("pictures", "counted")
    op.drop_column("pictures", "detached_at")
    op.drop_table("picture_usage")
