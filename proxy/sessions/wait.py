"""WAIT and WAITAOF: how many replicas have what this client wrote.

A client's writes went over connections that it shares with others, to every shard. So
the question goes to every primary, and the answer is the least of theirs: so many
replicas of *each* shard have all that the client wrote before. A shard without replicas
makes it 0.

WAIT: a primary's replication offset, read now, lies behind everything that the client's
earlier requests wrote, for they have been answered. A replica that has acknowledged it
has all of that. To have acknowledgements come at once, and not once a second, a private
connection waits for more replicas than there can be: that makes the primary ask for them.

WAITAOF: what is on a disk INFO does not tell, so the server's own WAITAOF is asked. It
answers for what its own connection wrote; so a key of a random name is set and deleted
in one transaction before, which nobody sees but who listens to keyspace events.

A replica that took over need not have what its primary acknowledged, and its own replicas have
what it has. So whoever asks for the first time since is told that nobody knows.

Arguments that are no numbers go to a server, for its words.

Cost: INFO on each primary; while it waits, a private connection to each that lags, and
a question every ``LONGEST_LOOK_MS``.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import trio

from proxy.cluster.tags import tag_in_slot
from proxy.cluster.topology import Node
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import Nodes
from proxy.control.pools import Pools
from proxy.control.private import PrivateConnection
from proxy.dataplane.client import Client
from proxy.dataplane.frames import split_array
from proxy.dataplane.tables import Command
from proxy.errors import BackendUnavailable, LimitReached
from proxy.resp import replies_blocking as say
from proxy.resp.decode import decode, integer_of
from proxy.resp.encode import array, integer
from proxy.sessions.arguments import parse_integer

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

MOST_REPLICAS = b"2147483647"
FIRST_LOOK_MS = 1
LONGEST_LOOK_MS = 50  # how far an answer may be behind the truth; chosen
GRACE_S = 0.5  # chosen: how long the first look at a primary may take, however short the time
MARK = b"slotway-waitaof-"

_OFFSET = re.compile(rb"^master_repl_offset:(\d+)", re.MULTILINE)
_REPLICA = re.compile(rb"^slave\d+:\S*?state=online,offset=(\d+)", re.MULTILINE)


def replication_offset(info: bytes) -> int:
    """Return how far a primary has come, from INFO replication."""
    found = _OFFSET.search(info)
    return int(found[1]) if found else 0


def acknowledged(info: bytes, offset: int) -> int:
    """Return how many replicas have acknowledged everything up to ``offset``."""
    return sum(int(each) >= offset for each in _REPLICA.findall(info))


class AckWait:
    """One WAIT or WAITAOF, whose arguments are numbers.

    Args:
        wanted: Numbers that every primary has to reach.
        time_ms: 0: for ever.
        taken_at: When the client's request came, by ``trio.current_time``.
    """

    def __init__(
        self,
        pools: Pools,
        nodes: Nodes,
        *,
        name: bytes,
        wanted: Sequence[int],
        time_ms: int,
        taken_at: float,
    ) -> None:
        self._pools = pools
        self._nodes = nodes
        self._name = name
        self._wanted = wanted
        deadline = taken_at + time_ms / 1000 if time_ms else math.inf
        self._scope = trio.CancelScope(deadline=max(deadline, taken_at + GRACE_S))
        self._deadline = deadline
        self._reached: dict[Node, Sequence[int]] = {}
        self._looked: set[Node] = set()
        self._error = b""
        self._problem: LimitReached | None = None

    @property
    def is_blocked(self) -> bool:
        """Whether every primary has been asked and some have not reached enough."""
        return len(self._looked) == len(self._reached)

    async def run(self) -> bytes:
        """Wait, and return the least that all primaries have reached."""
        look = self._look_at_disks if self._name == b"waitaof" else self._look_at_replicas
        with self._scope:
            async with trio.open_nursery() as nursery:
                for node in self._nodes.topology.primaries:
                    self._reached[node] = [0] * len(self._wanted)
                    nursery.start_soon(self._wait_for, node, look)
        if self._problem is not None:
            raise self._problem
        if self._error:
            return self._error
        least = [min(each) for each in zip(*self._reached.values(), strict=True)]
        numbers = [integer(number) for number in least or [0] * len(self._wanted)]
        return array(numbers) if self._name == b"waitaof" else numbers[0]

    async def end(self, *, with_error: bool) -> bool:
        """End the wait as CLIENT UNBLOCK does."""
        if with_error:
            self._error = say.UNBLOCKED
        self._scope.cancel()
        return True

    def remainder(self) -> None:
        """Return None: the replicas have been asked over this client's own connections."""

    async def _wait_for(self, node: Node, look: Callable[[Node], Awaitable[None]]) -> None:
        try:
            await look(node)
        except LimitReached as problem:
            self._problem = problem
            self._scope.cancel()
        except BackendUnavailable:
            self._fail(say.acknowledgement_lost(self._name, str(node.address)))

    def _fail(self, error: bytes) -> None:
        self._error = self._error or error
        self._scope.cancel()

    def _note(self, node: Node, reached: Sequence[int]) -> bool:
        """Note what a primary has reached; return whether that is enough."""
        self._reached[node] = reached
        self._looked.add(node)
        if len(self._looked) == len(self._reached):
            self._scope.deadline = self._deadline
        return all(got >= want for got, want in zip(reached, self._wanted, strict=True))

    # ---- WAIT -------------------------------------------------------------------------

    async def _look_at_replicas(self, node: Node) -> None:
        """Look until enough replicas have what the primary has now."""
        info = _text(await self._nodes.call(node, b"INFO", b"replication"))
        offset = replication_offset(info)
        if self._note(node, [acknowledged(info, offset)]):
            return
        async with self._pools.lease(node, like=self._pools.lane(LaneKey(2))) as private:
            look_ms = FIRST_LOOK_MS
            while True:
                await private.ask(b"WAIT", MOST_REPLICAS, b"%d" % look_ms)
                info = _text(await private.ask(b"INFO", b"replication"))
                if self._note(node, [acknowledged(info, offset)]):
                    break
                look_ms = min(2 * look_ms, LONGEST_LOOK_MS)
            private.keep()

    # ---- WAITAOF ------------------------------------------------------------------------

    async def _look_at_disks(self, node: Node) -> None:
        """Look until enough disks have what the primary has now."""
        async with self._pools.lease(node, like=self._pools.lane(LaneKey(2))) as private:
            if not await self._mark(node, private):
                return
            look_ms = FIRST_LOOK_MS
            wanted = [b"%d" % number for number in self._wanted]
            while True:
                frame = await private.ask(b"WAITAOF", *wanted, b"%d" % look_ms)
                if frame[:1] == b"-":
                    self._fail(frame)
                    return
                reached = [integer_of(each) for each in split_array(frame) or ()]
                if self._note(node, reached):
                    break
                look_ms = min(2 * look_ms, LONGEST_LOOK_MS)
            private.keep()

    async def _mark(self, node: Node, private: PrivateConnection) -> bool:
        """Make the connection one that has written something just now."""
        topology = self._nodes.topology
        slot = next(first for first, _, owner in topology.ranges() if owner == node)
        key = b"{%b}" % tag_in_slot(slot, MARK)
        *_, ran = await private.ask_many(
            [(b"MULTI",), (b"SET", key, b""), (b"DEL", key), (b"EXEC",)]
        )
        if ran[:1] == b"-":
            self._fail(ran)
        return ran[:1] != b"-"


