"""A backup of a cluster's shape, and how it differs from another. No data is in it. Pure.

Strategy: what would have to be known to form the same cluster again of empty servers: the
nodes with ids, addresses, roles, slots, epochs, versions, and the settings that decide
how the cluster behaves. Two backups are compared; that one of them has just been taken
makes it a check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.slots import SLOT_COUNT, slot_text
from proxy.manage.report import version_pair
from proxy.manage.view import View
from proxy.manage.words import counted

SETTINGS = (
    "cluster-node-timeout",
    "cluster-require-full-coverage",
    "cluster-allow-replica-migration",
    "cluster-migration-barrier",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-allow-reads-when-down",
    "cluster-allow-pubsubshard-when-down",
    "cluster-preferred-endpoint-type",
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "save",
)
"""Of each node; one that a version does not know is left out."""


@dataclass(frozen=True, slots=True)
class BackupNode:
    """One node."""

    id: str
    address: Address
    """Where it says that clients find it."""
    hostname: str
    role: str
    """``primary`` or ``replica``."""
    copies: str | None
    """The id of a replica's primary; None for a primary."""
    slots: tuple[int, ...]
    config_epoch: int
    engine: str
    """``redis`` or ``valkey``; empty if the node did not answer."""
    version: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def version_pair(self) -> tuple[int, int]:
        """Major and minor version; zeros if it is not known."""
        return version_pair(self.version)


