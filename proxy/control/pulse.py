"""Ask every node for a sign of life, so that a dead one is noticed although nobody needs it.

Strategy: a task and a connection of its own for each node, and never more than one question
on its way. Beside the clients' pipelines, because behind their requests the answer
would tell how busy the pipeline is and not whether the node lives; what hangs in a pipeline
the engine itself sees (``Hooks.silent``). A question that is not answered is not asked
again: the answer to it is the sign that is waited for. The first miss has the map read,
for the cluster may have known for a while; so does every further one of a primary.

Cost: for each node and interval one packet there and one back, of 80 and 60 bytes with their
headers, and 0.2 ms of the control plane (CPython 3.11, CI machine). In clusters of more than
a hundred nodes the interval grows, so that there are never more than ``ASKED_A_SECOND``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.topology import Topology
from proxy.control.connection import NodeConnection
from proxy.control.notices import NOBODY, Notices
from proxy.control.vitals import Vitals
from proxy.control.watch import Watcher
from proxy.errors import BackendProtocolError, BackendRefused, BackendUnavailable
from proxy.resp.decode import Value

log = structlog.get_logger()

ASKED_A_SECOND = 100
# Without health checks, a node whose breaker is open is still asked this often.
PROBE_S = 1.0
MAX_STARTS = 1_000_000  # one for each node, so this is never reached

Command = tuple[bytes | str | int, ...]
PING: Command = ("PING",)


class Pulse:
    """The health checks.

    Args:
        watcher: Has the map, the rights and the patience with which nodes are connected to.

    Attributes:
        interval_s: Seconds from one question to the next; 0: only nodes of ``probe`` are asked.
        failures: A node that missed so many in a row counts as down.
        vitals: What is known, by address.
        is_needed: Nodes are asked every second even if ``interval_s`` is 0: replicas answer reads.
        questions: What a node is asked, beside PING.
        on_life: Called with each sign of life.
        on_miss: Called with each miss.
        on_answer: Called with each answer: the node, and the replies to ``questions``.
        notices: Who keeps a record of what happens.
    """

    def __init__(self, watcher: Watcher) -> None:
        self.interval_s = 1.0
        self.failures = 3
        self.is_needed = False
        self.vitals: dict[Address, Vitals] = {}
        self.questions: Callable[[Address], tuple[Command, ...]] = lambda address: ()
        self.on_answer: Callable[[Address, list[Value]], None] = lambda address, answers: None
        self.on_life: Callable[[Address], None] = lambda address: None
        self.on_miss: Callable[[Address], None] = lambda address: None
        self.notices: Notices = NOBODY
        self._watcher = watcher
        self._probed: set[Address] = set()
        self._present: frozenset[Address] = frozenset()
        self._tasks: dict[Address, trio.CancelScope] = {}
        self._starts_send, self._starts_receive = trio.open_memory_channel[
            tuple[Address, trio.CancelScope]
        ](MAX_STARTS)

    def is_down(self, address: Address) -> bool:
        """Return whether a node counts as down."""
        found = self.vitals.get(address)
        return found is not None and found.is_down

    # ---- who is asked ----------------------------------------------------------------

    def map_read(self, topology: Topology) -> None:
        """Ask the nodes of this map from now on, and no others."""
        self._present = frozenset(node.address for node in topology.nodes)
        self._probed &= self._present
        self.settle()

    def probe(self, address: Address, is_wanted: bool) -> None:
        """Ask a node even without health checks, or no longer."""
        if is_wanted:
            self._probed.add(address)
        else:
            self._probed.discard(address)
        self.settle()

    def settle(self) -> None:
        """Start and end what the settings and the map want now."""
        is_asked = self.interval_s or self.is_needed
        wanted = self._present if is_asked else frozenset(self._probed)
        for address in self._tasks.keys() - wanted:
            self._tasks.pop(address).cancel()
            self.vitals.pop(address, None)
        for address in self._in_any_order(wanted - self._tasks.keys()):
            scope = self._tasks[address] = trio.CancelScope()
            self._starts_send.send_nowait((address, scope))

    def _in_any_order(self, addresses: Iterable[Address]) -> list[Address]:
        return sorted(addresses, key=lambda _: random.random())

    def _pause_s(self) -> float:
        return max(self.interval_s or PROBE_S, len(self._tasks) / ASKED_A_SECOND)

    # ---- asking ----------------------------------------------------------------------

    async def run(self) -> None:
        """Ask, for ever."""
        async with trio.open_nursery() as nursery:
            async for address, scope in self._starts_receive:
                nursery.start_soon(self._follow, address, scope)

    async def _follow(self, address: Address, scope: trio.CancelScope) -> None:
        if self._tasks.get(address) is not scope:
            return  # it has left the map since
        vitals = self.vitals[address] = Vitals()
        with scope:
            # Not all nodes at the same moment, as they are not all met at the same moment.
            await trio.sleep(random.random() * min(self._pause_s(), PROBE_S))
            while True:
                began = trio.current_time()
                is_connected = False
                try:
                    async with await self._connect(address, vitals) as connection:
                        is_connected = True
                        while True:
                            began = trio.current_time()
                            await self._ask(address, vitals, connection)
                            await trio.sleep_until(began + self._pause_s())
                except BackendRefused as problem:
                    # It lives, and will not have us.
                    vitals.checks += 1
                    self._answered(address, vitals, None)
                    self._watcher.nodes.unreachable(address, problem)
                except (BackendUnavailable, BackendProtocolError) as problem:
                    # A connection may have ended an interval ago, and others have reached the
                    # node since, or have not: the next attempt tells.
                    if not is_connected or isinstance(problem, BackendProtocolError):
                        self._watcher.nodes.unreachable(address, problem)
                    self._missed(address, vitals, began)
                await trio.sleep_until(began + self._pause_s())

    async def _connect(self, address: Address, vitals: Vitals) -> NodeConnection:
        watcher = self._watcher
        return await NodeConnection.open(
            address,
            watcher.credentials,
            watcher.tls,
            # What takes longer than an interval is a miss in any case.
            connect_timeout_s=min(watcher.timeout_s, self._pause_s()),
        )

    async def _ask(self, address: Address, vitals: Vitals, connection: NodeConnection) -> None:
        """Ask once, and wait for the answer however long it takes."""
        answers: list[Value] = []
        problem: BackendUnavailable | BackendProtocolError | None = None
        began = trio.current_time()
        vitals.checks += 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._count_misses, address, vitals, began)
            try:
                answers = await connection.ask_all([PING, *self.questions(address)])
            except (BackendUnavailable, BackendProtocolError) as fault:
                problem = fault
            nursery.cancel_scope.cancel()
        if problem is not None:
            raise problem
        self._answered(address, vitals, trio.current_time() - began)
        self.on_answer(address, answers[1:])

    async def _count_misses(self, address: Address, vitals: Vitals, asked_at: float) -> None:
        while True:
            await trio.sleep(self._pause_s())
            self._missed(address, vitals, asked_at)

    # ---- what it means ---------------------------------------------------------------

    def _missed(self, address: Address, vitals: Vitals, asked_at: float) -> None:
        is_down_now = vitals.missed(asked_at, self.failures)
        topology = self._watcher.topology
        node = topology.node_at(address) if topology else None
        if vitals.misses_in_a_row == 1 or (node is not None and node.is_primary):
            self._watcher.suspect()
        if is_down_now:
            silent_s = trio.current_time() - (vitals.silent_since or asked_at)
            log.warning("node down", node=str(address), missed=vitals.misses_in_a_row)
            self.notices.down(address, silent_s)
        self.on_miss(address)

    def _answered(self, address: Address, vitals: Vitals, rtt_s: float | None) -> None:
        since = vitals.answered(rtt_s)
        if rtt_s is not None:
            self._watcher.nodes.reached(address)
        if since is not None:
            down_s = trio.current_time() - since
            log.info("node up again", node=str(address), down_s=round(down_s, 1))
            self.notices.up(address, down_s)
        self.on_life(address)
