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
from proxy.cluster.topology import (
    Topology,
    parse_cluster_nodes,
    parse_cluster_state,
    parse_preferred_endpoints,
    supersedes,
)
from proxy.control.connection import Credentials, NodeConnection, expect_bytes
from proxy.errors import BackendProtocolError, BackendUnavailable

log = structlog.get_logger()

# Nodes asked at once. Two that agree are enough, and one may hang.
ASKED_AT_ONCE = 3
ENOUGH_VIEWS = 2


async def read_view(
    address: Address, credentials: Credentials, address_map: AddressMap, *, timeout_s: float
) -> Topology:
    """Return the map as one node sees it, with the addresses to use from here.

    Raises:
        BackendUnavailable: No answer within ``timeout_s``, or a refusal; the
            message has the node's own words ("cluster support disabled").
        BackendProtocolError: The answer is not in the documented form.
    """
    with trio.move_on_after(timeout_s):
        async with await NodeConnection.open(
            address, credentials, connect_timeout_s=timeout_s
        ) as connection:
            nodes, slots, info = await connection.ask_all(
                [("CLUSTER", "NODES"), ("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")]
            )
        view = parse_cluster_nodes(
            expect_bytes(nodes, address),
            address,
            is_serving=parse_cluster_state(expect_bytes(info, address)),
        )
        if not isinstance(slots, hiredis.ReplyError):
            view = view.with_endpoints(parse_preferred_endpoints(slots, address))
        return view.with_address_map(address_map)
    raise BackendUnavailable(f"{address} did not answer within {timeout_s:g} s", sent=True)


def routes_differ(new: Topology, current: Topology | None) -> bool:
    """Return whether two maps send a request anywhere else."""
    if current is None:
        return True
    if new.nodes == current.nodes:
        return new.owners != current.owners
    return [owner and owner.address for owner in map(new.owner, range(len(new.owners)))] != [
        owner and owner.address for owner in map(current.owner, range(len(current.owners)))
    ]


class Watcher:
    """Holds the map in use and keeps it up to date.

    Args:
        seeds: Where to ask first, and when all known nodes are gone.
        on_change: Called with each map that routes otherwise than the one before.
        on_moved: Called with the slot and its new owner when only one slot changed.
        on_read: Called with the map in use whenever it was read, changed or not.
        interval_s: Seconds between two refreshes while nothing happens.
        min_interval_s: Seconds between two refreshes whatever happens.
    """

    def __init__(
        self,
        *,
        seeds: Sequence[Address],
        credentials: Credentials,
        address_map: AddressMap,
        on_change: Callable[[Topology], None],
        on_moved: Callable[[int, Address], None],
        on_read: Callable[[Topology], None],
        interval_s: float,
        min_interval_s: float,
        timeout_s: float,
    ) -> None:
        self.topology: Topology | None = None
        self.refreshes = 0
        self.failed_refreshes = 0
        self._seeds = tuple(seeds)
        self._credentials = credentials
        self._address_map = address_map
        self._on_change = on_change
        self._on_moved = on_moved
        self._on_read = on_read
        self._interval_s = interval_s
        self._min_interval_s = min_interval_s
        self._timeout_s = timeout_s
        self._suspected = trio.Event()
        self._last_start = -math.inf
        self._silent: dict[Address, float] = {}
        self._problem = ""
        # Slots that a MOVED has given away since the map was read, and to whom.
        self._moved: dict[int, Address] = {}

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
        while True:
            await trio.sleep_until(self._last_start + self._min_interval_s)
            self._last_start = trio.current_time()
            self._suspected = trio.Event()
            found = await self.refresh()
            with trio.move_on_after(self._interval_s if found else self._min_interval_s):
                await self._suspected.wait()

    async def refresh(self) -> bool:
        """Ask for the map once; return whether any node answered with a usable view."""
        self.refreshes += 1
        candidates = self._candidates()
        while candidates:
            asked, candidates = candidates[:ASKED_AT_ONCE], candidates[ASKED_AT_ONCE:]
            if await self._ask_some(asked):
                self._problem = ""
                return True
        self.failed_refreshes += 1
        return False

    def _candidates(self) -> list[Address]:
        """Return whom to ask: known nodes in any order, those that were silent last, then seeds."""
        known = [node.address for node in self.topology.nodes] if self.topology else []
        random.shuffle(known)
        known.sort(key=lambda address: self._silent.get(address, -math.inf))
        return known + [seed for seed in self._seeds if seed not in known]

    async def _ask_some(self, addresses: Sequence[Address]) -> bool:
        views = 0

        async def ask(address: Address) -> None:
            nonlocal views
            try:
                view = await read_view(
                    address, self._credentials, self._address_map, timeout_s=self._timeout_s
                )
            except (BackendUnavailable, BackendProtocolError) as problem:
                self._silent[address] = trio.current_time()
                self._report(address, problem)
                return
            self._silent.pop(address, None)
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
            return False
        if self._moved or routes_differ(view, self.topology):
            generation = self.topology.generation + 1 if self.topology else 1
            self._install(replace(view, generation=generation))
        elif self.topology is not None:
            self.topology = replace(view, generation=self.topology.generation)
        if self.topology is not None:
            self._on_read(self.topology)
        return True

    def _install(self, topology: Topology) -> None:
        before, self.topology = self.topology, topology
        self._moved = {}
        log.info(
            "map changed" if before else "map read",
            generation=topology.generation,
            primaries=len(topology.primaries),
            nodes=len(topology.nodes),
            covered_slots=topology.covered_slots,
        )
        self._silent = {
            address: when
            for address, when in self._silent.items()
            if topology.node_at(address) or address in self._seeds
        }
        self._on_change(topology)

    def _report(self, address: Address, problem: Exception) -> None:
        """Log a problem once, not at each of ten refreshes a second."""
        if str(problem) != self._problem:
            self._problem = str(problem)
            log.warning("no map from node", node=str(address), problem=str(problem))
