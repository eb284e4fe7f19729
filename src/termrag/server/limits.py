"""How often one key or address may come: a bucket of requests each, filled evenly."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from termrag.server.faults import Refused

_MOST_BUCKETS = 10_000


class RateLimit:
    """At most `per_minute` requests of each user in a minute, half a minute's worth at once; 0 for any number."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._burst = max(1.0, per_minute / 2)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was

    def take(self, user: str) -> None:
        """Count one request. Raises Refused (429), saying when to come again."""
        if not self._rate:
            return
        now = self._clock()
        left, since = self._buckets.pop(user, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        self._buckets[user] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if left < 1:
            wait_s = max(1, round((1 - left) / self._rate + 0.5))
            raise Refused(429, "too_many_requests", "too many requests", "slow down", Retry_After=str(wait_s))


@lru_cache(maxsize=1024)
def neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits that one machine has all of to choose from."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, 64), strict=False))
