"""The demo market: people, goods, orders and listings that `flask seed` writes to a development database."""

from typing import Final

DEMO_PASSWORD: Final = "saltfish-demo-1"  # noqa: S105 - the demo logins are public

DEMO_LOGINS: Final[tuple[tuple[str, str, str], ...]] = (
    ("xiaoyu", DEMO_PASSWORD, "卖家"),
    ("laowang", DEMO_PASSWORD, "买家"),
    ("admin", DEMO_PASSWORD, "平台客服"),
)
"""`(username, password, role in Chinese)` of the logins that `make run` prints."""
