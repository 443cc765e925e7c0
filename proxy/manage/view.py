"""The whole cluster as all of its nodes say it is, at one moment. Immutable, pure.

Strategy: every node has a view of its own and none is the truth. Who exists is taken from the
best informed serving one (highest config epoch); who owns a slot, from the owners
themselves, as far as they answer: a replica may name an owner that has long given a slot
away. Decisions are made from this value alone; ``look.py`` reads it from the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.map import Node, Topology
from proxy.cluster.slots import SLOT_COUNT
from proxy.manage.errors import CannotPlan, NodeUnreachable
from proxy.manage.report import Report


@dataclass(frozen=True)
class View:
    """What each node says, and who says nothing."""

    reports: tuple[Report, ...]
    """Of the nodes that answered, in the order of their addresses."""
    silent: Mapping[Address, str] = field(default_factory=dict)
    """Nodes that others know and that could not be asked, with the reason."""
    address_map: AddressMap = field(default_factory=AddressMap)
    """From what nodes announce to what is reached from here."""

    @cached_property
    def best(self) -> Report:
        """The report of the best informed node."""
        return max(
            self.reports,
            key=lambda report: (
                report.topology.is_serving,
                report.topology.config_epoch,
                report.topology.covered_slots,
                report.is_primary,
            ),
        )

    @cached_property
    def topology(self) -> Topology:
        """The map: who exists, as the best informed node says; who owns what, as the owners say.

        At several claims the highest config epoch wins. A silent node owns what others say.
        """
        told = self.best.topology
        index_of = {node.id: index for index, node in enumerate(told.nodes)}
        claims: dict[int, tuple[int, int]] = {}
        for report in self.reports:
            index = index_of.get(report.id)
            if report.is_primary and index is not None:
                claim = (report.myself.config_epoch, index)
                for slot in report.own_slots:
                    claims[slot] = max(claims.get(slot, claim), claim)
        owners = list(told.owners)
        for slot, owner in enumerate(owners):
            if slot in claims:
                owners[slot] = claims[slot][1]
            elif owner is not None and told.nodes[owner].id in self.by_id:
                owners[slot] = None
        return told if tuple(owners) == told.owners else replace(told, owners=tuple(owners))

    @cached_property
    def can_serve(self) -> bool:
        """Every slot has an owner that answers."""
        nodes = self.topology.nodes
        return all(
            owner is not None and nodes[owner].id in self.by_id
            for owner in set(self.topology.owners)
        )

    @cached_property
    def by_id(self) -> Mapping[str, Report]:
        """The reports by node id."""
        return {report.id: report for report in self.reports}

    def report_of(self, node_id: str) -> Report:
        """Return what a node says.

        Raises:
            NodeUnreachable: It says nothing.
            CannotPlan: There is none with this id.
        """
        report = self.by_id.get(node_id)
        if report is not None:
            return report
        node = self.topology.node_by_id(node_id)
        if node is None:
            raise CannotPlan([f"{node_id[:12]} is no node of this cluster"])
        place = self.address_map.reachable(node.address)
        raise NodeUnreachable(place, self.silent.get(place, "it does not answer"))

    @cached_property
    def primaries(self) -> tuple[Report, ...]:
        """The reports of the primaries that own slots, in the order of their first slot."""
        first_slot = {owner.id: first for first, _, owner in reversed(self.topology.ranges())}
        found = [self.by_id[node_id] for node_id in first_slot if node_id in self.by_id]
        return tuple(sorted(found, key=lambda report: first_slot[report.id]))

    @property
    def empty_primaries(self) -> tuple[Report, ...]:
        """The reports of living primaries without slots."""
        found = (self.by_id.get(node.id) for node in self.topology.empty_primaries)
        return tuple(report for report in found if report is not None)

    def replicas_of(self, primary_id: str) -> tuple[Report, ...]:
        """Return the reports of the replicas of a primary that answered."""
        found = (self.by_id.get(node.id) for node in self.topology.replicas_of(primary_id))
        return tuple(report for report in found if report is not None)

    def slots_of(self, node_id: str) -> tuple[int, ...]:
        """Return the slots of a node by the map, in order."""
        nodes = self.topology.nodes
        index = next((i for i, node in enumerate(nodes) if node.id == node_id), None)
        if index is None:
            return ()
        return tuple(slot for slot in range(SLOT_COUNT) if self.topology.owners[slot] == index)

    def find(self, name: str) -> Node:
        """Return the node that somebody means: an address, a host name with port, a part of an id.

        Raises:
            CannotPlan: There is none, or several ids begin so.
        """
        nodes = self.topology.nodes
        for node in nodes:
            report = self.by_id.get(node.id)
            places = {node.address, self.address_map.reachable(node.address)}
            if report is not None:
                places.add(report.address)
                if report.myself.hostname:
                    places.add(Address(report.myself.hostname, node.address.port))
            if name in map(str, places) or name == node.id:
                return node
        begun = [node for node in nodes if name and node.id.startswith(name)]
        if len(begun) == 1:
            return begun[0]
        reason = "several node ids begin with" if begun else "no node of this cluster is"
        raise CannotPlan([f"{reason} {name!r}"])

    def name(self, node_id: str) -> str:
        """Return how people know a node: its address, or the id if nobody knows one."""
        node = self.topology.node_by_id(node_id)
        return str(node.address) if node is not None else node_id[:12]
