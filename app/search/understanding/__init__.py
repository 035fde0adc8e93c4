"""What a query asks for: its words with what each may be replaced by, its constraints, what was changed and why.

types.py        the values: Understanding, Group, Constraint, Change
"""

from app.search.understanding.types import (
    Alternative,
    Change,
    Constraint,
    ConstraintName,
    Group,
    Reason,
    Role,
    Understanding,
)

__all__ = [
    "Alternative",
    "Change",
    "Constraint",
    "ConstraintName",
    "Group",
    "Reason",
    "Role",
    "Understanding",
]
