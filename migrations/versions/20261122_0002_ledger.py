"""The double-entry ledger, payouts, and what refuses to be changed.

Revision: 0002
After: 0001
"""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
