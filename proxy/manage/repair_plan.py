"""What to do about open slots, slots without an owner, and claims that collide. Pure.

Strategy: keys decide. An open slot whose keys have not begun to leave is closed again; one
whose keys are on both sides is gone on with, towards the node that has them. A
slot that nobody owns goes to whoever has its keys. What two nodes claim belongs to the one
with the newer claim, and at equal claims to the one with the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proxy.manage.report import Report
from proxy.manage.view import View

Keys = Mapping[tuple[str, int], int]
"""How many keys a node has in a slot, by (node id, slot); 0 if it is not there."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """Finish a migration that somebody began."""

    slot: int
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Close:
    """Take a mark off a slot: it stays with its owner."""

    slot: int
    node: str


@dataclass(frozen=True, slots=True)
class Gather:
    """Move keys of a slot from a node that has no business with it to where they are looked for."""

    slot: int
    holder: str
    to: str
    owner: str
    """Of the slot: ``to``, or the node from which the slot is on its way to ``to``."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Give slots that nobody serves to a node."""

    slots: tuple[int, ...]
    node: str
    keys: int


@dataclass(frozen=True, slots=True)
class Bump:
    """Give a node a new config epoch, above all others: its claims win."""

    node: str
    reason: str


Step = GoOn | Close | Gather | Assign | Bump


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """Steps in their order, and what cannot be repaired from here."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair would do or has done, and what is beyond it; a line each."""

    steps: tuple[str, ...]
    notes: tuple[str, ...]


def doubtful_slots(view: View, *, lost: bool = False) -> list[int]:
    """Return the slots whose keys have to be counted at every primary before ``plan_repair``."""
    found = {slot for slot, owner in enumerate(view.topology.owners) if owner is None}
    for report in view.reports:
        found |= set(report.topology.migrating) | set(report.topology.importing)
    found |= {slot for slot, claimants in _claims(view).items() if len(claimants) > 1}
    if lost:
        found |= set(_lost_slots(view))
    return sorted(found)


def plan_repair(view: View, keys: Keys, *, lost: bool = False) -> RepairPlan:
    """Return what puts the cluster in order.

    Args:
        view: What all nodes say.
        keys: Counted for ``doubtful_slots`` at every primary that answers.
        lost: Slots of a primary that has failed and has no replica are given to others;
            their keys are lost, unless that node comes back.
    """
    notes = [
        f"{len(slots)} slots are those of {view.name(node)}, which has failed and has no replica; "
        "--lost gives them to others, without their keys"
        for node, slots in _dead_owners(view).items()
        if not lost
    ]
    open_steps, open_notes = _open_slot_steps(view, keys)
    return RepairPlan(
        steps=(
            *_uncovered_steps(view, keys, lost=lost),
            *_claim_steps(view, keys),
            *open_steps,
        ),
        notes=(*notes, *open_notes),
    )


def describe(step: Step, view: View) -> str:
    """Return a step in words."""
    match step:
        case GoOn(slot, source, target):
            return f"slot {slot}: go on from {view.name(source)} to {view.name(target)}"
        case Close(slot, node):
            return f"slot {slot}: close it at {view.name(node)}"
        case Gather(slot, holder, to, _owner):
            return f"slot {slot}: bring keys from {view.name(holder)} to {view.name(to)}"
        case Assign(slots, node, keys):
            return f"{len(slots)} slots without an owner, {keys} keys: to {view.name(node)}"
        case Bump(node, reason):
            return f"{view.name(node)}: a new config epoch, because {reason}"


def _open_slot_steps(view: View, keys: Keys) -> tuple[list[Step], list[str]]:
    steps: list[Step] = []
    notes: list[str] = []
    alive = {report.id: report for report in view.reports if report.is_primary}
    marked: dict[int, set[str]] = {}
    for report in view.reports:
        for slot in (*report.topology.migrating, *report.topology.importing):
            marked.setdefault(slot, set()).add(report.id)
    for slot, nodes in sorted(marked.items()):
        owner = view.topology.owner(slot)
        if owner is None:
            continue  # it gets one first, and is looked at again
        if owner.id not in alive:
            notes.append(f"slot {slot} is open, and its owner {owner.address} does not answer")
            continue
        # A mark that only a replica has came from its primary (Valkey from 8 tells replicas first,
        # and does not do it itself if whoever asked is gone), and goes the same way.
        nodes |= {view.by_id[node].myself.primary_id or "" for node in nodes if node not in alive}
        steps += _end_open_slot(slot, owner.id, nodes & set(alive), alive, keys)
    return steps, notes


