"""The stand-in number of a refund that has none in a bill is its moment and its amount; it was the moment alone.

Revision: 0019
After: 0018
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_MOMENT = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+]08:00"

# What was recorded in both forms is one line of a bill that was compared before and after the form changed.
_COUNTED_TWICE = f"""
DELETE FROM refunds_elsewhere AS older USING refunds_elsewhere AS newer
WHERE older.number ~ '^{_MOMENT}$' AND newer.payment_id = older.payment_id
AND newer.number = older.number || ' ' || older.amount
"""  # noqa: S608 - of this file's constants

_ROWS = f"UPDATE refunds_elsewhere SET number = number || ' ' || amount WHERE number ~ '^{_MOMENT}$'"  # noqa: S608 - as above

_CASES = """
UPDATE money_cases SET details = jsonb_set(details, '{{refunds}}', (
    SELECT jsonb_object_agg({number}, amount) FROM jsonb_each(details -> 'refunds') AS each (number, amount)
))
WHERE kind = 'second_payment' AND EXISTS (
    SELECT FROM jsonb_object_keys(details -> 'refunds') AS each (number) WHERE number ~ '{pattern}'
)
"""

# Of several in one second the one with the least amount gets the moment alone; the others keep what sets them apart.
_ROWS_BACK = f"""
UPDATE refunds_elsewhere AS one SET number = split_part(number, ' ', 1)
WHERE number ~ '^{_MOMENT} [0-9]+$' AND NOT EXISTS (
    SELECT FROM refunds_elsewhere AS other
    WHERE other.payment_id = one.payment_id AND split_part(other.number, ' ', 1) = split_part(one.number, ' ', 1)
    AND (other.amount < one.amount OR other.number ~ '^{_MOMENT}$')
)
"""  # noqa: S608 - as above

_NUMBER = f"CASE WHEN number ~ '^{_MOMENT}$' THEN number || ' ' || (amount #>> '{{}}') ELSE number END"
_NUMBER_BACK = f"""
CASE WHEN number ~ '^{_MOMENT} [0-9]+$' AND NOT EXISTS (
    SELECT FROM jsonb_each(details -> 'refunds') AS other (number, amount)
    WHERE split_part(other.number, ' ', 1) = split_part(each.number, ' ', 1)
    AND (other.amount < each.amount OR other.number ~ '^{_MOMENT}$')
) THEN split_part(number, ' ', 1) ELSE number END
"""


def upgrade() -> None:
    """Apply. What was counted twice stays so in the sums of payments and cases: a notification's may be in them."""
    op.execute(_COUNTED_TWICE)
    op.execute(_ROWS)
    op.execute(_CASES.format(number=_NUMBER, pattern=f"^{_MOMENT}$"))


def downgrade() -> None:
    """Take back."""
    op.execute(_ROWS_BACK)
    op.execute(_CASES.format(number=_NUMBER_BACK, pattern=f"^{_MOMENT} [0-9]+$"))
