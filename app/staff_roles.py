"""What members of staff may do: roles, which give permissions. Operators give roles on the command line, no URL does.

A member's roles stand in `User.staff_roles`, looked up at each request; the database holds `is_staff` to be true for
whoever has one. Services check a permission once more on the locked row, so that a role which is being taken away gives
nothing any more.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final


class StaffRole(StrEnum):
    """What somebody of staff is there for; one may have several."""

    REVIEWER = "reviewer"
    ARBITER = "arbiter"
    OPERATOR = "operator"
    ADMIN = "admin"


class Permission(StrEnum):
    """What operations and pages of staff ask for."""

    REVIEW = "review"  # decide about goods, words and pictures in review; appeals; banned pictures
    GOODS = "goods"  # search and see every good, take down, restore
    USERS = "users"  # search and see users
    SUSPEND = "suspend"  # suspend users and let them in again; codes for forgotten passwords
    ORDERS = "orders"  # see every order, with addresses and evidence
    DISPUTES = "disputes"  # decide them
    MONEY = "money"  # see payments, refunds, withdrawals and the ledger
    CASES = "cases"  # decide cases about money
    OPERATIONS = "operations"  # outbox, queues, sweeps
    FIGURES = "figures"  # the numbers of the day
    AUDIT = "audit"  # see what staff did and read
    MEMBERS = "members"  # see who is of staff; take a second factor away


ROLE_TEXT: Final[Mapping[StaffRole, str]] = {
    StaffRole.REVIEWER: "审核员",
    StaffRole.ARBITER: "仲裁员",
    StaffRole.OPERATOR: "运营员",
    StaffRole.ADMIN: "管理员",
}

PERMISSIONS: Final[Mapping[StaffRole, frozenset[Permission]]] = {
    StaffRole.REVIEWER: frozenset(
        {Permission.FIGURES, Permission.REVIEW, Permission.GOODS, Permission.USERS, Permission.SUSPEND}
    ),
    StaffRole.ARBITER: frozenset(
        {Permission.FIGURES, Permission.DISPUTES, Permission.ORDERS, Permission.GOODS, Permission.USERS}
    ),
    StaffRole.OPERATOR: frozenset(
        {
            *(Permission.ORDERS, Permission.MONEY, Permission.CASES, Permission.OPERATIONS, Permission.AUDIT),
            *(Permission.GOODS, Permission.USERS, Permission.SUSPEND, Permission.FIGURES),
        }
    ),
    StaffRole.ADMIN: frozenset(Permission),
}

BEFORE_ROLES: Final = (StaffRole.REVIEWER, StaffRole.ARBITER, StaffRole.OPERATOR)
"""What staff are who were appointed before there were roles: together they may do what all staff could, and no more."""


def permissions_of(roles: Collection[str]) -> frozenset[Permission]:
    """What these roles allow together."""
    return frozenset[Permission]().union(*(PERMISSIONS[StaffRole(role)] for role in roles))


def roles_with(permission: Permission) -> list[str]:
    """The roles that give `permission`."""
    return [role.value for role, permissions in PERMISSIONS.items() if permission in permissions]
