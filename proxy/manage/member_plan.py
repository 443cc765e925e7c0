"""Who joins, who leaves, who copies whom: what may be done, and with whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node
from proxy.manage.create_plan import FEWEST_PRIMARIES, meeting_place, problems_of
from proxy.manage.errors import CannotPlan
from proxy.manage.move_plan import Move, plan_drain
from proxy.manage.report import Report
from proxy.manage.view import View


@dataclass(frozen=True, slots=True)
class AddPlan:
    """A node that joins."""

    address: Address
    id: str
    meets: Address
    """Where the others find it."""
    bus_port: int
    primary_id: str | None
    """Whom it will copy; None: it becomes a primary without slots."""
    primary: Address | None
    is_known: bool
    """It is in the cluster already, from an attempt before."""


@dataclass(frozen=True, slots=True)
class RemovePlan:
    """A node that leaves."""

    address: Address
    id: str
    role: str
    answers: bool
    """If not, it is only forgotten."""
    moves: tuple[Move, ...]
    """Its slots, and who gets them."""
    new_primaries: tuple[tuple[str, str], ...]
    """Its replicas, each with the primary that it will copy instead; ids."""
    notes: tuple[str, ...] = ()
    """What the operator should know before saying yes."""


@dataclass(frozen=True, slots=True)
class ReplicatePlan:
    """A node that will copy another primary."""

    address: Address
    id: str
    primary: Address
    primary_id: str


@dataclass(frozen=True, slots=True)
class FailoverPlan:
    """A replica that takes over."""

    heir: Address
    heir_id: str
    primary: Address
    """From whom."""


def plan_add(view: View, report: Report, replica_of: str | None) -> AddPlan:
    """Return how a node joins.

    Args:
        view: The cluster.
        report: What the new node says.
        replica_of: An address or id; ``auto`` for the primary that needs a replica most; None
            to become a primary.

    Raises:
        CannotPlan: With all that is in the way.
    """
    problems = problems_of(report)
    if problems:
        raise CannotPlan(problems)
    known = view.topology.node_by_id(report.id)
    others = [line for line in report.lines if "myself" not in line.flags]
    if known is None:
        strangers = [line for line in others if line.id not in view.by_id]
        if strangers:
            problems.append(f"{report.address}: it is in a cluster with other nodes already")
    if report.own_slots:
        problems.append(f"{report.address}: it owns {len(report.own_slots)} slots already")
    if known is not None and not known.is_primary and replica_of is None:
        problems.append(f"{report.address}: it is a replica of this cluster already")
    if report.keys and (known is None or known.is_primary):
        problems.append(f"{report.address}: it is not empty: {report.keys} keys")
    engine = view.best.engine
    if report.engine != engine:
        problems.append(f"{report.address}: it is {report.engine}, the cluster is {engine}")
    if problems:
        raise CannotPlan(problems)
    place, bus_port = meeting_place(report)
    primary = _primary_for(view, place.host, replica_of)
    return AddPlan(
        address=report.address,
        id=report.id,
        meets=place,
        bus_port=bus_port,
        primary_id=primary.id if primary else None,
        primary=primary.address if primary else None,
        is_known=known is not None,
    )


def plan_remove(view: View, name: str) -> RemovePlan:
    """Return how a node leaves: slots and replicas first.

    Raises:
        CannotPlan: There is no such node, or it has slots and does not answer.
    """
    node = view.find(name)
    answers = node.id in view.by_id
    slots = view.slots_of(node.id)
    if slots and not answers:
        reason = f"{node.address} owns {len(slots)} slots and does not answer: promote a replica "
        raise CannotPlan([f"{reason}(failover --takeover), or give its slots away (fix --lost)"])
    orphans = [copy for copy in view.topology.replicas_of(node.id) if copy.id in view.by_id]
    others = [primary for primary in view.topology.primaries if primary.id != node.id]
    if orphans and not others:
        raise CannotPlan([f"{node.address} is the only primary"])
    return RemovePlan(
        address=node.address,
        id=node.id,
        role="primary" if node.is_primary else "replica",
        answers=answers,
        moves=plan_drain(view, node.id) if slots else (),
        new_primaries=_adopt(view, orphans, others),
        notes=_notes(view, node, others),
    )


def plan_replicate(view: View, node_name: str, primary_name: str) -> ReplicatePlan:
    """Return how a node becomes a replica; refuses what a server would refuse, in words.

    Raises:
        CannotPlan: With all that is in the way.
    """
    node, primary = view.find(node_name), view.find(primary_name)
    problems = []
    if not primary.is_primary:
        problems.append(f"{primary.address} is a replica itself")
    if node.id == primary.id:
        problems.append(f"{node.address} cannot copy itself")
    report = view.by_id.get(node.id)
    if report is None:
        problems.append(f"{node.address} does not answer")
    elif node.is_primary and view.slots_of(node.id):
        problems.append(f"{node.address} owns slots: move them first")
    elif node.is_primary and report.keys:
        problems.append(f"{node.address} is not empty: {report.keys} keys")
    elif node.is_primary and view.topology.replicas_of(node.id):
        problems.append(f"{node.address} has replicas of its own")
    if problems:
        raise CannotPlan(problems)
    return ReplicatePlan(node.address, node.id, primary.address, primary.id)


def plan_failover(view: View, name: str) -> FailoverPlan:
    """Return the replica to promote, and its primary.

    Args:
        view: The cluster.
        name: A replica; or a primary, whose most advanced replica is taken.

    Raises:
        CannotPlan: There is none that answers.
    """
    node = view.find(name)
    if node.is_primary:
        heirs = view.replicas_of(node.id)
        if not heirs:
            raise CannotPlan([f"{node.address} has no replica that answers"])
        best = max(
            heirs,
            key=lambda report: (
                report.info.get("master_link_status") == "up",
                report.number("slave_repl_offset"),
            ),
        )
        heir = view.topology.node_by_id(best.id)
        assert heir is not None
        return FailoverPlan(heir.address, heir.id, node.address)
    if node.id not in view.by_id:
        raise CannotPlan([f"{node.address} does not answer"])
    primary = view.topology.node_by_id(node.primary_id or "")
    if primary is None:
        raise CannotPlan([f"nobody knows the primary of {node.address}"])
    return FailoverPlan(node.address, node.id, primary.address)


def _primary_for(view: View, host: str, replica_of: str | None) -> Node | None:
    if replica_of is None:
        return None
    if replica_of != "auto":
        node = view.find(replica_of)
        if not node.is_primary:
            raise CannotPlan([f"{node.address} is a replica itself"])
        return node
    # Fewest replicas first, and among those one of another host.
    return min(
        view.topology.primaries,
        key=lambda node: (
            len(view.topology.replicas_of(node.id)),
            node.address.host == host,
            node.address,
        ),
    )


def _adopt(view: View, orphans: list[Node], others: list[Node]) -> tuple[tuple[str, str], ...]:
    counts = {node.id: len(view.topology.replicas_of(node.id)) for node in others}
    hosts = {node.id: node.address.host for node in others}
    found = []
    for orphan in orphans:
        primary = min(counts, key=lambda node: (counts[node], hosts[node] == orphan.address.host))
        counts[primary] += 1
        found.append((orphan.id, primary))
    return tuple(found)


def _notes(view: View, leaving: Node, others: list[Node]) -> tuple[str, ...]:
    if leaving.is_primary and view.slots_of(leaving.id) and len(others) < FEWEST_PRIMARIES:
        return (f"only {len(others)} with slots would be left: no majority to replace one of them",)
    copies = view.topology.replicas_of(leaving.primary_id or "")
    if leaving.primary_id is not None and len(copies) == 1:
        return (f"{view.name(leaving.primary_id)} would be left without a replica",)
    return ()
