"""The double-entry ledger, payouts, and what refuses to be changed.

Orders that were paid before are posted as their histories tell, event by event and under the same keys as later ones,
so that the audit needs no exception for them.

Revision: 0002
After: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$
"""

_REFUSE_UNBALANCED = """
CREATE OR REPLACE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked bigint;
    entries bigint;
    total numeric;
BEGIN
    IF TG_TABLE_NAME = 'ledger_transactions' THEN
        checked := NEW.id;
    ELSE
        checked := NEW.transaction_id;
    END IF;
    SELECT count(*), sum(amount) INTO entries, total FROM ledger_entries WHERE transaction_id = checked;
    IF entries < 2 OR total <> 0 THEN
        RAISE EXCEPTION 'ledger transaction % is not balanced: % entries, sum %', checked, entries, coalesce(total, 0)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transaction_balanced', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$
"""

_TRIGGERS = (
    "CREATE TRIGGER ledger_transactions_append_only BEFORE UPDATE OR DELETE ON ledger_transactions "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER ledger_transactions_no_truncate BEFORE TRUNCATE ON ledger_transactions "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE ON ledger_entries "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER ledger_entries_no_truncate BEFORE TRUNCATE ON ledger_entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE CONSTRAINT TRIGGER ledger_transactions_balanced AFTER INSERT ON ledger_transactions "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()",
    "CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()",
    "CREATE TRIGGER ledger_accounts_fixed BEFORE DELETE OR UPDATE OF id, kind, user_id, slot "
    "ON ledger_accounts FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER ledger_accounts_no_truncate BEFORE TRUNCATE ON ledger_accounts "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)

# A web process of the old release that still runs could pay an order between the reading and the writing.
_HOLD_STILL = "LOCK TABLE orders, order_events, payments, refunds IN SHARE MODE"

_HISTORIES_ARE_WHOLE = """
DO $$
DECLARE
    broken text;
BEGIN
    SELECT string_agg(orders.order_no, ', ') INTO broken
    FROM orders LEFT JOIN LATERAL (
        SELECT count(*) AS length, max(sequence) AS last FROM order_events WHERE order_id = orders.id
    ) AS history ON true LEFT JOIN order_events AS final
        ON final.order_id = orders.id AND final.sequence = history.last
    WHERE history.length <> orders.history_length OR history.last IS DISTINCT FROM orders.history_length
        OR (final.to_bill, final.to_order, final.closed)
            IS DISTINCT FROM (orders.bill_status, orders.order_status, orders.closed);
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'no ledger can be opened: these orders do not stand where their history ends: %', broken;
    END IF;
END
$$
"""

# What each step of a history moved, as the rules of the order's machine had it at that time.
_OPENING = """
CREATE TEMPORARY TABLE opening ON COMMIT DROP AS
WITH moves (from_bill, to_bill, to_order, source, target) AS (VALUES
    (1, 2, 6, 'gateway_clearing', 'escrow'),
    (2, 3, 8, 'escrow', 'seller_held'),
    (4, 3, 8, 'escrow', 'seller_held'),
    (3, 3, 8, 'seller_held', 'seller_available'),
    (3, 4, 8, 'seller_held', 'escrow'),
    (4, 3, 9, 'escrow', 'seller_available'),
    (2, 5, 6, 'escrow', 'refund_clearing'),
    (4, 5, 6, 'escrow', 'refund_clearing'),
    (4, 5, 7, 'escrow', 'refund_clearing'),
    (4, 5, 8, 'escrow', 'refund_clearing'),
    (4, 5, 10, 'escrow', 'refund_clearing')
), steps AS (
    SELECT orders.id AS order_id, orders.seller_id, 1 AS stage, step.sequence, step.at, step.event AS kind,
        concat_ws(':', 'order', orders.id, step.sequence, step.event) AS key,
        moves.source, moves.target, orders.amount
    FROM orders JOIN order_events AS step ON step.order_id = orders.id
    JOIN moves ON moves.from_bill = step.from_bill AND moves.to_bill = step.to_bill AND moves.to_order = step.to_order
    UNION ALL
    SELECT orders.id, orders.seller_id, 2, 0, payments.paid_at, 'payment_late',
        concat_ws(':', 'payment', payments.id, 'late'), 'gateway_clearing', 'refund_clearing', refunds.amount
    FROM refunds JOIN payments ON payments.id = refunds.payment_id JOIN orders ON orders.id = payments.order_id
    WHERE refunds.reason = 'paid_after_close'
    UNION ALL
    SELECT orders.id, orders.seller_id, 3, 0, refunds.confirmed_at, 'refund_confirmed',
        concat_ws(':', 'refund', refunds.id), 'refund_clearing', 'gateway_clearing', refunds.amount
    FROM refunds JOIN payments ON payments.id = refunds.payment_id JOIN orders ON orders.id = payments.order_id
    WHERE refunds.state = 'confirmed'
), timed AS (
    -- In time, but no step of an order before the one that it follows.
    SELECT steps.*, max(at) OVER (PARTITION BY order_id ORDER BY stage, sequence) AS settled_at FROM steps
)
SELECT row_number() OVER (ORDER BY settled_at, order_id, stage, sequence, side.sign DESC) AS place,
    key, timed.kind, order_id, settled_at AS at, side.kind AS account_kind,
    CASE WHEN side.kind IN ('seller_held', 'seller_available') THEN seller_id END AS user_id,
    CASE WHEN side.kind IN ('seller_held', 'seller_available') THEN 0 ELSE order_id % 16 END AS slot,
    side.sign * amount AS amount
FROM timed CROSS JOIN LATERAL (VALUES (source, 1), (target, -1)) AS side (kind, sign)
"""

