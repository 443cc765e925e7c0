"""Plan a new cluster of empty nodes, and say what is still to be done of it. Pure.

Strategy: the plan follows from the addresses alone, in their order; what is still to
do follows from the plan and from what the nodes say. So nothing has to be remembered:
killed at any moment, the same command goes on where it was. The order of the phases is
that of ``redis-cli --cluster create``: slots and distinct epochs while the nodes do
not know each other, then introductions, then replicas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from proxy.cluster.addresses import Address
from proxy.cluster.slots import share_slots
from proxy.manage.dealing import deal_replicas, misplaced, take_turns
from proxy.manage.errors import CannotPlan
from proxy.manage.report import OLDEST, Report
from proxy.manage.view import View
from proxy.manage.words import counted

FEWEST_PRIMARIES = 3
ALL_PAIRS_UP_TO = 16  # nodes; in a larger cluster gossip is faster than that many introductions


@dataclass(frozen=True, slots=True)
class NewPrimary:
    """A primary to be, with its slots."""

    id: str
    address: Address
    host: str
    ranges: tuple[tuple[int, int], ...]
    """First and last slot of each, both included."""

    @property
    def slots(self) -> tuple[int, ...]:
        """All of its slots, in order."""
        return tuple(slot for first, last in self.ranges for slot in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class NewReplica:
    """A replica to be, and the primary that it will copy."""

    id: str
    address: Address
    host: str
    primary_id: str
    primary_address: Address


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """A cluster to be."""

    primaries: tuple[NewPrimary, ...]
    replicas: tuple[NewReplica, ...]
    notes: tuple[str, ...] = ()
    """What the operator should know before saying yes."""
    is_begun: bool = False
    """Some of it has been done before."""

    @property
    def nodes(self) -> tuple[NewPrimary | NewReplica, ...]:
        """All nodes; the place of a node in it is its config epoch, less one."""
        return (*self.primaries, *self.replicas)


@dataclass(frozen=True, slots=True)
class Tell:
    """One command to one node."""

    address: Address
    command: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """Commands that may go out at the same time; none, if there is only something to wait for."""

    words: str
    tells: tuple[Tell, ...] = ()


def plan_create(view: View, replicas: int) -> CreatePlan:
    """Return the plan for a cluster of exactly these nodes.

    Args:
        view: What they say, in the order in which they were named.
        replicas: How many each primary gets at least.

    Raises:
        CannotPlan: With all that is in the way, a sentence each.
    """
    problems = [f"{address}: {reason}" for address, reason in view.silent.items()]
    reports = view.reports
    problems += problems_of_all(reports)
    count = len(reports) // (replicas + 1)
    if not problems and count < FEWEST_PRIMARIES:
        problems.append(
            f"{counted(len(reports), 'node')} make {counted(count, 'shard')} of a primary and "
            f"{counted(replicas, 'replica')}; a cluster needs {FEWEST_PRIMARIES}, or no majority "
            "can replace a primary that fails"
        )
    if problems:
        raise CannotPlan(problems)
    plan = _deal(reports, count)
    problems = already_otherwise(plan, view)
    if problems:
        raise CannotPlan(problems)
    return plan


def next_phase(plan: CreatePlan, view: View) -> Phase | None:
    """Return what is to be done next, None if all commands have been given.

    Args:
        plan: As ``plan_create`` made it.
        view: What the nodes of the plan say now.
    """
    for phase in (_slots, _epochs, _introductions, _patience, _replicas):
        found = phase(plan, view.by_id)
        if found is not None:
            return found
    return None


def _slots(plan: CreatePlan, now: Mapping[str, Report]) -> Phase | None:
    tells = [
        Tell(
            node.address,
            ("CLUSTER", "ADDSLOTS", *node.slots),
        )
        for node in plan.primaries
        if node.ranges and not now[node.id].own_slots
    ]
    return Phase("deal out the slots", tuple(tells)) if tells else None


def _epochs(plan: CreatePlan, now: Mapping[str, Report]) -> Phase | None:
    """Distinct from the start, so that no node has to yield to another's epoch."""
    tells = [
        Tell(node.address, ("CLUSTER", "SET-CONFIG-EPOCH", number))
        for number, node in enumerate(plan.nodes, 1)
        # A node that knows others takes none any more, and settles it with them.
        if now[node.id].number("cluster_my_epoch") == 0 and len(now[node.id].lines) == 1
    ]
    return Phase("give each node an epoch of its own", tuple(tells)) if tells else None


def _introductions(plan: CreatePlan, now: Mapping[str, Report]) -> Phase | None:
    nodes = plan.nodes
    hubs = nodes if len(nodes) <= ALL_PAIRS_UP_TO else nodes[:1]
    tells = []
    for index, hub in enumerate(hubs):
        known = {line.id for line in now[hub.id].lines}
        shaking = {line.announced for line in now[hub.id].lines if "handshake" in line.flags}
        for other in nodes[index + 1 :]:
            place, bus_port = meeting_place(now[other.id])
            if other.id not in known and place not in shaking:
                tells.append(
                    Tell(hub.address, ("CLUSTER", "MEET", place.host, place.port, bus_port))
                )
    return Phase("introduce the nodes to each other", tuple(tells)) if tells else None