def _text(frame: bytes) -> bytes:
    text = decode(frame)
    if not isinstance(text, bytes):
        raise BackendUnavailable(f"INFO answered {frame!r:.80}", sent=True)
    return text


async def _begin(
    desk: Front, client: Client, name: bytes, args: list[bytes], taken_at: float
) -> bytes | None:
    numbers = [parse_integer(arg) for arg in args[1:]]
    *wanted, time_ms = [-1 if number is None else number for number in numbers]
    at_once = (name, *[b"0"] * len(numbers))
    if None in numbers or time_ms < 0:
        return await desk.nodes.ask(client.lane, -1, *args, is_write=False)
    if key_of(client.lane).credentials is not None:
        # Whether this user may: with nothing to wait for, a server answers at once.
        answer = await desk.nodes.ask(client.lane, -1, *at_once, is_write=False)
        if answer[:1] == b"-":
            return answer
    wait = AckWait(
        desk.pools, desk.nodes, name=name, wanted=wanted, time_ms=time_ms, taken_at=taken_at
    )
    before_s, client.state.waited_s = client.state.waited_s, time.monotonic()
    frame = await desk.blocking.attend(client, name, args, wait)
    gone = desk.blocking.successions.since(before_s or client.created_s)
    return frame if gone is None else say.acknowledgement_doubtful(name, str(gone))


COMMANDS = frozenset({b"wait", b"waitaof"})


def serve(desk: Front, client: Client, command: Command, args: list[bytes]) -> None:
    """Begin WAIT or WAITAOF."""
    desk.start(client, _begin(desk, client, command.name, args, trio.current_time()))
