"""What the cluster would survive: the loss of any one node, and of any one host. Pure.

Strategy: take what would be lost away and ask the two questions that a failover asks. Does
each shard keep a node that can serve it: its primary, or a replica that is linked to
it? Does a majority of the primaries remain, to vote for that replica?
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the loss of one thing would mean."""

    loss: str
    """``node 10.0.0.1:7000`` or ``host 10.0.0.1``."""
    survives: bool
    """Every slot would be served again, by itself."""
    reason: str
    """Why not; else who would take over."""


def node_verdicts(view: View) -> tuple[Verdict, ...]:
    """Return what the loss of each primary would mean; a replica's is always survived."""
    working = working_nodes(view)
    return tuple(
        verdict(view, f"node {primary.address}", {primary.id}, working)
        for primary in in_order(view.topology.primaries)
        if primary.id in working
    )


def host_verdicts(view: View) -> tuple[Verdict, ...]:
    """Return what the loss of each host that has a primary would mean."""
    working = working_nodes(view)
    on_host: dict[str, set[str]] = {}
    for node in view.topology.nodes:
        on_host.setdefault(node.address.host, set()).add(node.id)
    hosts = dict.fromkeys(
        primary.address.host
        for primary in in_order(view.topology.primaries)
        if primary.id in working
    )
    return tuple(verdict(view, f"host {host}", on_host[host], working) for host in hosts)


def verdict(view: View, loss: str, lost: set[str], working: set[str]) -> Verdict:
    """Return what the loss of several nodes at once would mean.

    Args:
        view: The cluster before.
        loss: How people call it.
        lost: Ids.
        working: As ``working_nodes`` returns them.
    """
    topology = view.topology
    left = working - lost
    heirs: list[Address] = []
    orphans: list[Address] = []
    for primary in in_order(topology.primaries):
        if primary.id in left:
            continue
        found = [
            node.address
            for node in topology.replicas_of(primary.id)
            if _can_follow(view, node.id) and node.id in left
        ]
        if found:
            heirs.append(found[0])
        else:
            orphans.append(primary.address)
    if orphans:
        return Verdict(loss, False, f"no replica would be left for {_list(orphans)}")
    voters = sum(primary.id in left for primary in topology.primaries)
    needed = len(topology.primaries) // 2 + 1
    if heirs and voters < needed:
        return Verdict(
            loss, False, f"of the primaries {voters} would be left to vote, and it takes {needed}"
        )
    return Verdict(loss, True, f"{_list(heirs)} would take over")


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """Return nodes by their addresses: each node lists the others in an order of its own."""
    return sorted(nodes, key=lambda node: node.address)


def working_nodes(view: View) -> set[str]:
    """Return the nodes that answer and that nobody takes for failed."""
    return {node.id for node in view.topology.nodes if not node.failed and node.id in view.by_id}


def _can_follow(view: View, replica_id: str) -> bool:
    report = view.by_id.get(replica_id)
    if report is None or "nofailover" in report.myself.flags:
        return False
    return report.info.get("master_link_status") == "up"


def _list(addresses: Iterable[Address]) -> str:
    return ", ".join(map(str, addresses)) or "nobody"
