"""Clients that wait: who they are, what their waits share, how they are ended from outside.

Strategy: a blocking command is a task that brings the reply; ``blocking_begin`` says
which kind of wait it is. While it waits, a client is in ``_waits``, so that CLIENT
UNBLOCK finds it and CLIENT LIST and INFO tell of it; if it closes its side of the
connection, the engine notices at once.

What a server popped for a client that is gone goes back to the end it was taken from;
``returned`` and ``lost`` count how that went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Protocol

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Topology
from proxy.control.key_news import KeyNews
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import Nodes
from proxy.control.plane import ControlPlane
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.control.successions import Successions
from proxy.control.watch import Watcher
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Action
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp.decode import error_code
from proxy.resp.encode import encode_command
from proxy.sessions import blocking_words as words
from proxy.sessions.blocking_pops import ATTEMPT_S
from proxy.sessions.blocking_slot import Held

log = structlog.get_logger()

NO_SLOT = -1
# How long a server that hangs may take to say whether it had served a client that is gone.
LINGER_S = 30.0  # chosen
ALIVE_S = 1.0  # chosen: how often a node that clients wait at is asked whether it is alive
UNBLOCK_S = 2.0  # chosen: how long a server may take to answer CLIENT UNBLOCK
UNBLOCK_PAUSE_S = 0.005
UNBLOCK_LONGEST_PAUSE_S = 0.1


class Wait(Protocol):
    """One client's wait."""

    @property
    def is_blocked(self) -> bool:
        """Whether it has come so far that only somebody else's doing, or the time, ends it."""

    async def run(self) -> bytes:
        """Wait, and return the reply."""

    async def end(self, *, with_error: bool) -> bool:
        """End the wait as CLIENT UNBLOCK does; False: it has got its reply before."""

    def remainder(self) -> list[bytes] | None:
        """Return the command for the rest of the wait; None: nobody else can go on with it."""