_OPEN_ACCOUNTS = """
INSERT INTO ledger_accounts (kind, user_id, slot, balance)
SELECT account_kind, user_id, slot, CASE account_kind WHEN 'gateway_clearing' THEN sum(amount) ELSE -sum(amount) END
FROM opening GROUP BY account_kind, user_id, slot ORDER BY account_kind, user_id, slot
"""

_OPEN_TRANSACTIONS = """
INSERT INTO ledger_transactions (key, kind, order_id, at)
SELECT key, kind, order_id, at FROM opening WHERE amount > 0 ORDER BY place
"""

_OPEN_ENTRIES = """
INSERT INTO ledger_entries (transaction_id, account_id, amount, balance_after)
SELECT written.id, account.id, opening.amount,
    sum(CASE account.kind WHEN 'gateway_clearing' THEN opening.amount ELSE -opening.amount END)
        OVER (PARTITION BY account.id ORDER BY place)
FROM opening JOIN ledger_transactions AS written ON written.key = opening.key
JOIN ledger_accounts AS account ON account.kind = opening.account_kind AND account.slot = opening.slot
    AND account.user_id IS NOT DISTINCT FROM opening.user_id
ORDER BY place
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ledger_accounts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("balance >= 0", name=op.f("ck_ledger_accounts_balance_not_negative")),
        sa.CheckConstraint(
            "kind IN ('gateway_clearing', 'escrow', 'seller_held', 'seller_available', 'refund_clearing', "
            "'payout_clearing', 'paid_out', 'platform_fee')",
            name=op.f("ck_ledger_accounts_kind_known"),
        ),
        sa.CheckConstraint(
            "(kind IN ('seller_held', 'seller_available')) = (user_id IS NOT NULL)",
            name=op.f("ck_ledger_accounts_user_where_personal"),
        ),
        sa.CheckConstraint(
            "slot >= 0 AND slot < 16 AND (user_id IS NULL OR slot = 0)", name=op.f("ck_ledger_accounts_slot_known")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_ledger_accounts_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint(
            "kind",
            "slot",
            "user_id",
            name=op.f("uq_ledger_accounts_kind_slot_user_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_ledger_accounts_user_id", "ledger_accounts", ["user_id"])
    op.create_table(
        "ledger_transactions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transactions")),
        sa.UniqueConstraint("key", name=op.f("uq_ledger_transactions_key")),
    )
    op.create_index("ix_ledger_transactions_order_id", "ledger_transactions", ["order_id"])
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_ledger_entries_amount_not_zero")),
        sa.CheckConstraint("balance_after >= 0", name=op.f("ck_ledger_entries_balance_after_not_negative")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name=op.f("fk_ledger_entries_account_id_ledger_accounts")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_ledger_entries_transaction_id_ledger_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_account_id_id", "ledger_entries", ["account_id", "id"])
    op.create_index("ix_ledger_entries_transaction_id", "ledger_entries", ["transaction_id"])
    op.create_table(
        "payouts",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("out_biz_no", sa.String(length=64), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=100), nullable=True),
        sa.Column("gateway_order_no", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payouts_amount_positive")),
        sa.CheckConstraint("state IN ('pending', 'confirmed', 'failed')", name=op.f("ck_payouts_state_known")),
        sa.CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)", name=op.f("ck_payouts_finished_once_decided")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_payouts_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
        sa.UniqueConstraint("out_biz_no", name=op.f("uq_payouts_out_biz_no")),
    )
    op.create_index("ix_payouts_user_id_id", "payouts", ["user_id", "id"])
    op.create_index("ix_payouts_user_id_created_at", "payouts", ["user_id", "created_at"])
    op.create_index("ix_payouts_pending", "payouts", ["created_at"], postgresql_where=sa.text("state = 'pending'"))
    for statement in (_HOLD_STILL, _HISTORIES_ARE_WHOLE, _OPENING, _OPEN_ACCOUNTS, _OPEN_TRANSACTIONS, _OPEN_ENTRIES):
        op.execute(statement)
    op.execute("DROP TABLE opening")
    for statement in (_REFUSE_CHANGE, _REFUSE_UNBALANCED, *_TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.drop_table("payouts")
    op.drop_table("ledger_entries")
    op.drop_table("ledger_transactions")
    op.drop_table("ledger_accounts")
    op.execute("DROP FUNCTION refuse_unbalanced()")
    op.execute("DROP FUNCTION refuse_change()")
