"""The network a request comes from: what rate limits and login throttling count by."""

import ipaddress
import re

# As some reverse proxies write them: 192.0.2.1:5678, [2001:db8::1]:443.
_WITH_PORT = re.compile(r"\[(?P<bracketed>[^]]+)\](?::[0-9]+)?|(?P<plain>[0-9.]+):[0-9]+", re.ASCII)

UNKNOWN = "unknown"
"""The network of whatever is no IP address: servers and proxies on Unix sockets, proxies that do not say."""


def network_of(address: str | None, *, ipv6_prefix: int = 64) -> str:
    """The network that a caller at `address` is counted by; whatever is no IP address counts as one, `UNKNOWN`.

    An IPv4 address counts by itself, also in IPv6's spelling (`::ffff:192.0.2.1`), an IPv6 address by its /64: the
    smallest block that providers assign, within which a customer can change addresses at will. Where strangers can
    have more, another `ipv6_prefix` may be right.
    """
    written = _WITH_PORT.fullmatch(address or "")
    try:
        parsed = ipaddress.ip_address(written["bracketed"] or written["plain"] if written else address or "")
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(parsed), ipv6_prefix), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
