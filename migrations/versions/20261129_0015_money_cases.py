"""Cases about money for staff, held orders, refunds made elsewhere, and what each day's bill said.

Revision: 0015
After: 0014
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("orders", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("refunded_elsewhere", sa.BigInteger(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_payments_refunded_elsewhere_not_negative"), "payments", "refunded_elsewhere >= 0"
    )
    op.create_check_constraint(op.f("ck_payments_refunded_at_most_once"), "payments", "refunded_elsewhere <= amount")
    op.add_column("payouts", sa.Column("undecided_at", sa.DateTime(timezone=True), nullable=True))
    # The gateway may still carry out what it was asked for before.
    op.execute("UPDATE payouts SET undecided_at = now() WHERE state = 'pending' AND attempts > 0")
    op.create_table(
        "money_cases",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("payment_id", sa.BigInteger(), nullable=True),
        sa.Column("refund_id", sa.BigInteger(), nullable=True),
        sa.Column("payout_id", sa.BigInteger(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decision", sa.String(length=20), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('payout', 'refund', 'second_payment', 'refund_elsewhere', 'bill')",
            name=op.f("ck_money_cases_kind_known"),
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (decision IS NULL)", name=op.f("ck_money_cases_closed_by_a_decision")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_money_cases_order_id_orders")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_money_cases_payment_id_payments")),
        sa.ForeignKeyConstraint(["payout_id"], ["payouts.id"], name=op.f("fk_money_cases_payout_id_payouts")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_money_cases_refund_id_refunds")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_cases")),
        sa.UniqueConstraint("key", name=op.f("uq_money_cases_key")),
    )
    op.create_index(
        "ix_money_cases_open", "money_cases", ["id"], unique=False, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.create_index("ix_money_cases_order_id", "money_cases", ["order_id"], unique=False)
    op.create_table(
        "reconciliations",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("differences >= 0", name=op.f("ck_reconciliations_differences_not_negative")),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_reconciliations")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("reconciliations")
    op.drop_index("ix_money_cases_order_id", table_name="money_cases")
    op.drop_index("ix_money_cases_open", table_name="money_cases", postgresql_where=sa.text("closed_at IS NULL"))
    op.drop_table("money_cases")
    op.drop_column("payouts", "undecided_at")
    op.drop_constraint(op.f("ck_payments_refunded_at_most_once"), "payments", type_="check")
    op.drop_constraint(op.f("ck_payments_refunded_elsewhere_not_negative"), "payments", type_="check")
    op.drop_column("payments", "refunded_elsewhere")
    op.drop_column("orders", "held_at")