class Blocking:
    """All clients that wait, and what their waits share.

    Attributes:
        returned: Elements popped for clients that were gone, and put back.
        lost: Those that could not be put back.
        attempts_open: Pops that were given up and may still bring something.
        successions: When replicas took over, for those who ask what their writes have come to.
        margin_s: How long after its own time a blocking command waits for the server's nil.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        nodes: Nodes,
        routes: Routes,
        watcher: Watcher,
        plane: ControlPlane,
    ) -> None:
        self.returned = 0
        self.lost = 0
        self.attempts_open = 0
        self.margin_s = 0.5
        self.successions = Successions()
        self.engine = engine
        self.pools = pools
        self.news = KeyNews(
            engine=engine,
            pools=pools,
            routes=routes,
            find_topology=lambda: watcher.topology,
            suspect=watcher.suspect,
        )
        self.nodes = nodes
        self._routes = routes
        self._watcher = watcher
        self._plane = plane
        self._waits: dict[Client, Wait] = {}
        self._sent_back: set[Client] = set()
        self._lingering_send, self._lingering_receive = trio.open_memory_channel[
            tuple[AsyncExitStack, Held]
        ](1_000_000)  # as long as there are private connections, which have a limit
        self._lingering = 0
        self._map_change = trio.Event()
        self._held_at: Counter[Address] = Counter()
        self._somebody_holds = trio.Event()
        self._asked: set[Address] = set()

    async def run(self) -> None:
        """Look after connections whose clients are gone, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.news.run)
            nursery.start_soon(self._look_after_nodes)
            async for stack, held in self._lingering_receive:
                nursery.start_soon(self._linger, stack, held)

    async def _look_after_nodes(self) -> None:
        """Ask the nodes that clients wait at whether they are alive: a hung one says nothing.

        The engine notices that an answer is missing, and has the map refreshed.
        """
        while True:
            await self._somebody_holds.wait()
            await trio.sleep(ALIVE_S)
            for address in self._held_at:
                if address not in self._asked:
                    self._asked.add(address)
                    pipeline = self.pools.lane(LaneKey(2)).pipeline_to(self._routes.number(address))
                    self.engine.submit(
                        pipeline, encode_command(b"PING"), partial(self._answered, address)
                    )
            if not self._held_at:
                self._somebody_holds = trio.Event()

    def _answered(self, address: Address, _: bytes | BackendUnavailable) -> None:
        self._asked.discard(address)

    # ---- who waits --------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many clients wait."""
        return sum(wait.is_blocked for wait in self._waits.values())

    @property
    def is_quiet(self) -> bool:
        """Whether nobody waits, and nothing is still to be given back."""
        return not self._waits and not self._lingering and not self.attempts_open

    async def unblock(self, client: Client | None, *, with_error: bool) -> bool:
        """End a client's wait as CLIENT UNBLOCK does; False: it did not wait, or not any more."""
        wait = self._waits.get(client) if client is not None else None
        return wait is not None and await wait.end(with_error=with_error)

    def close_all(self) -> None:
        """Close all clients that wait: the proxy stops."""
        for client in list(self._waits):
            client.close()

    async def send_back(self, client: Client) -> None:
        """End a client's wait so that what is left of it is its next request, not yet read.

        Without effect if it has got its reply before, or nobody else can go on with it.
        """
        wait = self._waits.get(client)
        if wait is not None and client not in self._sent_back and wait.remainder() is not None:
            self._sent_back.add(client)
            await wait.end(with_error=False)

    async def attend(
        self, client: Client, name: bytes, args: Sequence[bytes], wait: Wait
    ) -> bytes | None:
        """Have a client wait, and return its reply; None: its wait was sent back."""
        lane = self.lane_of(client)
        self._waits[client] = wait
        client.state.wait = wait
        self.engine.watch_end(client, True)
        try:
            reply = await wait.run()
        finally:
            self.engine.watch_end(client, False)
            client.state.wait = None
            del self._waits[client]
            is_sent_back = client in self._sent_back
            self._sent_back.discard(client)
        if client.is_closed:
            # It left when the reply had come, and this task had not yet had its turn.
            self.give_back(lane, name, args, reply)
        elif is_sent_back and reply in words.NOTHING:
            rest = wait.remainder()
            assert rest is not None
            self.engine.take_request_back(client, encode_command(*rest))
            return None
        return reply

    @contextmanager
    def holding(self, address: Address) -> Iterator[None]:
        """Note that somebody waits at a node while the block lasts."""
        self._held_at[address] += 1
        self._somebody_holds.set()
        try:
            yield
        finally:
            self._held_at[address] -= 1
            if not self._held_at[address]:
                del self._held_at[address]

    def lane_of(self, client: Client) -> Lane:
        """Return the shared lane with the rights and the database of a client."""
        key = key_of(client.lane)
        return self.pools.lane(LaneKey(key.resp, key.credentials, key.database))

    # ---- what waits need --------------------------------------------------------------------

    def topology(self) -> Topology | None:
        """Return the map in use."""
        return self._watcher.topology

    def suspect(self) -> None:
        """Have the map refreshed soon."""
        self._watcher.suspect()

    def map_changed(self) -> None:
        """Let everybody look again who waits for another map."""
        self._map_change.set()
        self._map_change = trio.Event()
        self.news.map_changed()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the map changes."""
        with trio.move_on_after(seconds):
            await self._map_change.wait()

    def judge(
        self, address: Address, line: bytes, redirects: int, attempts: int
    ) -> tuple[Action, Address | None, float]:
        """Return what to do after a refusal, where, and after how many seconds."""
        number = self._routes.number(address)
        action, place, wait_s = self._plane.judge(number, line, redirects, attempts)
        return action, self._routes.address(place) if action is Action.ASK else None, wait_s

    async def unblock_at(self, held: Held, *, with_error: bool) -> bool:
        """Have the server end a wait; False: it had ended before.

        The server may see this before the command itself, which is on another
        connection; then it is told again.

        Raises:
            BackendUnavailable: The server does not say; or it never will (not ``sent``).
        """
        how = b"ERROR" if with_error else b"TIMEOUT"
        pipeline = self.pools.lane(LaneKey(2)).pipeline_to(
            self._routes.number(held.private.address)
        )
        pause_s = UNBLOCK_PAUSE_S
        while not held.is_over:
            if held.id:
                answer = await self._ask(pipeline, b"CLIENT", b"UNBLOCK", held.id, how)
                if answer == b":1\r\n":
                    return True
                if answer[:1] == b"-":
                    raise BackendUnavailable(f"CLIENT UNBLOCK: {answer!r}", sent=False)
            elif held.has_arrived:
                raise BackendUnavailable("the user may not ask for CLIENT ID", sent=False)
            with trio.move_on_after(pause_s):
                await held.wait_over()
            pause_s = min(2 * pause_s, UNBLOCK_LONGEST_PAUSE_S)
        return False

    async def _ask(self, pipeline: Pipeline, *args: bytes) -> bytes:
        answer: list[bytes | BackendUnavailable] = []
        done = trio.Event()

        def take(reply: bytes | BackendUnavailable) -> None:
            answer.append(reply)
            done.set()

        request = self.engine.submit(pipeline, encode_command(*args), take)
        try:
            with trio.move_on_after(UNBLOCK_S):
                await done.wait()
        finally:
            if not answer:
                self.engine.abandon(request)
        match answer:
            case [bytes(reply)]:
                return reply
            case [BackendUnavailable() as problem]:
                raise problem
            case _:
                raise BackendUnavailable(f"no reply within {UNBLOCK_S:g} s", sent=True)

    # ---- a client is gone ---------------------------------------------------------------------

    def let_go(self, stack: AsyncExitStack, held: Held) -> None:
        """End a wait that nobody is interested in, and give back what it took."""
        self._lingering += 1
        self._lingering_send.send_nowait((stack, held))

    async def _linger(self, stack: AsyncExitStack, held: Held) -> None:
        try:
            async with stack:
                with trio.move_on_after(LINGER_S):
                    await self._withdraw(held)
                    frame = await held.reply()
                    self.give_back(held.lane, held.name, held.args, frame)
                    held.private.keep()
        except BackendUnavailable as problem:
            log.warning("nobody knows what a client that left was served", problem=str(problem))
        finally:
            self._lingering -= 1

    async def _withdraw(self, held: Held) -> None:
        """End a wait; if the server hangs, it has been told and will do it when it wakes up.

        Raises:
            BackendUnavailable: The server will not; only the end of the connection ends it.
        """
        try:
            await self.unblock_at(held, with_error=False)
        except BackendUnavailable as problem:
            if not problem.sent:
                raise

    def give_back(self, lane: Lane, name: bytes, args: Sequence[bytes], frame: bytes) -> None:
        """Put back what a pop took for a client that is gone; without effect if it took nothing.

        With the proxy's own rights: whoever may pop need not have the right to push.
        """
        try:
            command = words.giving_back(name, args, frame)
        except BackendProtocolError:
            log.warning("a server's answer cannot be read", command=name)
            return
        if command is None:
            return
        own = self.pools.lane(LaneKey(2, database=key_of(lane).database))
        self._lingering += 1

        def note(reply: bytes) -> None:
            self._lingering -= 1
            if reply[:1] != b"-":
                self.returned += 1
                return
            self.lost += 1
            log.error(
                "an element popped for a client that left could not be put back",
                command=name,
                slot=key_slot(command[1]),
                answer=error_code(reply),
            )

        self.engine.ask(
            own,
            encode_command(*command),
            note,
            slot=key_slot(command[1]),
            is_write=True,
            timeout_s=ATTEMPT_S,
        )
