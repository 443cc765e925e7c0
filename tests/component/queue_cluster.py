"""Lists on scripted nodes: enough of a server to block at, to be unblocked, to be tracked.

Strategy: all nodes share one set of lists; who may serve a key is the cluster's business.
A blocked request waits in its connection's turn, as in a server, until a push, its own
timeout or CLIENT UNBLOCK ends it. Each LLEN over a connection with tracking on is
remembered, and answered by one invalidation at the next change.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import trio
from fake_node import FakeConnection, FakeNode, Fate, Seen
from scripted_cluster import OK, FakeCluster

from proxy.cluster.slots import key_slot
from proxy.resp.encode import array, bulk, error, integer, null, null_array
from proxy.resp.replies_blocking import UNBLOCKED


@dataclass(eq=False)
class Blocked:
    """A request that waits at a node."""

    seen: Seen
    answer: bytes | Fate | None = None
    is_over: trio.Event = field(default_factory=trio.Event)

    @property
    def keys(self) -> list[bytes]:
        """What it waits for."""
        return self.seen.args[1:-1]

    def end(self, answer: bytes | Fate) -> None:
        """Answer it, or end its connection."""
        self.answer = answer
        self.is_over.set()


class Queues:
    """The lists of a cluster, and who waits for them.

    Attributes:
        lists: By key; an empty list is not there.
        blocked: The longest waiting first.
        at_target: Keys of open slots that have left their source.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.lists: dict[bytes, deque[bytes]] = {}
        self.blocked: list[Blocked] = []
        self.at_target: set[bytes] = set()
        self._tracked: dict[bytes, set[FakeConnection]] = {}
        self._numbers: dict[FakeConnection, int] = {}
        self._changed = trio.Event()
        for node in cluster.nodes:
            for words in ("CLIENT", "BLPOP", "BRPOP", "LPOP", "RPOP", "LPUSH", "RPUSH", "LLEN"):
                node.by(words.encode(), answerer=self.answer)

    async def wait_blocked(self, count: int = 1) -> list[Blocked]:
        """Wait until so many requests wait."""
        with trio.fail_after(5):
            while len(self.blocked) < count:
                await self._changed.wait()
        return self.blocked

    async def push(self, key: bytes, *elements: bytes) -> None:
        """Append elements, as a client of the cluster itself does."""
        self.lists.setdefault(key, deque()).extend(elements)
        await self._note_change(key)

    # ---- as a server answers ----------------------------------------------------------

    async def answer(self, seen: Seen) -> bytes | Fate:
        """Answer one request."""
        name, *rest = seen.args
        match name.upper(), rest:
            case b"CLIENT", [b"ID"]:
                return integer(self._number(seen.connection))
            case b"CLIENT", [b"TRACKING", b"ON"]:
                return OK
            case b"CLIENT", [b"UNBLOCK", number, how]:
                return self._unblock(int(number), how)
            case b"CLIENT", _:
                return OK
        refused = self._refusal(seen, rest[0])
        return refused or await self._serve(name.upper(), rest, seen)

    def _number(self, connection: FakeConnection) -> int:
        return self._numbers.setdefault(connection, len(self._numbers) + 1)

    def _refusal(self, seen: Seen, key: bytes) -> bytes | None:
        slot = key_slot(key)
        source, target = self.cluster.migrating.get(slot, (None, None))
        if target is seen.node and seen.is_asking:
            return None
        if source is seen.node and (key not in self.lists or key in self.at_target):
            assert target is not None
            return target.ask(slot)
        owner = self.cluster.owners[slot]
        return None if owner is seen.node else owner.moved(slot)

    async def _serve(self, name: bytes, rest: list[bytes], seen: Seen) -> bytes | Fate:
        key, resp = rest[0], seen.connection.resp
        match name:
            case b"LLEN":
                self._tracked.setdefault(key, set()).add(seen.connection)
                return integer(len(self.lists.get(key, ())))
            case b"LPOP" | b"RPOP":
                element = self._take(key, name == b"LPOP")
                if element is None:
                    return null(resp)
                await self._note_change(key)
                return bulk(element)
            case b"RPUSH":
                await self.push(key, *rest[1:])
                return integer(1)
            case b"LPUSH":
                self.lists.setdefault(key, deque()).extendleft(rest[1:])
                await self._note_change(key)
                return integer(1)
        return await self._block(rest[:-1], float(rest[-1]), seen)

    def _take(self, key: bytes, from_left: bool) -> bytes | None:
        waiting = self.lists.get(key)
        if not waiting:
            return None
        element = waiting.popleft() if from_left else waiting.pop()
        if not waiting:
            del self.lists[key]
        return element

    async def _block(self, keys: list[bytes], seconds: float, seen: Seen) -> bytes | Fate:
        for key in keys:
            element = self._take(key, seen.args[0].upper() == b"BLPOP")
            if element is not None:
                await self._note_change(key)
                return array([bulk(key), bulk(element)])
        blocked = Blocked(seen)
        self.blocked.append(blocked)
        self._note()
        with trio.move_on_after(seconds or float("inf")):
            await blocked.is_over.wait()
        if blocked in self.blocked:
            self.blocked.remove(blocked)
        await seen.node.wait_until_thawed()
        return blocked.answer or null_array(seen.connection.resp)

    def _unblock(self, number: int, how: bytes) -> bytes:
        for blocked in self.blocked:
            connection = blocked.seen.connection
            if self._number(connection) == number and connection.is_open:
                nothing = null_array(connection.resp)
                self.end(blocked, UNBLOCKED if how == b"ERROR" else nothing)
                return integer(1)
        return integer(0)

    def end(self, blocked: Blocked, answer: bytes | Fate) -> None:
        """Answer a request that waits, and let it wait no more."""
        self.blocked.remove(blocked)
        blocked.end(answer)

    async def _note_change(self, key: bytes) -> None:
        for blocked in list(self.blocked):
            if key in blocked.keys and blocked.seen.connection.is_open:
                element = self._take(key, blocked.seen.args[0].upper() == b"BLPOP")
                if element is not None:
                    self.end(blocked, array([bulk(key), bulk(element)]))
        push = b">2\r\n" + bulk(b"invalidate") + array([bulk(key)])
        for connection in self._tracked.pop(key, ()):
            if connection.is_open:
                await connection.send(push)

    def _note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def lost_master(node: FakeNode) -> bytes:
    """Return what a primary says to those who wait when it becomes a replica."""
    return error(
        b"UNBLOCKED force unblock from blocking operation, "
        b"instance state changed (master -> replica?)"
    )
