"""Each refund of a payment that the gateway's bill has and we did not ask for.

Revision: 0016
After: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# What is known of single refunds so far: a case whose number no notification has is from a bill, with its own amount.
_FROM_CASES = """
INSERT INTO refunds_elsewhere (payment_id, number, amount, created_at)
SELECT payment_id, details ->> 'request_no', (details ->> 'amount')::bigint, opened_at
FROM money_cases
WHERE kind = 'refund_elsewhere' AND details ->> 'request_no' IS NOT NULL AND NOT EXISTS (
    SELECT FROM gateway_notifications AS notification
    WHERE notification.out_trade_no = details ->> 'out_trade_no'
    AND notification.fields ->> 'out_biz_no' = details ->> 'request_no'
)
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "refunds_elsewhere",
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_refunds_elsewhere_amount_not_negative")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refunds_elsewhere_payment_id_payments")),
        sa.PrimaryKeyConstraint("payment_id", "number", name=op.f("pk_refunds_elsewhere")),
    )
    op.execute(_FROM_CASES)


def downgrade() -> None:
    """Take back."""
    op.drop_table("refunds_elsewhere")
