"""A cluster on paper: what its nodes would say, written in the servers' own words.

A test describes nodes, changes what one of them believes, and gets the ``View`` that a
manager would have read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from proxy.cluster.addresses import Address
from proxy.cluster.slots import share_slots, slot_text
from proxy.manage.report import Report, parse_report
from proxy.manage.view import View


@dataclass
class PaperNode:
    """One node: what all believe of it, and what it alone says."""

    id: str
    address: Address
    slots: list[int] = field(default_factory=list)
    primary: PaperNode | None = None
    epoch: int = 0
    flags: set[str] = field(default_factory=set)
    link: str = "connected"
    open_slots: list[str] = field(default_factory=list)
    """``[5->-<id>]``: only its own line has them."""
    info: dict[str, str] = field(default_factory=dict)
    cluster_info: dict[str, str] = field(default_factory=dict)
    knows: set[str] | None = None
    """Ids that it knows; None: all."""
    believes: dict[str, list[int]] = field(default_factory=dict)
    """Other owners' slots as this node believes them, by id."""
    peer_host: str = ""


@dataclass
class PaperCluster:
    """All nodes; ``view`` is what they say together."""

    nodes: list[PaperNode]

    @classmethod
    def whole(cls, shards: int = 3, replicas: int = 1, hosts: int = 0) -> PaperCluster:
        """Return a cluster in order; each node on a host of its own, or on ``hosts`` in turn."""
        primaries = [
            PaperNode(_id(i), _address(i, hosts), list(range(first, last + 1)), epoch=i + 1)
            for i, (first, last) in enumerate(share_slots(shards))
        ]
        copies = [
            PaperNode(_id(shards + i), _address(shards + i, hosts), primary=primaries[i % shards])
            for i in range(shards * replicas)
        ]
        return cls([*primaries, *copies])

    @classmethod
    def bare(cls, count: int, hosts: int = 0) -> PaperCluster:
        """Return nodes that know only themselves."""
        return cls(
            [
                PaperNode(
                    _id(i), _address(i, hosts), knows=set(), peer_host=_address(i, hosts).host
                )
                for i in range(count)
            ]
        )

    def view(self, silent: frozenset[int] = frozenset()) -> View:
        """Return what the nodes say, but for those whose numbers are ``silent``."""
        reports = [
            self.report(node) for number, node in enumerate(self.nodes) if number not in silent
        ]
        return View(
            tuple(reports), {self.nodes[number].address: "timed out" for number in sorted(silent)}
        )

    def report(self, asked: PaperNode) -> Report:
        """Return what one node says."""
        known = [
            node
            for node in self.nodes
            if asked.knows is None or node is asked or node.id in asked.knows
        ]
        lines = "\n".join(self._line(node, asked) for node in known)
        covered = sum(len(asked.believes.get(node.id, node.slots)) for node in known)
        cluster_info = {
            "cluster_state": "ok",
            "cluster_slots_assigned": str(covered),
            "cluster_slots_ok": str(covered),
            "cluster_known_nodes": str(len(known)),
            "cluster_my_epoch": str((asked.primary or asked).epoch),
            "cluster_current_epoch": str(max(node.epoch for node in self.nodes)),
            **asked.cluster_info,
        }
        info = {
            "redis_version": "7.0.15",
            "cluster_enabled": "1",
            "role": "slave" if asked.primary else "master",
            **({"master_link_status": "up"} if asked.primary else {}),
            **asked.info,
        }
        replies = [lines.encode(), _pairs(cluster_info), _pairs(info)]
        return parse_report(asked.address, replies, asked.peer_host)

    def _line(self, node: PaperNode, asked: PaperNode) -> str:
        flags = {"slave" if node.primary else "master", *node.flags}
        words = []
        if node is asked:
            flags = {"myself", *flags - {"fail", "fail?"}}
            words = node.open_slots
        slots = asked.believes.get(node.id, node.slots)
        host = "" if node is asked and asked.knows == set() else node.address.host
        return " ".join(
            [
                node.id,
                f"{host}:{node.address.port}@{node.address.port + 10000}",
                ",".join(sorted(flags)),
                node.primary.id if node.primary else "-",
                "0",
                "0",
                str((node.primary or node).epoch),
                "connected" if node is asked else node.link,
                slot_text(slots),
                *words,
            ]
        )


def _id(number: int) -> str:
    return f"{number:040x}"


def _address(number: int, hosts: int) -> Address:
    host = number % hosts if hosts else number
    return Address(f"10.0.{host // 250}.{host % 250 + 1}", 7000 + number)


def _pairs(values: dict[str, str]) -> bytes:
    return "\r\n".join(f"{name}:{value}" for name, value in values.items()).encode()
