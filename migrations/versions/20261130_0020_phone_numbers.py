"""Addresses have phone numbers of Hong Kong, Macau and Taiwan, and landlines.

Revision: 0020
After: 0019

Back again PostgreSQL refuses while there is a number that the version before cannot keep.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_FORM = r"mobile ~ '^(1[0-9]{10}|\+[0-9]{9,15})$'"


def upgrade() -> None:
    """Apply."""
    op.alter_column("addresses", "mobile", type_=sa.String(16), existing_type=sa.String(11))
    op.create_check_constraint(op.f("ck_addresses_mobile_form"), "addresses", _FORM)


def downgrade() -> None:
    """Take back."""
    op.drop_constraint(op.f("ck_addresses_mobile_form"), "addresses", type_="check")
    op.alter_column("addresses", "mobile", type_=sa.String(11), existing_type=sa.String(16))
