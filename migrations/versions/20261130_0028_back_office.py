"""Roles of staff, sessions and second factors of the back office, and the record of what staff read.

Who is of staff already gets the roles that together allow what all staff could do, and no more.

Revision: 0028
After: 0027
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "users",
        sa.Column("staff_roles", postgresql.ARRAY(sa.String(length=20)), server_default="{}", nullable=False),
    )
    op.execute("UPDATE users SET staff_roles = '{reviewer,arbiter,operator}' WHERE is_staff")
    op.create_check_constraint(op.f("ck_users_staff_has_roles"), "users", "is_staff = (cardinality(staff_roles) > 0)")
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_staff_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_sessions")),
    )
    op.create_index("ix_staff_sessions_user_id", "staff_sessions", ["user_id"])
    op.create_index("ix_staff_sessions_expires_at", "staff_sessions", ["expires_at"])
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.String(length=200), nullable=False),
        sa.Column("last_counter", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factors")),
    )
    op.create_table(
        "staff_reads",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("subject_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("place", sa.String(length=80), nullable=False),
        sa.Column("reason_digest", sa.String(length=64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_staff_reads_actor_id_users")),
        sa.ForeignKeyConstraint(
            ["reason_digest"], ["erasable_texts.digest"], name=op.f("fk_staff_reads_reason_digest_erasable_texts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_reads")),
    )
    op.create_index("ix_staff_reads_actor_id", "staff_reads", ["actor_id", "id"])
    op.create_index("ix_staff_reads_subject_ids", "staff_reads", ["subject_ids"], postgresql_using="gin")
    op.execute(
        "CREATE TRIGGER staff_reads_append_only BEFORE UPDATE OR DELETE ON staff_reads "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER staff_reads_no_truncate BEFORE TRUNCATE ON staff_reads "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Take back. Whoever has a role keeps what all staff may do."""
    op.drop_table("staff_reads")
    op.drop_table("second_factors")
    op.drop_table("staff_sessions")
    op.drop_constraint(op.f("ck_users_staff_has_roles"), "users")
    op.drop_column("users", "staff_roles")