def _patience(plan: CreatePlan, now: Mapping[str, Report]) -> Phase | None:
    wanted = {node.id for node in plan.nodes}
    for node in plan.nodes:
        missing = wanted - {line.id for line in now[node.id].lines if "handshake" not in line.flags}
        if missing:
            more = counted(len(missing), "more node")
            return Phase(f"wait until {node.address} knows {more}")
    return None


def _replicas(plan: CreatePlan, now: Mapping[str, Report]) -> Phase | None:
    tells = [
        Tell(node.address, ("CLUSTER", "REPLICATE", node.primary_id))
        for node in plan.replicas
        if now[node.id].myself.primary_id != node.primary_id
    ]
    return Phase("make the replicas copy their primaries", tuple(tells)) if tells else None


def meeting_place(report: Report) -> tuple[Address, int]:
    """Return where other nodes find this one: its address, and the port of its cluster bus.

    What it announces; else the IP address that it was reached at, for CLUSTER MEET takes
    no names.
    """
    myself = report.myself
    host = myself.host or report.peer_host or report.address.host
    return Address(host, myself.port or report.address.port), myself.bus_port


def _deal(reports: Sequence[Report], primaries: int) -> CreatePlan:
    address = {report.id: report.address for report in reports}
    host = {report.id: meeting_place(report)[0].host for report in reports}
    turns = take_turns([report.id for report in reports], host)
    owners, others = turns[:primaries], turns[primaries:]
    dealt = deal_replicas(owners, others, host)
    notes = [
        f"replica {address[replica]} would be on the host of its primary: "
        "that host's failure would take both"
        for replica in misplaced(dealt, host)
    ]
    versions = sorted({f"{report.engine} {report.version}" for report in reports})
    if len(versions) > 1:
        notes.append(f"the nodes are of different versions: {', '.join(versions)}")
    shares = zip(owners, share_slots(primaries), strict=True)
    return CreatePlan(
        primaries=tuple(
            NewPrimary(node, address[node], host[node], ((first, last),))
            for node, (first, last) in shares
        ),
        replicas=tuple(
            NewReplica(node, address[node], host[node], primary, address[primary])
            for node, primary in dealt.items()
        ),
        notes=tuple(notes),
        is_begun=any(report.own_slots or len(report.lines) > 1 for report in reports),
    )


def problems_of_all(reports: Sequence[Report]) -> list[str]:
    """Return why these servers cannot become one cluster, a sentence each."""
    problems: list[str] = []
    for report in reports:
        problems += problems_of(report)
    ids = [report.id for report in reports if not report.not_in_cluster_mode]
    for report in reports:
        if not report.not_in_cluster_mode and ids.count(report.id) > 1:
            problems.append(f"{report.address}: another address leads to the same node")
    hosts = {meeting_place(report)[0].host for report in reports if not report.not_in_cluster_mode}
    if len(hosts) > 1 and any(_is_loopback(host) for host in hosts):
        problems.append(
            f"some nodes are at a loopback address, where the others cannot reach them: "
            f"{', '.join(sorted(hosts))}; name them by an address of the network"
        )
    if len({report.engine for report in reports}) > 1:
        problems.append("some nodes are Redis and some are Valkey")
    return problems


def problems_of(report: Report) -> list[str]:
    """Return why this server cannot become a node of any cluster, a sentence each."""
    if report.not_in_cluster_mode:
        return [f"{report.address}: it is not in cluster mode (cluster-enabled yes)"]
    if not report.is_supported:
        oldest = ".".join(map(str, OLDEST[report.engine]))
        return [f"{report.address}: {report.engine} {report.version} is older than {oldest}"]
    return []


def already_otherwise(plan: CreatePlan, view: View) -> list[str]:
    """Return which nodes hold or know what this plan would not have given them."""
    problems = []
    family = {node.id for node in plan.nodes}
    wanted = {node.id: node.slots for node in plan.primaries}
    copied = {node.id: node.primary_id for node in plan.replicas}
    for report in view.reports:
        own, line = report.own_slots, report.myself
        strangers = {other.id for other in report.lines if "handshake" not in other.flags} - family
        if strangers:
            problems.append(f"{report.address}: it is in a cluster with other nodes already")
        elif own and own != wanted.get(report.id, ()):
            problems.append(f"{report.address}: it owns other slots already")
        elif line.primary_id is not None and line.primary_id != copied.get(report.id):
            problems.append(f"{report.address}: it is a replica of another node already")
        elif report.keys and not own and line.primary_id is None:
            problems.append(f"{report.address}: it is not empty: {report.keys} keys")
    return problems


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def addresses_of(nodes: Iterable[NewPrimary | NewReplica]) -> tuple[Address, ...]:
    """Return where nodes of a plan are asked."""
    return tuple(node.address for node in nodes)