@dataclass(frozen=True, slots=True)
class Backup:
    """The shape of a cluster at one moment: no keys, no values, no passwords."""

    taken_at: str
    """ISO 8601, UTC."""
    nodes: tuple[BackupNode, ...]
    """Shard by shard, in the order of their first slots, primaries first."""

    @property
    def uncovered(self) -> tuple[int, ...]:
        """The slots that nobody owned."""
        owned = {slot for node in self.nodes for slot in node.slots}
        return tuple(slot for slot in range(SLOT_COUNT) if slot not in owned)

    def at(self, places: Mapping[Address, Address]) -> Backup:
        """Return this shape at other addresses, old to new; who is not named stays.

        Raises:
            ValueError: Two nodes would have the same address.
        """
        taken = Counter(places.get(node.address, node.address) for node in self.nodes)
        for place, nodes in taken.items():
            if nodes > 1:
                raise ValueError(f"{counted(nodes, 'node')} cannot all be at {place}")
        return replace(
            self,
            nodes=tuple(
                replace(node, address=places.get(node.address, node.address)) for node in self.nodes
            ),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was."""

    kind: str
    """missing, extra, address, role, slots, version or setting."""
    node: Address
    """Whom it concerns: where that node is now, or was if it is missing."""
    words: str


def take_backup(view: View, settings: Mapping[Address, Mapping[str, str]], taken_at: str) -> Backup:
    """Return the shape of a cluster.

    A node that has failed and owns no slot is left out: it is no part of the shape.

    Args:
        view: What its nodes say.
        settings: What each says of ``SETTINGS``, by where it was asked.
        taken_at: When, for people.
    """
    topology = view.topology
    nodes = []
    for node in topology.nodes:
        slots = view.slots_of(node.id)
        if node.failed and not slots:
            continue
        report = view.by_id.get(node.id)
        line = view.best.line_of(node.id)
        nodes.append(
            BackupNode(
                id=node.id,
                address=node.address,
                hostname=line.hostname if line else "",
                role="primary" if node.is_primary else "replica",
                copies=node.primary_id,
                slots=slots,
                config_epoch=node.config_epoch,
                engine=report.engine if report else "",
                version=report.version if report else "",
                settings=dict(settings.get(report.address, {})) if report else {},
            )
        )
    first = {node.id: node.slots[0] for node in nodes if node.slots}

    def place(node: BackupNode) -> tuple[int, str, bool, Address]:
        shard = node.copies or node.id
        return first.get(shard, SLOT_COUNT), shard, node.copies is not None, node.address

    return Backup(taken_at, tuple(sorted(nodes, key=place)))


def differences(before: Backup, now: Backup) -> tuple[Difference, ...]:
    """Return what is not as it was, node by node; empty if the shape is the same.

    A node is known again by its id, else by its address: a restored cluster has new ids.
    Epochs may differ, for they only count the changes.
    """
    pairs = _pair(before, now)
    partner = {old.id: new.id for old, new in pairs}
    address = {node.id: node.address for node in now.nodes}
    found = [
        Difference("missing", node.address, f"the {node.role} is not there any more")
        for node in before.nodes
        if node.id not in partner
    ]
    known = set(partner.values())
    found += [
        Difference("extra", node.address, f"a {node.role} that was not there")
        for node in now.nodes
        if node.id not in known
    ]
    for old, new in pairs:
        if old.address != new.address:
            found.append(Difference("address", new.address, f"it was at {old.address}"))
        found += _roles(old, new, partner, address, before)
        gone = sorted(set(old.slots) - set(new.slots))
        come = sorted(set(new.slots) - set(old.slots))
        if gone:
            found.append(Difference("slots", new.address, f"it no longer owns {slot_text(gone)}"))
        if come:
            found.append(Difference("slots", new.address, f"it did not own {slot_text(come)}"))
        if old.version and new.version and (old.engine, old.version) != (new.engine, new.version):
            words = f"{new.engine} {new.version}, it was {old.engine} {old.version}"
            found.append(Difference("version", new.address, words))
        found += [
            Difference("setting", new.address, f"{name} is {new.settings[name]!r}, was {value!r}")
            for name, value in old.settings.items()
            if new.settings.get(name, value) != value
        ]
    return tuple(found)


def parse_places(words: list[str]) -> dict[Address, Address]:
    """Return ``old=new`` pairs of addresses.

    Raises:
        ValueError: One is no pair, or an address is named twice.
    """
    found: dict[Address, Address] = {}
    for word in words:
        old, equals, new = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} is not old=new, two addresses")
        place = Address.parse(old)
        if place in found:
            raise ValueError(f"{place} is given twice")
        found[place] = Address.parse(new)
    return found


def places_in_order(backup: Backup, addresses: list[Address]) -> dict[Address, Address]:
    """Return new addresses for the nodes of a backup, in its order.

    Raises:
        ValueError: There are not as many.
    """
    if len(addresses) != len(backup.nodes):
        raise ValueError(
            f"the backup has {len(backup.nodes)} nodes, and {len(addresses)} addresses are given"
        )
    return {node.address: new for node, new in zip(backup.nodes, addresses, strict=True)}


def reachable(backup: Backup, address_map: AddressMap) -> tuple[Address, ...]:
    """Return where the nodes of a backup are asked from here, in its order."""
    return tuple(address_map.reachable(node.address) for node in backup.nodes)


def _pair(before: Backup, now: Backup) -> list[tuple[BackupNode, BackupNode]]:
    by_id = {node.id: node for node in now.nodes}
    same_id = {node.id for node in before.nodes if node.id in by_id}
    by_address = {node.address: node for node in now.nodes if node.id not in same_id}
    pairs = []
    for node in before.nodes:
        new = by_id[node.id] if node.id in by_id else by_address.get(node.address)
        if new is not None:
            pairs.append((node, new))
    return pairs


def _roles(
    old: BackupNode,
    new: BackupNode,
    partner: Mapping[str, str],
    address: Mapping[str, Address],
    before: Backup,
) -> list[Difference]:
    wanted = partner.get(old.copies, old.copies) if old.copies else None
    if new.copies == wanted:
        return []
    was = {node.id: node.address for node in before.nodes}

    def role(primary: str | None, places: Mapping[str, Address]) -> str:
        return "a primary" if primary is None else f"a replica of {places.get(primary, primary)}"

    words = f"it is {role(new.copies, address)}, it was {role(old.copies, was)}"
    return [Difference("role", new.address, words)]
