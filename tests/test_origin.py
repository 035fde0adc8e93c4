"""The networks that callers are counted by."""

import pytest

from app.origin import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5678", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:192.0.2.1]:443", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("unknown", "unknown"),
        ("unix:", "unknown"),
        ("[]:80", "unknown"),
        ("[nowhere]", "unknown"),
        ("1.2.3:80", "unknown"),
        ("300.1.1.1", "unknown"),
        ("１９２.0.2.1", "unknown"),
    ],
)
def test_networks(address: str | None, network: str) -> None:
    assert network_of(address) == network


def test_networks_of_another_size() -> None:
    addresses = ("2001:db8:1:2::1", "2001:db8:1:3::1", "192.0.2.1", "::ffff:192.0.2.1")
    assert [network_of(address, ipv6_prefix=48) for address in addresses] == ["2001:db8:1::/48"] * 2 + ["192.0.2.1"] * 2
