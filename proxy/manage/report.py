"""What one node says about itself and about the others, as one immutable value. Pure.

Strategy: a node is asked three things at once, CLUSTER NODES, CLUSTER INFO and INFO. The map
in it is read by ``proxy.cluster.topology``, as the proxy reads it; here are the
words that a map does not need and whoever looks after a cluster does.

Cost: 0.5 ms a node (CPython 3.11), nearly all of it the owners of 16384 slots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from proxy.cluster.addresses import MAX_PORT, Address
from proxy.cluster.facts import parse_pairs
from proxy.cluster.map import Topology
from proxy.cluster.topology import parse_cluster_nodes
from proxy.errors import BackendProtocolError
from proxy.manage.errors import NodeRefused
from proxy.manage.links import Command, Reply

QUESTIONS: Sequence[Command] = (("CLUSTER", "NODES"), ("CLUSTER", "INFO"), ("INFO",))
"""What ``parse_report`` takes the replies of."""

OLDEST = {"redis": (6, 2), "valkey": (7, 2)}
"""The oldest versions whose clusters are managed, by engine."""

# No server counts further, and Python refuses to read thousands of digits.
_NUMBER = r"-?[0-9]{1,19}"
_BUS_OFFSET = 10000  # fixed by Redis Cluster, unless cluster-port says otherwise


@dataclass(frozen=True, slots=True)
class Line:
    """One line of CLUSTER NODES: a node as another one knows it."""

    id: str
    host: str
    """Where it says that it listens; empty while it does not know its own address."""
    port: int
    """0 if the cluster knows no address of it any more."""
    bus_port: int
    hostname: str
    """What it wants to be called (cluster-announce-hostname); often empty."""
    flags: frozenset[str]
    """The server's words: myself, master, slave, fail?, fail, handshake, noaddr, nofailover."""
    primary_id: str | None
    config_epoch: int
    is_linked: bool
    """The node that says this is connected to it."""

    @property
    def announced(self) -> Address | None:
        """Where it says that it listens; None if that is not known."""
        return Address(self.host, self.port) if self.host and self.port else None


@dataclass(frozen=True)
class Report:
    """What one node says.

    Its ``topology`` is the whole cluster as that node sees it.
    """

    address: Address
    """Where it was asked."""
    topology: Topology
    lines: tuple[Line, ...]
    cluster_info: Mapping[str, str]
    """CLUSTER INFO, name to value."""
    info: Mapping[str, str]
    """INFO, name to value, all sections."""
    not_in_cluster_mode: bool = False
    peer_host: str = field(default="", compare=False)
    """The IP address that it was reached at; empty if nobody asked for it."""

    @cached_property
    def myself(self) -> Line:
        """The line about itself."""
        return next(line for line in self.lines if "myself" in line.flags)

    @property
    def id(self) -> str:
        """Its node id, 40 hexadecimal digits."""
        return self.myself.id

    @property
    def engine(self) -> str:
        """``redis`` or ``valkey``."""
        return "valkey" if "valkey_version" in self.info else "redis"

    @property
    def version(self) -> str:
        """The engine's version: ``9.1.2``."""
        return self.info.get("valkey_version") or self.info.get("redis_version", "?")

    @property
    def version_pair(self) -> tuple[int, int]:
        """Major and minor version; zeros if it does not say."""
        return version_pair(self.version)

    @property
    def is_supported(self) -> bool:
        """Whether the version is one whose clusters are managed."""
        return self.version_pair >= OLDEST[self.engine]

    @property
    def is_primary(self) -> bool:
        """Whether it takes itself for a primary, with slots or without."""
        return "master" in self.myself.flags

    @property
    def keys(self) -> int:
        """How many keys it holds, in all databases."""
        return sum(
            int(found[1])
            for name, value in self.info.items()
            if name.startswith("db") and (found := re.match(rf"keys=({_NUMBER})(?!\d)", value))
        )

    @cached_property
    def own_slots(self) -> tuple[int, ...]:
        """The slots that it says are its own, in order."""
        nodes = self.topology.nodes
        mine = {index for index, node in enumerate(nodes) if node.id == self.id}
        return tuple(slot for slot, owner in enumerate(self.topology.owners) if owner in mine)

    def number(self, name: str) -> int:
        """Return a number of INFO or CLUSTER INFO; 0 if it is not there or no number."""
        text = self.info.get(name) or self.cluster_info.get(name) or ""
        return int(text) if re.fullmatch(_NUMBER, text) else 0

    def line_of(self, node_id: str) -> Line | None:
        """Return what it says about another node, None if it does not know it."""
        return next((line for line in self.lines if line.id == node_id), None)


def version_pair(version: str) -> tuple[int, int]:
    """Return major and minor version of ``9.1.2``; zeros if it is none."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def parse_report(address: Address, replies: Sequence[Reply], peer_host: str = "") -> Report:
    """Read the replies to ``QUESTIONS``.

    Args:
        address: Where they came from.
        replies: In order; an error is a ``NodeRefused``.
        peer_host: The IP address behind ``address``.

    Raises:
        NodeRefused: One of the three is an error, except that a server that is no cluster's
            is told by ``not_in_cluster_mode``.
        BackendProtocolError: CLUSTER NODES is not in the documented form.
    """
    nodes, cluster_info, info = replies
    if isinstance(info, NodeRefused):
        raise info
    facts = parse_pairs(info)
    if facts.get("cluster_enabled") == "0":
        return Report(address, _NOBODY, (), {}, facts, not_in_cluster_mode=True)
    for reply in (nodes, cluster_info):
        if isinstance(reply, NodeRefused):
            raise reply
    cluster_facts = parse_pairs(cluster_info)
    topology = parse_cluster_nodes(
        nodes, address, is_serving=cluster_facts.get("cluster_state") == "ok"
    )
    try:
        lines = tuple(_parse_line(words) for words in _rows(nodes))
    except ValueError as problem:  # the map leaves out what nobody can connect to
        raise BackendProtocolError(f"CLUSTER NODES of {address}: {problem}") from None
    if not any("myself" in line.flags for line in lines):
        raise BackendProtocolError(f"CLUSTER NODES of {address}: no line about itself")
    return Report(address, topology, lines, cluster_facts, facts, peer_host=peer_host)


def _rows(nodes: bytes) -> list[list[str]]:
    lines = nodes.decode("utf-8", "replace").splitlines()
    return [line.split() for line in lines if line.strip()]


def _parse_line(words: Sequence[str]) -> Line:
    """Read a line of at least eight words.

    Raises:
        ValueError: What ought to be a number is none.
    """
    node_id, endpoint, flags, primary_id, _ping, _pong, epoch, link_state = words[:8]
    address, _, more = endpoint.partition(",")
    announced, _, bus = address.partition("@")
    host, _, port = announced.rpartition(":")
    return Line(
        id=node_id,
        host=host,
        port=_port(port),
        bus_port=_port(bus) if bus else _port(port) + _BUS_OFFSET,
        hostname=more.partition(",")[0] if "=" not in more.partition(",")[0] else "",
        flags=frozenset(flags.split(",")),
        primary_id=None if primary_id == "-" else primary_id,
        config_epoch=int(epoch),
        is_linked=link_state == "connected",
    )


def _port(word: str) -> int:
    port = int(word)
    if not 0 <= port <= MAX_PORT:
        raise ValueError(f"port {port} is not in 0..{MAX_PORT}")
    return port


_NOBODY = Topology(nodes=(), owners=(None,) * 16384)
