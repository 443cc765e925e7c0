"""A scripted cluster whose nodes know MULTI, EXEC, DISCARD, WATCH and UNWATCH.

As in a server, a command that a node refuses while it is queued spoils the
transaction, EXEC is refused as a whole if the keys of all its commands are, ASKING
holds until EXEC, and nothing is left of it afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fake_node import FakeConnection, FakeNode, Fate, Seen
from raw_client import RawClient
from scripted_cluster import OK, FakeCluster
from served import Served, until

from proxy.cluster.slots import key_slot
from proxy.resp.encode import array, error, null_array, simple

QUEUED = simple(b"QUEUED")
ABORTED = error(b"EXECABORT Transaction discarded because of previous errors.")
NULL = b"*-1\r\n"
KEY, OTHER = b"{k}1", b"{k}2"
SLOT = key_slot(KEY)


async def queue(client: RawClient, *commands: tuple[bytes | str | int, ...]) -> None:
    """Begin a transaction and queue commands."""
    assert await client.call("MULTI") == OK
    for command in commands:
        assert await client.call(*command) == QUEUED


async def execute(client: RawClient, *commands: tuple[bytes | str | int, ...]) -> bytes:
    """Queue commands and return EXEC's reply."""
    await queue(client, *commands)
    return await client.call("EXEC")


async def watch(client: RawClient, *keys: bytes) -> None:
    """Watch keys."""
    assert await client.call("WATCH", *keys) == OK


async def all_given_back(served: Served) -> None:
    """Wait until no client has a connection of its own."""
    await until(lambda: served.proxy.pools.private.in_use == 0)


@dataclass
class State:
    """What one connection has begun."""

    queue: list[Seen] | None = None
    is_dirty: bool = False
    is_asking: bool = False
    watched: dict[bytes, tuple[FakeNode, bytes | None]] = field(default_factory=dict)


class TransactionalCluster(FakeCluster):
    """A ``FakeCluster`` with transactions.

    Attributes:
        ran: For each EXEC that ran something: the node, and the commands.
    """

    def __init__(self, size: int = 3) -> None:
        super().__init__(size)
        self.ran: list[tuple[FakeNode, list[list[bytes]]]] = []
        self._states: dict[FakeConnection, State] = {}

    def state_of(self, connection: FakeConnection) -> State:
        """Return what a connection has begun."""
        return self._states.setdefault(connection, State())

    def answer(self, seen: Seen) -> bytes | Fate:
        """Answer as a server does."""
        state = self.state_of(seen.connection)
        match seen.args[0].upper():
            case b"MULTI":
                state.queue, state.is_dirty, state.is_asking = [], False, seen.is_asking
                return OK
            case b"EXEC":
                return self._exec(state, seen)
            case b"DISCARD" | b"UNWATCH":
                self._states[seen.connection] = State()
                return OK
            case b"WATCH":
                refusal = self._refusal([b"EXISTS", *seen.args[1:]], seen)
                if refusal is None:
                    state.watched |= {
                        key: (self.owners[key_slot(key)], self.store.get(key))
                        for key in seen.args[1:]
                    }
                return refusal or OK
            case b"PUBLISH" if state.queue is None:
                return b":0\r\n"
        if state.queue is None:
            return super().answer(seen)
        queued = Seen(seen.node, seen.connection, seen.args, is_asking=state.is_asking)
        at_target = set(self._at_target)
        refusal = self._refusal([seen.args[0].upper(), *seen.args[1:]], queued)
        self._at_target = at_target  # it has not run yet
        state.is_dirty = state.is_dirty or refusal is not None
        state.queue.append(queued)
        return refusal or QUEUED

    def nodes_text(self, asked: FakeNode) -> bytes:
        """Return CLUSTER NODES; the source of a migration says where the slot goes."""
        text = super().nodes_text(asked)
        leaving = [
            b" [%d->-%b]" % (slot, target.id.encode())
            for slot, (source, target) in self.migrating.items()
            if source is asked
        ]
        lines = text.splitlines()
        return b"".join(
            line + b"".join(leaving if b"myself" in line else []) + b"\n" for line in lines
        )

    def _exec(self, state: State, seen: Seen) -> bytes | Fate:
        self._states[seen.connection] = State()
        if state.queue is None:
            return error(b"ERR EXEC without MULTI")
        if state.is_dirty:
            return ABORTED
        keys = [key for each in state.queue for key in self._keys(each.args)]
        together = Seen(seen.node, seen.connection, seen.args, is_asking=state.is_asking)
        refusal = self._refusal([b"EXISTS", *dict.fromkeys(keys)], together) if keys else None
        if refusal is not None:
            return refusal
        for key, watched in state.watched.items():
            if watched != (self.owners[key_slot(key)], self.store.get(key)):
                return null_array(seen.connection.resp)
        self.ran.append((seen.node, [each.args for each in state.queue]))
        replies = [self.answer(each) for each in state.queue]
        return array([reply for reply in replies if isinstance(reply, bytes)])
