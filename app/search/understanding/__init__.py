"""What a query asks for: its words with what each may be replaced by, its constraints, what was changed and why.

reader.py       from a text to an Understanding
types.py        the values: Understanding, Group, Constraint, Change
constraints.py  prices, free shipping and conditions in words
words.py        names of the lexicon in a text
spelling.py     slips and pinyin
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
