"""Who answers reads, kept up to date: for lanes whose clients do not insist on the primary.

Strategy: what is known of the nodes comes with the health checks (``pulse.py``), which ask for
replication as well while somebody needs it. After each answer and each miss the rows are
made anew by ``read_policy.py``; only when they differ does the data plane get a new table. So
a replica that dies, hangs or falls behind is left out within a check, and reads that wait
for its connection are routed anew.

A lane of clients that read at the primary has no table, but while a primary is down and
``reads.fallback_s`` allows it: then its replicas answer, for so long.

Cost: none without a policy. Else INFO replication (700 bytes) with each health check, and 20 us
a node to look at it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Node, Topology
from proxy.control.breaker import Breakers
from proxy.control.lane_key import key_of
from proxy.control.pools import Pools
from proxy.control.pulse import Command, Pulse
from proxy.control.read_policy import Candidate, Offsets, Readers, ReadFrom, choose
from proxy.control.replication import Replication, parse_replication, parse_zone
from proxy.control.routes import Routes
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Lane
from proxy.dataplane.readers import ReadTable
from proxy.resp.decode import Value

REPLICATION: Command = ("INFO", "replication")
SERVER: Command = ("INFO", "server")


@dataclass(slots=True)
class _Known:
    """What is known of one node."""

    replication: Replication | None = None
    zone: str | None = None
    is_out: bool = False
    """It would not answer a read, or could not be connected to, since its last health check."""


@dataclass(frozen=True, slots=True)
class ReadRules:
    """The settings ``[reads]`` that can change while the proxy runs."""

    zone: str = ""
    zones: Mapping[str, str] = field(default_factory=dict)
    max_lag_s: float = 10.0
    fallback_s: float = 0.0
    hedge_after_s: float = 0.0
    hedge_share: float = 0.05


class Reads:
    """The read tables of all lanes.

    Args:
        topology: Returns the map in use.

    Attributes:
        rules: The settings.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        pulse: Pulse,
        breakers: Breakers,
        topology: Callable[[], Topology | None],
    ) -> None:
        self.rules = ReadRules()
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._pulse = pulse
        self._breakers = breakers
        self._topology = topology
        self._known: dict[Address, _Known] = {}
        self._offsets: dict[str, Offsets] = {}
        self._rows: dict[ReadFrom | None, dict[int, tuple[bool, tuple[int, ...]]]] = {}
        self._tables: dict[ReadFrom | None, ReadTable | None] = {}
        self._favourites: dict[str, int] = {}
        self._moving: dict[int, int] = {}
        self._moving_before: frozenset[int] = frozenset()  # when the tables were made
        self._replicas: frozenset[Address] = frozenset()
        pulse.questions = self._questions
        pulse.on_answer = self._take_answers
        pulse.on_miss = lambda address: self.settle()
        pools.on_lane = self._equip
        pools.on_unreachable = self.leave_out
        pools.needs_readonly = self._needs_readonly

    def take_rules(self, rules: ReadRules) -> None:
        """Go by other settings from now on."""
        self.rules = rules
        self._pulse.is_needed = self.is_wanted
        self._pulse.settle()
        self.settle()
        self._hedge()

    @property
    def is_wanted(self) -> bool:
        """Whether replicas are to answer anything."""
        return (
            any(policy is not ReadFrom.PRIMARY for policy in self._pools.reads.policies)
            or self.rules.fallback_s > 0
            or self.rules.hedge_after_s > 0
        )

    def is_reader(self, address: Address) -> bool:
        """Return whether a node that owns no slot answers reads nevertheless."""
        return self.is_wanted and address in self._replicas

    def may_read(self, address: Address) -> bool | None:
        """Return whether a replica is of use for reads; None: nobody wants any to be."""
        topology = self._topology()
        if not self.is_wanted or topology is None:
            return None
        node = topology.node_at(address)
        return node is not None and not node.is_primary and self._is_of_use(node, topology)

    # ---- what is told ------------------------------------------------------------------

    def leave_out(self, address: Address) -> None:
        """Ask a node for no reads until its next health check: it would not, or could not."""
        if self.is_wanted:
            self._known.setdefault(address, _Known()).is_out = True
            self.settle()

    def note_moving(self, slot: int) -> None:
        """Have reads of a slot answered by its primary: its keys are on the move."""
        topology = self._topology()
        self._moving[slot] = topology.generation if topology else 0
        for table in self._tables.values():
            if table is not None:
                table.keep_at_primary(slot)

    def map_read(self, topology: Topology) -> None:
        """Go by another map."""
        now_replicas = frozenset(node.address for node in topology.nodes if not node.is_primary)
        for address in now_replicas - self._replicas if self._replicas else ():
            self._make_readonly(address)
        self._replicas = now_replicas
        present = {node.address for node in topology.nodes}
        self._known = {node: known for node, known in self._known.items() if node in present}
        ids = {node.id for node in topology.nodes}
        self._offsets = {node: seen for node, seen in self._offsets.items() if node in ids}
        # Only the two nodes say so themselves, and not every map is one of theirs.
        self._moving |= dict.fromkeys(
            [*topology.migrating, *topology.importing], topology.generation
        )
        # A slot of which nobody has said ASK since two maps is on the move no more.
        self._moving = {
            slot: since for slot, since in self._moving.items() if since + 1 >= topology.generation
        }
        self.settle()

    def _make_readonly(self, address: Address) -> None:
        """Tell a node that has become a replica, over what was connected while it was none."""
        if not self.is_wanted or not self._routes.knows(address):
            return
        number = self._routes.number(address)
        for lane in self._pools.lanes:
            for pipeline in lane.pipelines_to(number) if self._can_read(lane) else ():
                if pipeline.is_connected:
                    self._engine.submit(pipeline, b"*1\r\n$8\r\nREADONLY\r\n", lambda reply: None)

    def _needs_readonly(self, lane: Lane, address: Address) -> bool:
        return address in self._replicas and self.is_wanted and self._can_read(lane)

    def _can_read(self, lane: Lane) -> bool:
        return not key_of(lane).setup

    # ---- health checks -----------------------------------------------------------------

    def _questions(self, address: Address) -> tuple[Command, ...]:
        if not self.is_wanted:
            return ()
        known = self._known.get(address)
        if self.rules.zone and (known is None or known.zone is None):
            return (REPLICATION, SERVER)
        return (REPLICATION,)

    def _take_answers(self, address: Address, answers: list[Value]) -> None:
        if not answers:
            return
        known = self._known.setdefault(address, _Known())
        known.is_out = False
        known.replication = parse_replication(answers[0])
        if len(answers) > 1:
            known.zone = parse_zone(answers[1])
        topology = self._topology()
        node = topology.node_at(address) if topology else None
        if node is not None and known.replication and not known.replication.is_replica:
            offsets = self._offsets.setdefault(node.id, Offsets())
            offsets.note(trio.current_time(), known.replication.offset)
        self.settle()

    # ---- tables ------------------------------------------------------------------------

    def settle(self) -> None:
        """Make the rows anew, and install what has changed."""
        topology = self._topology()
        if topology is None or not (self.is_wanted or any(self._tables.values())):
            return
        moving, before = frozenset(self._moving), self._moving_before
        self._moving_before = moving
        wanted = {*self._pools.reads.policies, ReadFrom.PRIMARY}
        for policy in (*wanted, *((None,) if self.rules.hedge_after_s else ())):
            rows = self._rows_for(policy, topology)
            if rows == self._rows.get(policy) and policy in self._tables and moving == before:
                continue
            self._rows[policy] = rows
            has_none = policy is ReadFrom.PRIMARY and not rows
            self._tables[policy] = None if has_none else ReadTable(rows, moving)
            if policy is None:
                self._hedge()
                continue
            for lane in self._pools.lanes:
                if key_of(lane).reads is policy:
                    self._equip(lane)

    def _equip(self, lane: Lane) -> None:
        """Give a lane its table; one that is a client's own reads at the primary."""
        if not self._can_read(lane):
            return
        table = self._tables.get(key_of(lane).reads)
        if lane.read_table is not table:
            self._engine.install_readers(lane, table)

    def _hedge(self) -> None:
        rules, table = self.rules, self._tables.get(None)
        after_s = rules.hedge_after_s if table is not None else 0.0
        self._engine.hedge_reads(after_s, rules.hedge_share, table or ReadTable({}))

    def _rows_for(
        self, policy: ReadFrom | None, topology: Topology
    ) -> dict[int, tuple[bool, tuple[int, ...]]]:
        rows = {}
        for primary in topology.primaries:
            readers = self._readers(policy, primary, topology)
            if readers is not None:
                rows[self._routes.number(primary.address)] = (readers.is_strict, readers.nodes)
        return rows

    def _readers(
        self, policy: ReadFrom | None, primary: Node, topology: Topology
    ) -> Readers | None:
        is_down = self._breakers.is_down(primary.address)
        replicas = [
            self._candidate(node)
            for node in topology.replicas_of(primary.id)
            if self._is_of_use(node, topology, is_down=is_down)
        ]
        here = self._candidate(primary)
        if policy is None:
            return Readers(True, tuple(each.number for each in (here, *replicas)))
        if policy is ReadFrom.PRIMARY:
            if not (is_down and replicas and self._may_fall_back(primary.address)):
                return None
            return Readers(True, tuple(each.number for each in replicas))
        readers = choose(
            policy,
            None if is_down else here,
            replicas,
            zone=self.rules.zone,
            favourite=self._favourites.get(primary.id),
        )
        if policy is ReadFrom.NEAREST and readers is not None and len(readers.nodes) == 1:
            self._favourites[primary.id] = readers.nodes[0]
        return readers

    def _candidate(self, node: Node) -> Candidate:
        vitals = self._pulse.vitals.get(node.address)
        known = self._known.get(node.address, _Known())
        zones = self.rules.zones
        zone = zones.get(str(node.address)) or zones.get(node.address.host) or known.zone
        return Candidate(
            self._routes.number(node.address), zone, None if vitals is None else vitals.rtt_s
        )

    # ---- who is of use -----------------------------------------------------------------

    def _may_fall_back(self, address: Address) -> bool:
        vitals = self._pulse.vitals.get(address)
        since = vitals.silent_since if vitals else None
        return since is not None and trio.current_time() - since <= self.rules.fallback_s

    def _is_of_use(self, node: Node, topology: Topology, *, is_down: bool = False) -> bool:
        """Return whether a replica may answer reads.

        Args:
            is_down: Its primary is down, so the link between them may be too.
        """
        known, vitals = self._known.get(node.address), self._pulse.vitals.get(node.address)
        if known is None or known.is_out or vitals is None:
            return False
        # One miss is enough to ask somebody else, unless that is a primary that is down.
        if vitals.is_down if is_down else vitals.misses_in_a_row:
            return False
        replication = known.replication
        if replication is None or not replication.is_replica or node.failed:
            return False
        if not replication.link_up and not (
            is_down and node.primary_id and self._may_fall_back_from(node.primary_id, topology)
        ):
            return False
        return self._lag_s(node, replication, topology) <= (self.rules.max_lag_s or math.inf)

    def _may_fall_back_from(self, primary_id: str, topology: Topology) -> bool:
        primary = topology.node_by_id(primary_id)
        return primary is not None and self._may_fall_back(primary.address)

    def _lag_s(self, node: Node, replication: Replication, topology: Topology) -> float:
        offsets = self._offsets.get(node.primary_id or "")
        if offsets:
            lag_s = offsets.lag_s(trio.current_time(), replication.offset)
        else:
            lag_s = self._lag_at_silence_s(node, replication, topology)
        return math.inf if lag_s is None and self.rules.max_lag_s else lag_s or 0.0

    def _lag_at_silence_s(
        self, node: Node, replication: Replication, topology: Topology
    ) -> float | None:
        """Return how far behind a replica was when its primary, never heard here, was first asked.

        By the replica's own word, when it last heard its primary; None: it does not say.
        """
        primary = topology.node_by_id(node.primary_id or "")
        vitals = self._pulse.vitals.get(primary.address) if primary else None
        if vitals is None or vitals.silent_since is None or replication.heard_s is None:
            return None
        return max(0.0, replication.heard_s - (trio.current_time() - vitals.silent_since))
