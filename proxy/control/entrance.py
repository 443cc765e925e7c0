"""Who may come in: from where, and how many a second.

Strategy: asked once for each connection, before it is a client. Protected mode is Redis's:
without anything that tells friend from foe, only this machine is served. Rates are token
buckets that hold a second's worth, one for all and one for each address; an IPv6 network of
64 bits counts as one address, because one host may have all of it. Whoever passes
connections on is believed only if the settings name it.

Cost: nothing worth a word without rates; 4 us a connection with both (CPython 3.11, CI
machine). At most ``ADDRESSES`` are remembered; those that were away longest are forgotten.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog

from proxy.resp import replies_door

log = structlog.get_logger()

ADDRESSES = 10_000  # chosen: some 2 MB

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about who may come in.

    Attributes:
        is_protected: Only this machine may.
        tls_proves: But whoever speaks TLS may, because that takes a certificate.
        per_s: Connections a second; 0: any number.
        per_s_per_address: The same from one address.
        passers_on: Networks of whoever may pass connections on.
        unix_passes_on: Whether who comes by a Unix socket may.
    """

    is_protected: bool = False
    tls_proves: bool = False
    per_s: int = 0
    per_s_per_address: int = 0
    passers_on: tuple[Network, ...] = ()
    unix_passes_on: bool = False


class Bucket:
    """How many more may come; full again after a second without anybody."""

    __slots__ = ("_at_s", "_tokens")

    def __init__(self, per_s: int, now_s: float) -> None:
        self._tokens = float(per_s)
        self._at_s = now_s

    def take(self, per_s: int, now_s: float) -> bool:
        """Return whether one more may come, and count it."""
        self._tokens = min(per_s, self._tokens + (now_s - self._at_s) * per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Entrance:
    """Lets connections in, or says why not.

    Args:
        note_limit: Counts a refusal by the setting behind it.
        clock: Monotonic seconds.

    Attributes:
        rules: What holds now.
        clock: As given.
    """

    def __init__(
        self, note_limit: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rules = Rules()
        self._note_limit = note_limit
        self.clock = clock
        self._all = Bucket(0, clock())
        self._by_address: OrderedDict[object, Bucket] = OrderedDict()

    @property
    def addresses(self) -> int:
        """How many addresses are remembered."""
        return len(self._by_address)

    def replace(self, rules: Rules) -> None:
        """Go by these rules from now on; rates begin anew if they have changed."""
        before, self.rules = self.rules, rules
        if before.per_s != rules.per_s:
            self._all = Bucket(rules.per_s, self.clock())
        if before.per_s_per_address != rules.per_s_per_address:
            self._by_address.clear()

    def distrusts(self, host: str) -> bytes | None:
        """Return the error for whoever may not pass connections on; None: it may."""
        if not host:
            is_believed = self.rules.unix_passes_on
        else:
            address = _address(host)
            is_believed = any(address in network for network in self.rules.passers_on)
        if is_believed:
            return None
        return self._refuse("proxy_protocol", replies_door.header_not_believed(), host)

    def no_header(self, host: str, problem: str) -> bytes:
        """Return the error for a connection that does not begin with a PROXY header."""
        return self._refuse("proxy_protocol", replies_door.no_header(problem), host)

    def turn_away(self, host: str, told: str | None, has_tls: bool = False) -> bytes | None:
        """Return the error for a connection that may not come in; None: it may.

        Args:
            host: Its other end's IP address; empty: it came by a Unix socket.
            told: Where it really is from, if it was passed on: an IP address or a path.
            has_tls: A TLS handshake comes next.
        """
        rules = self.rules
        if (
            rules.is_protected
            and not (has_tls and rules.tls_proves)
            and not (_is_here(host) and (told is None or _is_here(told)))
        ):
            return self._refuse("protected_mode", replies_door.protected_mode(), told or host)
        if rules.per_s and not self._all.take(rules.per_s, self.clock()):
            return self._refuse_rate("connections_per_s", rules.per_s, told or host)
        source = told or host
        if rules.per_s_per_address and source and not self._take(source):
            return self._refuse_rate(
                "connections_per_s_per_address", rules.per_s_per_address, source
            )
        return None

    def _take(self, source: str) -> bool:
        """Return whether one more may come from an address or path, and count it."""
        per_s, now_s = self.rules.per_s_per_address, self.clock()
        key = _whole(source)
        bucket = self._by_address.get(key)
        if bucket is None:
            bucket = self._by_address[key] = Bucket(per_s, now_s)
            if len(self._by_address) > ADDRESSES:
                self._by_address.popitem(last=False)
        self._by_address.move_to_end(key)
        return bucket.take(per_s, now_s)

    def _refuse_rate(self, setting: str, per_s: int, source: str) -> bytes:
        text = replies_door.too_many_connections(f"listen.{setting}", per_s)
        return self._refuse(setting, text, source)

    def _refuse(self, setting: str, text: bytes, source: str) -> bytes:
        self._note_limit(setting)
        log.warning("connection refused", setting=f"listen.{setting}", source=source or "unix")
        return text


def is_loopback(host: str) -> bool:
    """Return whether an IP address is this machine's own."""
    return _address(host).is_loopback


def _is_here(host: str) -> bool:
    """Whether an address is this machine's own; a Unix socket (empty) is, a path told is not."""
    if not host:
        return True
    try:
        return is_loopback(host)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address:
    """Return an address; an IPv4 one that came as IPv6 as what it is."""
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _whole(source: str) -> object:
    """Return what counts as one address."""
    try:
        address = _address(source)
    except ValueError:
        return source  # a path
    return address if isinstance(address, IPv4Address) else int(address) >> 64