def _end_open_slot(
    slot: int, owner: str, marked: set[str], alive: Mapping[str, Report], keys: Keys
) -> list[Step]:
    holders = [node for node in alive if node != owner and keys.get((node, slot))]
    target = alive[owner].topology.migrating.get(slot)
    both_marked = (
        target in alive and alive[target].topology.importing.get(slot) == owner
        if target is not None
        else False
    )
    if not holders and not both_marked:
        return [Close(slot, node) for node in sorted(marked)]
    if target not in alive or (target not in holders and holders):
        target = max(holders, key=lambda node: keys.get((node, slot), 0))
    assert target is not None
    others = [node for node in holders if node != target]
    return [
        *(Gather(slot, node, target, owner) for node in others),
        *(Close(slot, node) for node in sorted(marked - {owner, target, *others})),
        GoOn(slot, owner, target),
    ]


def _uncovered_steps(view: View, keys: Keys, *, lost: bool) -> list[Step]:
    uncovered = [slot for slot, owner in enumerate(view.topology.owners) if owner is None]
    if lost:
        uncovered += _lost_slots(view)
    nodes = [report.id for report in view.reports if report.is_primary]
    if not uncovered or not nodes:
        return []
    sizes = {node: len(view.slots_of(node)) for node in nodes}
    assigned: dict[str, list[int]] = {}
    back: list[Step] = []
    for slot in sorted(uncovered):
        holders = sorted(
            (node for node in nodes if keys.get((node, slot))),
            key=lambda node: -keys[node, slot],
        )
        # Neighbours stay together: the poorest is asked anew only for each run of slots.
        last = next((node for node, slots in assigned.items() if slots[-1] == slot - 1), None)
        owner = holders[0] if holders else last or min(nodes, key=lambda node: sizes[node])
        assigned.setdefault(owner, []).append(slot)
        sizes[owner] += 1
        back += [Gather(slot, holder, owner, owner) for holder in holders[1:]]
    return [
        *(
            Assign(tuple(slots), node, sum(keys.get((node, slot), 0) for slot in slots))
            for node, slots in assigned.items()
        ),
        *back,
    ]


def _claim_steps(view: View, keys: Keys) -> list[Step]:
    """Settle claims of equal epoch, and those that not all nodes have heard of."""
    bumps: dict[str, str] = {}
    for slot, claimants in _claims(view).items():
        if len(claimants) > 1:
            winner = max(
                claimants,
                key=lambda node: (
                    keys.get((node, slot), 0),
                    view.by_id[node].myself.config_epoch,
                    node,
                ),
            )
            bumps[winner] = f"{len(claimants)} nodes claim slot {slot}"
            continue
        (claimant,) = claimants
        if any(not _believes(report, slot, claimant) for report in view.reports):
            bumps.setdefault(claimant, f"not all nodes believe that slot {slot} is its own")
    by_epoch: dict[int, list[str]] = {}
    for report in view.primaries:
        by_epoch.setdefault(report.myself.config_epoch, []).append(report.id)
    for epoch, nodes in by_epoch.items():
        for node in sorted(nodes)[1:]:
            bumps.setdefault(node, f"another node has the epoch {epoch} too")
    return [Bump(node, reason) for node, reason in bumps.items()]


def _claims(view: View) -> dict[int, list[str]]:
    """Return for each slot the primaries that say it is their own."""
    found: dict[int, list[str]] = {}
    for report in view.reports:
        if report.is_primary:
            for slot in report.own_slots:
                found.setdefault(slot, []).append(report.id)
    return found


def _believes(report: Report, slot: int, owner: str) -> bool:
    index = report.topology.owners[slot]
    return index is not None and report.topology.nodes[index].id == owner


def _dead_owners(view: View) -> dict[str, Sequence[int]]:
    """Return the slots of primaries that have failed and that no replica can follow."""
    return {
        node.id: view.slots_of(node.id)
        for node in view.topology.primaries
        if node.failed
        and node.id not in view.by_id
        and not any(copy.id in view.by_id for copy in view.topology.replicas_of(node.id))
    }


def _lost_slots(view: View) -> list[int]:
    return sorted(slot for slots in _dead_owners(view).values() for slot in slots)
