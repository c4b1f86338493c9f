"""How often one address may do something: token buckets, bounded in number. Pure: ``now`` is given.

A bucket holds as many tokens as are allowed in a minute, and gets them back evenly. Who has none
left waits until one is there.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import ceil
from typing import TypeAlias

MOST_BUCKETS = 10_000
"""Addresses that are remembered; the one not seen for longest is forgotten, as a full bucket."""
MINUTE_S = 60.0
IPV6_SITE_BITS = 64
"""One subscriber has a whole /64 of IPv6, so all of it counts as one address."""

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """Buckets of one kind. ``per_minute`` is given with each question, because sites change."""

    def __init__(self, *, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, who: Hashable, *, per_minute: int, now: float) -> bool:
        """Use up one token; False, and nothing used, when there is none. ``now`` in seconds."""
        bucket = self._filled(who, per_minute, now)
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True

    def has_one(self, who: Hashable, *, per_minute: int, now: float) -> bool:
        """Tell whether a token is there, without using it."""
        return self.wait_s(who, per_minute=per_minute, now=now) == 0

    def wait_s(self, who: Hashable, *, per_minute: int, now: float) -> int:
        """Return after how many whole seconds there is a token; 0 = now."""
        known = self._buckets.get(who)
        if known is None:
            return 0
        missing = 1.0 - _tokens_at(known, per_minute, now)
        return 0 if missing <= 0 else max(1, ceil(missing * MINUTE_S / per_minute))

    def _filled(self, who: Hashable, per_minute: int, now: float) -> _Bucket:
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(float(per_minute), now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
            return bucket
        bucket.tokens, bucket.at = _tokens_at(bucket, per_minute, now), now
        self._buckets.move_to_end(who)
        return bucket


def _tokens_at(bucket: _Bucket, per_minute: int, now: float) -> float:
    returned = max(0.0, now - bucket.at) * per_minute / MINUTE_S
    return min(float(per_minute), bucket.tokens + returned)


def networks_of(text: str) -> Networks:
    """Return the networks of a comma separated list such as ``10.0.0.0/8, ::1``.

    Raises ``ValueError`` naming the one that is none.
    """
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_within(host: str, networks: Networks) -> bool:
    """Tell whether an address is in one of the networks."""
    address = _address(host)
    return address is not None and any(address in network for network in networks)


def limited_address(host: str, *, unlimited: Networks = ()) -> str | None:
    """Return what is counted for an address; ``None`` = it is not limited.

    Loopback is this machine itself, and ``unlimited`` are proxies, through which many stations
    come.
    """
    address = _address(host)
    if address is None:
        return host or None
    if address.is_loopback or any(address in network for network in unlimited):
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address, IPV6_SITE_BITS), strict=False))
    return str(address)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
