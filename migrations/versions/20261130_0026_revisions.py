"""Revisions of goods, verdicts with their reasons, what waits for a person, appeals, reports, banned pictures.

Revision: 0026
After: 0025
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_KINDS = ("order", "reminder", "payout", "staff")


def _notification_kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_notifications_kind_known"), "notifications", type_="check")
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("ck_notifications_kind_known"), "notifications", f"kind IN ({listed})")


def _moment(name: str, *, nullable: bool = False) -> "sa.Column[object]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Apply. Each good gets the revision that its row holds; what is public was approved."""
    op.add_column("goods", sa.Column("edit_revision", sa.Integer(), nullable=True))
    op.add_column("goods", sa.Column("reviewed_price", sa.BigInteger(), nullable=True))
    op.create_check_constraint(op.f("ck_goods_edit_is_later"), "goods", "edit_revision > revision")
    op.create_index(
        "ix_goods_with_edit", "goods", ["id"], postgresql_where=sa.text("edit_revision IS NOT NULL AND NOT deleted")
    )

    op.create_table(
        "good_revisions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=60), nullable=False),
        sa.Column("description", sa.String(length=2000), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("original_price", sa.BigInteger(), nullable=True),
        sa.Column("freight", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.SmallInteger(), nullable=False),
        sa.Column("trade_mode", sa.SmallInteger(), nullable=False),
        sa.Column("picture_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("relists", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        _moment("submitted_at"),
        _moment("decided_at", nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("categories", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("text", sa.String(length=500), server_default="", nullable=False),
        sa.CheckConstraint("category IN (1, 2, 3, 4, 5, 6, 7, 8, 9)", name=op.f("ck_good_revisions_category_known")),
        sa.CheckConstraint("trade_mode IN (6, 7, 8)", name=op.f("ck_good_revisions_trade_mode_known")),
        sa.CheckConstraint(
            "state IN ('in_review', 'approved', 'rejected', 'superseded')", name=op.f("ck_good_revisions_state_known")
        ),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_good_revisions_good_id_goods")),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_good_revisions_decided_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_good_revisions")),
        sa.UniqueConstraint("good_id", "revision", name=op.f("uq_good_revisions_good_id_revision")),
    )
    op.create_index(
        "ix_good_revisions_decided",
        "good_revisions",
        ["decided_at"],
        postgresql_where=sa.text("decided_by IS NOT NULL"),
    )
    op.execute(
        """
        INSERT INTO good_revisions (
            good_id, revision, title, description, price, original_price, freight, category, trade_mode, picture_ids,
            state, submitted_at, decided_at)
        SELECT
            id, revision, title, description, price, original_price, freight, category, trade_mode,
            ARRAY(SELECT pictures.id FROM pictures WHERE good_id = goods.id AND position IS NOT NULL ORDER BY position),
            CASE WHEN deleted THEN 'superseded' WHEN status = 1 THEN 'in_review' WHEN status = 5 THEN 'rejected'
                ELSE 'approved' END,
            updated_at,
            CASE WHEN status = 1 AND NOT deleted THEN NULL ELSE updated_at END
        FROM goods
        """
    )

    op.add_column("verdicts", sa.Column("state", sa.String(length=10), nullable=True))
    op.add_column(
        "verdicts",
        sa.Column("hits", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.add_column("verdicts", sa.Column("rules_version", sa.String(length=100), server_default="", nullable=False))
    op.add_column("verdicts", sa.Column("content_hash", sa.String(length=64), server_default="", nullable=False))
    op.add_column("verdicts", sa.Column("by_staff", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE verdicts SET state = CASE WHEN passed THEN 'passed' ELSE 'rejected' END")
    op.alter_column("verdicts", "state", nullable=False)
    op.create_check_constraint(op.f("ck_verdicts_state_known"), "verdicts", "state IN ('passed', 'review', 'rejected')")
    op.create_check_constraint(op.f("ck_verdicts_passed_says_the_state"), "verdicts", "passed = (state = 'passed')")
    op.create_index(
        "ix_verdicts_content_hash",
        "verdicts",
        ["content_hash", "rules_version"],
        postgresql_where=sa.text("kind = 'picture'"),
    )

    op.create_table(
        "review_cases",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("skipped_by", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        _moment("claimed_until", nullable=True),
        sa.Column("decision", sa.String(length=10), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        _moment("created_at"),
        _moment("closed_at", nullable=True),
        sa.CheckConstraint(
            "kind IN ('release', 'edit', 'appeal', 'takedown_appeal', 'recheck', 'report')",
            name=op.f("ck_review_cases_kind_known"),
        ),
        sa.CheckConstraint("decision IN ('approve', 'reject')", name=op.f("ck_review_cases_decision_known")),
        sa.CheckConstraint(
            "(claimed_by IS NULL) = (claimed_until IS NULL)", name=op.f("ck_review_cases_claimed_until_a_moment")
        ),
        sa.CheckConstraint("decision IS NULL OR closed_at IS NOT NULL", name=op.f("ck_review_cases_decided_is_closed")),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_review_cases_good_id_goods")),
        sa.ForeignKeyConstraint(["claimed_by"], ["users.id"], name=op.f("fk_review_cases_claimed_by_users")),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name=op.f("fk_review_cases_decided_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_cases")),
    )
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_review_cases_open", "review_cases", ["good_id", "revision"], unique=True, postgresql_where=is_open
    )
    op.create_index("ix_review_cases_queue", "review_cases", [sa.text("priority DESC"), "id"], postgresql_where=is_open)
    op.create_index("ix_review_cases_good_id", "review_cases", ["good_id", "id"])

    op.create_table(
        "appeals",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("answer", sa.String(length=500), server_default="", nullable=False),
        _moment("created_at"),
        _moment("decided_at", nullable=True),
        sa.CheckConstraint("state IN ('open', 'granted', 'refused', 'void')", name=op.f("ck_appeals_state_known")),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_appeals_good_id_goods")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
        sa.UniqueConstraint("good_id", "revision", name=op.f("uq_appeals_good_id_revision")),
    )

    op.create_table(
        "good_reports",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("good_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("reporter_id", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        _moment("created_at"),
        sa.ForeignKeyConstraint(["good_id"], ["goods.id"], name=op.f("fk_good_reports_good_id_goods")),
        sa.ForeignKeyConstraint(["reporter_id"], ["users.id"], name=op.f("fk_good_reports_reporter_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_good_reports")),
        sa.UniqueConstraint("good_id", "reporter_id", name=op.f("uq_good_reports_good_id_reporter_id")),
    )
    op.create_index("ix_good_reports_reporter_id", "good_reports", ["reporter_id", "created_at"])

    op.create_table(
        "banned_pictures",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("picture_id", sa.BigInteger(), nullable=True),
        sa.Column("banned_by", sa.BigInteger(), nullable=False),
        _moment("created_at"),
        _moment("lifted_at", nullable=True),
        sa.ForeignKeyConstraint(["banned_by"], ["users.id"], name=op.f("fk_banned_pictures_banned_by_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_banned_pictures")),
    )
    op.create_index(
        "uq_banned_pictures_sha256",
        "banned_pictures",
        ["sha256"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )

    op.create_table(
        "picture_fingerprints",
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.BigInteger(), nullable=False),
        sa.Column("bands", postgresql.ARRAY(sa.SmallInteger()), nullable=False),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("content_hash", name=op.f("pk_picture_fingerprints")),
    )
    op.create_index("ix_picture_fingerprints_bands", "picture_fingerprints", ["bands"], postgresql_using="gin")

    op.create_table(
        "moderation_totals",
        sa.Column("stage", sa.String(length=10), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("verdicts", sa.BigInteger(), nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        _moment("since"),
        sa.CheckConstraint("stage IN ('text', 'picture', 'person')", name=op.f("ck_moderation_totals_stage_known")),
        sa.PrimaryKeyConstraint("stage", "outcome", name=op.f("pk_moderation_totals")),
    )
    _notification_kinds((*_KINDS, "review"))


def downgrade() -> None:
    """Take back. Edits that wait beside their goods are forgotten; what is public stays as it is."""
    op.execute("UPDATE notifications SET kind = 'staff' WHERE kind = 'review'")
    _notification_kinds(_KINDS)
    for table in (
        *("moderation_totals", "picture_fingerprints", "banned_pictures", "good_reports", "appeals", "review_cases"),
        "good_revisions",
    ):
        op.drop_table(table)
    op.drop_index("ix_verdicts_content_hash", table_name="verdicts")
    op.drop_constraint(op.f("ck_verdicts_passed_says_the_state"), "verdicts", type_="check")
    op.drop_constraint(op.f("ck_verdicts_state_known"), "verdicts", type_="check")
    for column in ("by_staff", "content_hash", "rules_version", "hits", "state"):
        op.drop_column("verdicts", column)
    op.drop_index("ix_goods_with_edit", table_name="goods")
    op.drop_constraint(op.f("ck_goods_edit_is_later"), "goods", type_="check")
    op.drop_column("goods", "reviewed_price")
    op.drop_column("goods", "edit_revision")
