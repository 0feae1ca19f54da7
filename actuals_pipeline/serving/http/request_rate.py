"""How many requests a client may make: an allowance that refills as time passes.

The generic cell rate algorithm (ITU-T I.371), which keeps one number a client: the instant at which
its allowance is whole again.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MOST_CLIENTS = 4096
"""Clients that are remembered; of more the one unseen for longest is forgotten (about 1 MB)."""


_MINUTE = 60_000_000_000
"""In nanoseconds, in which every instant here is counted, so that none is rounded."""


class RequestRate:
    """Each client's allowance of `per_minute` requests, which may be used up at once."""

    def __init__(self, per_minute: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._interval = _MINUTE // per_minute
        self._clock = clock
        self._whole_at: OrderedDict[Hashable, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._whole_at)

    def seconds_to_wait(self, client: Hashable) -> float:
        """0 if this request is within `client`'s allowance, which it takes from; else how long."""
        now = self._clock()
        whole_at = max(self._whole_at.get(client, now), now) + self._interval
        excess = whole_at - now - _MINUTE
        if excess <= 0:
            self._whole_at[client] = whole_at
        self._whole_at.move_to_end(client)
        if len(self._whole_at) > MOST_CLIENTS:
            self._whole_at.popitem(last=False)
        return max(excess, 0) / 1e9


def client_of(host: str) -> str:
    """The client at an address: of IPv6 the network of 64 bits, for one computer has all of it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))
