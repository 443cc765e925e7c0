"""Keep the map of the cluster: ask, judge, swap.

Strategy: one task. It asks a few nodes at once, takes the first view that
supersedes the map in use, and sleeps until the interval is over or somebody
suspects that the map is old. However many suspect it, there is one refresh at a
time and never two within ``refresh_min_interval_s`` (law 10). Seeds are asked
when no known node answers; names are resolved at every connect.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import hiredis
import structlog
import trio

from proxy.cluster.addresses import Address, AddressMap
from proxy.cluster.changes import find_changes
from proxy.cluster.slots import SLOT_COUNT
from proxy.cluster.topology import (
    Topology,
    parse_cluster_nodes,
    parse_cluster_state,
    parse_preferred_endpoints,
    supersedes,
)
from proxy.control.connection import Credentials, NodeConnection, ask_node, expect_bytes
from proxy.control.node_log import NodeLog
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import Value
from proxy.tls.sides import NodeTls

log = structlog.get_logger()

# Nodes asked at once. Two that agree are enough, and one may hang.
ASKED_AT_ONCE = 3
ENOUGH_VIEWS = 2

# A node that could not be reached and that nobody needs is tried again this often.
AWAY_LOOK_S = 5.0  # chosen: soon enough to be seen, and nothing to a node that is down
# While slots have no owner the map is read this often: a cluster may just be forming.
UNCOVERED_LOOK_S = 1.0  # chosen
# In a failover no node serves all slots for a while. Chosen: an election is over by then.
NO_MAP_S = 3.0
CHANGES_TOLD = 4  # in one line of the log


async def read_view(
    address: Address,
    credentials: Credentials,
    tls: NodeTls,
    address_map: AddressMap,
    *,
    timeout_s: float,
) -> Topology:
    """Return the map as one node sees it, with the addresses to use from here.

    Raises:
        BackendUnavailable: No answer within ``timeout_s``, or a refusal; the
            message has the node's own words ("cluster support disabled").
        BackendProtocolError: The answer is not in the documented form.
    """
    nodes, slots, info = await ask_node(
        address,
        credentials,
        tls,
        [("CLUSTER", "NODES"), ("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")],
        timeout_s=timeout_s,
    )
    view = parse_cluster_nodes(
        expect_bytes(nodes, address),
        address,
        is_serving=parse_cluster_state(expect_bytes(info, address)),
    )
    if not isinstance(slots, hiredis.ReplyError):
        view = view.with_endpoints(parse_preferred_endpoints(slots, address))
    return view.with_address_map(address_map)


def routes_differ(new: Topology, current: Topology | None) -> bool:
    """Return whether two maps send a request anywhere else."""
    if current is None:
        return True
    if new.nodes == current.nodes:
        return new.owners != current.owners
    return [owner and owner.address for owner in map(new.owner, range(len(new.owners)))] != [
        owner and owner.address for owner in map(current.owner, range(len(current.owners)))
    ]


def log_change(before: Topology | None, topology: Topology) -> None:
    """Log what is different in a new map; nothing if it only confirms what MOVED has said."""
    facts = {
        "generation": topology.generation,
        "primaries": len(topology.primaries),
        "nodes": len(topology.nodes),
        "covered_slots": topology.covered_slots,
    }
    tell = log.info if topology.covered_slots == SLOT_COUNT else log.warning
    if before is None:
        tell("map read", **facts)
    elif changes := find_changes(before, topology):
        told = [str(change) for change in changes[:CHANGES_TOLD]]
        if len(changes) > CHANGES_TOLD:
            told.append(f"and {len(changes) - CHANGES_TOLD} more changes")
        tell("map changed", changes="; ".join(told), **facts)


class Watcher:
    """Holds the map in use and keeps it up to date.

    Args:
        seeds: Where to ask first, and when all known nodes are gone.
        on_change: Called with each map that routes otherwise than the one before.
        on_moved: Called with the slot and its new owner when only one slot changed.
        on_read: Called with the map in use whenever it was read, changed or not.
        interval_s: Seconds between two refreshes while nothing happens.
        min_interval_s: Seconds between two refreshes whatever happens.

    Attributes:
        topology: The map in use; None: there is none yet.
        refused: The last view that was no map to go by, since one was; None: there was none.
    """

    def __init__(
        self,
        *,
        seeds: Sequence[Address],
        credentials: Credentials,
        tls: NodeTls,
        address_map: AddressMap,
        on_change: Callable[[Topology], None],
        on_moved: Callable[[int, Address], None],
        on_read: Callable[[Topology], None],
        interval_s: float,
        min_interval_s: float,
        timeout_s: float,
    ) -> None:
        self.topology: Topology | None = None
        self.refused: Topology | None = None
        self.nodes = NodeLog()
        self.refreshes = 0
        self.failed_refreshes = 0
        self.seeds = tuple(seeds)
        self.credentials = credentials
        self.tls = tls
        self._address_map = address_map
        self._on_change = on_change
        self._on_moved = on_moved
        self._on_read = on_read
        self.interval_s = interval_s
        self.min_interval_s = min_interval_s
        self.timeout_s = timeout_s
        self._suspected = trio.Event()
        self._last_start = -math.inf
        self._silent: dict[Address, float] = {}
        self._nobody_since_s: float | None = None
        self._is_none_told = False
        # Slots that a MOVED has given away since the map was read, and to whom.
        self._moved: dict[int, Address] = {}

    @property
    def is_lost(self) -> bool:
        """Whether nobody had a map to go by when it was last asked for."""
        return self._nobody_since_s is not None

    def suspect(self) -> None:
        """Have the map refreshed soon: something said that it is old."""
        self._suspected.set()

    def move_slot(self, slot: int, address: Address) -> None:
        """Follow a MOVED at once; the refresh that it asks for confirms it."""
        if self.topology is None:
            return
        owner = self.topology.owner(slot)
        if self._moved.get(slot, owner and owner.address) != address:
            self._moved[slot] = address
            self._on_moved(slot, address)

    async def run(self) -> None:
        """Refresh the map for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_for_those_away)
            while True:
                await trio.sleep_until(self._last_start + self.min_interval_s)
                self._last_start = trio.current_time()
                self._suspected = trio.Event()
                found = await self.refresh()
                with trio.move_on_after(self._pause_s() if found else self.min_interval_s):
                    await self._suspected.wait()

    def _pause_s(self) -> float:
        """Return how long a map that was read may do while nobody suspects it."""
        if self.topology is not None and self.topology.covered_slots < SLOT_COUNT:
            return min(self.interval_s, UNCOVERED_LOOK_S)
        return self.interval_s

    async def _look_for_those_away(self) -> None:
        """Find out when a node is back that nobody needs, like a replica."""
        while True:
            await trio.sleep(AWAY_LOOK_S)
            for address in self.nodes.away:
                try:
                    async with await NodeConnection.open(
                        address, self.credentials, self.tls, connect_timeout_s=self.timeout_s
                    ):
                        self.nodes.reached(address)
                except (BackendUnavailable, BackendProtocolError) as problem:
                    self.nodes.unreachable(address, problem)

    async def ask(
        self, address: Address, commands: list[tuple[bytes | str | int, ...]]
    ) -> list[Value]:
        """Return a node's answers, asked with the rights and the patience that the map is.

        Raises:
            BackendRefused, BackendUnavailable, BackendProtocolError: As ``ask_node``.
        """
        return await ask_node(
            address, self.credentials, self.tls, commands, timeout_s=self.timeout_s
        )

    async def refresh(self) -> bool:
        """Ask for the map once; return whether any node answered with a usable view."""
        self.refreshes += 1
        candidates = self._candidates()
        while candidates:
            asked, candidates = candidates[:ASKED_AT_ONCE], candidates[ASKED_AT_ONCE:]
            if await self._ask_some(asked):
                self._note_map()
                self.refused = None
                return True
        self.failed_refreshes += 1
        self._note_no_map()
        return False

    def _note_no_map(self) -> None:
        now = trio.current_time()
        if self._nobody_since_s is None:
            self._nobody_since_s = now
        elif not self._is_none_told and now - self._nobody_since_s > NO_MAP_S:
            self._is_none_told = True
            log.error("no node has a map to go by", unreachable_nodes=len(self.nodes.away))

    def _note_map(self) -> None:
        if self._is_none_told and self._nobody_since_s is not None:
            without_s = trio.current_time() - self._nobody_since_s
            log.info("there is a map to go by again", without_s=round(without_s, 1))
        self._nobody_since_s, self._is_none_told = None, False

    def _candidates(self) -> list[Address]:
        """Return whom to ask: known nodes in any order, those that were silent last, then seeds."""
        known = [node.address for node in self.topology.nodes] if self.topology else []
        random.shuffle(known)
        known.sort(key=lambda address: self._silent.get(address, -math.inf))
        return known + [seed for seed in self.seeds if seed not in known]

    async def _ask_some(self, addresses: Sequence[Address]) -> bool:
        views = 0

        async def ask(address: Address) -> None:
            nonlocal views
            try:
                view = await read_view(
                    address,
                    self.credentials,
                    self.tls,
                    self._address_map,
                    timeout_s=self.timeout_s,
                )
            except (BackendUnavailable, BackendProtocolError) as problem:
                self._silent[address] = trio.current_time()
                self.nodes.unreachable(address, problem)
                return
            self._silent.pop(address, None)
            self.nodes.reached(address)
            views += self._take(view)
            if views >= ENOUGH_VIEWS:
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for address in addresses:
                nursery.start_soon(ask, address)
        return views > 0

    def _take(self, view: Topology) -> bool:
        """Use a view if it is not older than the map in use; return whether it was usable."""
        if not supersedes(view, self.topology):
            self.refused = view
            return False
        if self._moved or routes_differ(view, self.topology):
            generation = self.topology.generation + 1 if self.topology else 1
            self._install(replace(view, generation=generation))
        elif self.topology is not None:
            self.topology = replace(view, generation=self.topology.generation)
        if self.topology is not None:
            present = {node.address for node in self.topology.nodes}
            self.nodes.forget_others(present.union(self.seeds))
            self._on_read(self.topology)
        return True

    def _install(self, topology: Topology) -> None:
        before, self.topology = self.topology, topology
        self._moved = {}
        log_change(before, topology)
        self._silent = {
            address: when
            for address, when in self._silent.items()
            if topology.node_at(address) or address in self.seeds
        }
        self._on_change(topology)
