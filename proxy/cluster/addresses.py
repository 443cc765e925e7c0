"""Where a node listens: read it, print it, and translate it where NAT stands between.

Strategy: an address is a value of two fields. Redis itself joins host and port
with a colon even for IPv6 (``::1:6379``), people write ``[::1]:6379``; both are
read, the second is printed. Names are never resolved here.

Cost: nothing that matters; addresses are parsed when the map is, not per request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

MAX_PORT = 65535


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Host (name or IP, IPv6 without brackets) and port of one server."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``host:port``, ``[::1]:6379`` or the form on the wire, ``::1:6379``.

        Raises:
            ValueError: The host or the port is missing, or the port is not a
                number from 1 to 65535. The message quotes ``text``.
        """
        host, port = split_host_port(text)
        if not host:
            raise ValueError(f"{text!r} has no host before the port")
        return cls(host, port)

    def __str__(self) -> str:
        """Return the form people write; ``parse`` reads it back."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split_host_port(text: str) -> tuple[str, int]:
    """Return host and port of ``text``; the host may be empty, as in ``MOVED 5 :6379``.

    Raises:
        ValueError: There is no port, or it is not a number from 1 to 65535.
    """
    host, colon, port = text.rpartition(":")
    # isdecimal() alone also accepts digits of other scripts.
    if not colon or not (port.isascii() and port.isdecimal()):
        raise ValueError(f"{text!r} is not host:port")
    # Bounded first: Python refuses to read thousands of digits, in other words.
    if len(port) > len("065535") or not 1 <= int(port) <= MAX_PORT:
        raise ValueError(f"{text!r}: the port is not in 1..{MAX_PORT}")
    if host.startswith("[") != host.endswith("]") or host == "[]":
        raise ValueError(f"{text!r}: the brackets do not hold an IPv6 address")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass(frozen=True, slots=True)
class AddressMap:
    """What the cluster announces, to what can be reached from here.

    For nodes behind NAT or in containers, which announce addresses of a
    network the proxy is not in. A whole address beats a host.
    """

    by_address: Mapping[Address, Address] = field(default_factory=dict)
    by_host: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, entries: Mapping[str, str]) -> Self:
        """Read ``{"10.0.0.5:7000": "127.0.0.1:17000", "10.0.0.6": "gateway"}``.

        A key with a port is one node and its value has a port too; a key
        without one is every node of that host and its value is a host. IPv6
        with a port needs brackets: ``::1:6379`` alone is itself an address.

        Raises:
            ValueError: An entry has neither form. The message quotes it.
        """
        by_address: dict[Address, Address] = {}
        by_host: dict[str, str] = {}
        for announced, reachable in entries.items():
            if _has_port(announced) != _has_port(reachable):
                raise ValueError(
                    f"{announced!r} = {reachable!r}: both sides need a port, or neither"
                )
            if _has_port(announced):
                by_address[Address.parse(announced)] = Address.parse(reachable)
            elif announced and reachable:
                by_host[_bare(announced)] = _bare(reachable)
            else:
                raise ValueError(f"{announced!r} = {reachable!r}: a host is empty")
        return cls(by_address, by_host)

    def reachable(self, announced: Address) -> Address:
        """Return where ``announced`` is reached from here: itself, if no entry says otherwise."""
        exact = self.by_address.get(announced)
        if exact is not None:
            return exact
        host = self.by_host.get(announced.host)
        return announced if host is None else Address(host, announced.port)


def _has_port(text: str) -> bool:
    if text.startswith("["):
        return not text.endswith("]")
    return text.count(":") == 1


def _bare(host: str) -> str:
    return host.removeprefix("[").removesuffix("]")
