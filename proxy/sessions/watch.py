"""WATCH: a connection of the client's own to the slot's primary, held until EXEC.

Strategy: only the server can say whether a key has changed, and it says so to the
connection that named the key. So WATCH leases one, and a task keeps it until EXEC,
DISCARD, UNWATCH or RESET ends the watch, or the client goes. Meanwhile the client is
on the hot road as always: what it reads after WATCH was answered is read later than
the server began to watch, over whatever connection.

If it becomes uncertain whether the keys have changed (the connection is lost, the
slot has another owner), the watch is *broken*, and EXEC answers null, as it does when
a key has changed. The client then does what it does for any lost race: it tries
again. EXEC on a broken watch is not sent at all, so it never runs twice or in half.

Cost: one connection to a node, leased again and again, and a task, for each client
that watches just now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from proxy.cluster.redirects import Ask, Moved, Refusal, parse_refusal
from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Node
from proxy.control.lane_key import key_of
from proxy.control.nodes import Patience, refuse_if_given_up
from proxy.control.open_slot import SlotHasMoved, expect_text, find_open_slot
from proxy.control.own_slots import ASK_OWN_SLOTS, parse_own_slots
from proxy.control.private import PrivateConnection
from proxy.control.retry import MAX_REDIRECTS
from proxy.dataplane.client import Client
from proxy.dataplane.tables import Command
from proxy.errors import BackendRefused, BackendUnavailable
from proxy.resp import replies
from proxy.resp import replies_transactions as say
from proxy.resp.decode import decode, is_error
from proxy.resp.encode import null_array
from proxy.sessions.transaction_plan import Block

if TYPE_CHECKING:
    from proxy.sessions.roads import Front

# The connection is given back only if the node acknowledges UNWATCH, and soon.
UNWATCH_WAIT_S = 1.0  # chosen: nobody waits for it; a new connection costs 0.2 ms
_ASKING = (b"ASKING",)
_UNWATCH = (b"UNWATCH",)


def watch_keys(front: Front, client: Client, command: Command, args: list[bytes]) -> bytes | None:
    """WATCH key [key ...], outside a transaction."""
    slots = list(dict.fromkeys(key_slot(key) for key in args[1:]))
    watch = client.state.watch
    if watch is not None:
        slots = [watch.slot, *(slot for slot in slots if slot != watch.slot)]
    if len(slots) > 1:
        return say.watch_over_slots(slot=slots[0], other=slots[1])
    if watch is not None:
        front.start(client, watch.add(args))
        return None
    client.state.watch = watch = Watch(front, client, slots[0])
    front.start(client, watch.hold(args))
    return None


class Watch:
    """The keys that one client watches, all of one slot.

    Attributes:
        slot: Their slot.
        key_count: How many they are; one that two WATCHes named counts twice.
    """

    def __init__(self, front: Front, client: Client, slot: int) -> None:
        self.slot = slot
        self.key_count = 0
        self._front = front
        self._client = client
        client.insists = True  # what it reads now decides what it writes: no replica will do
        self._lane = client.lane
        self._private: PrivateConnection | None = None
        self._owner: Node | None = None  # of the slot, in the map when WATCH was answered
        self._asking: list[tuple[bytes, ...]] = []
        self._is_broken = False
        self._is_over = trio.Event()
        self._scope = trio.CancelScope()

    # ---- the task that holds the connection ---------------------------------------------

    async def hold(self, args: list[bytes]) -> bytes | None:
        """Send WATCH, answer the client, and keep the connection until the watch is over.

        Returns:
            The error to answer with, if there is nothing to keep.

        Raises:
            BackendProtocolError, BackendRefused, LimitReached: As ``Pools.lease``; not
                answered yet.
        """
        with self._scope:
            try:
                return await self._hold(args)
            finally:
                self._is_broken = True
                if self._client.state.watch is self and self._private is None:
                    self._client.state.watch = None  # it never began
                    self._client.insists = False
        return None

    async def _hold(self, args: list[bytes]) -> bytes | None:
        nodes = self._front.nodes
        patience = Patience(nodes)
        redirects = 0
        target: Node | None = None
        while True:
            node = target or nodes.topology.owner(self.slot)
            target = None
            failure = replies.never_sent(self.slot, patience.timeout_s)
            try:
                if node is not None:
                    refuse_if_given_up(nodes, node)
                    async with self._front.pools.lease(node, self._lane) as private:
                        reply = await self._ask(private, [tuple(args)], patience.deadline)
                        refusal = parse_refusal(reply, node.address)
                        if refusal is None:
                            return await self._keep(private, reply, args)
                        failure = reply
                        redirects += 1
                        if redirects <= MAX_REDIRECTS:
                            target = await self._follow(refusal, node, private, patience.deadline)
            except BackendUnavailable as problem:
                assert node is not None
                if isinstance(problem, BackendRefused) and not key_of(self._lane).is_own:
                    raise  # whose user this is will not get in a moment later either
                failure = patience.failure(problem, node)
            if target is None:
                self._asking = []
                if patience.is_over:
                    return failure
                await patience.wait()

    async def _follow(
        self, refusal: Refusal, node: Node, private: PrivateConnection, deadline: float
    ) -> Node | None:
        """Return where a redirect leads; None: wait, and look into the map again."""
        nodes = self._front.nodes
        self._asking = []
        if isinstance(refusal, Moved):
            nodes.suspect()
            return nodes.topology.node_at(refusal.address)
        if not isinstance(refusal, Ask):
            return None
        text = expect_text(decode(await self._ask(private, [ASK_OWN_SLOTS], deadline)))
        try:
            target = find_open_slot(self.slot, node, parse_own_slots(text), nodes).target
        except SlotHasMoved:
            return None
        self._asking = [_ASKING]
        return target

    async def _ask(
        self, private: PrivateConnection, commands: Sequence[tuple[bytes, ...]], deadline: float
    ) -> bytes:
        """Return the last reply."""
        with trio.move_on_at(deadline):
            return (await private.ask_many([*self._asking, *commands]))[-1]
        raise BackendUnavailable(f"{private.address} did not answer in time", sent=True)

    async def _keep(
        self, private: PrivateConnection, reply: bytes, args: list[bytes]
    ) -> bytes | None:
        """Answer WATCH, and wait until the watch is over."""
        if is_error(reply):
            private.keep()  # NOPERM and the like: nothing is watched
            return reply
        self._private = private
        self.key_count = len(set(args[1:]))
        self._owner = self._front.nodes.topology.owner(self.slot)
        self._front.engine.finish_punt(self._client, reply)
        await self._is_over.wait()
        if not private.is_clean and not private.is_lost:
            try:
                deadline = trio.current_time() + UNWATCH_WAIT_S
                if await self._ask(private, [_UNWATCH], deadline) == replies.OK:
                    private.keep()
            except BackendUnavailable:
                pass  # it is closed, and that unwatches too
        return None

    # ---- what the client does with it ------------------------------------------------------

    async def add(self, args: list[bytes]) -> bytes:
        """Watch more keys of the slot."""
        private = self._private
        if private is not None and not self._is_broken and not private.is_lost:
            deadline = trio.current_time() + self._front.nodes.timeout_s
            try:
                reply = await self._ask(private, [tuple(args)], deadline)
            except BackendUnavailable:
                self._is_broken = True
            else:
                if parse_refusal(reply, private.address) is None:
                    self.key_count += 0 if is_error(reply) else len(set(args[1:]))
                    return reply
                self._is_broken = True
        # What was watched before may have changed meanwhile: EXEC will say so.
        return replies.OK

    async def execute(self, block: Block) -> bytes:
        """Run a transaction and end the watch; return EXEC's reply, or an error in its stead.

        Null: nothing ran, and the client may try again. Never sent twice.
        """
        client, private = self._client, self._private
        prelude = self._prelude()
        if private is None or prelude is None or not self._holds(private):
            self.end()
            return null_array(client.resp)
        timeout_s = self._front.nodes.timeout_s
        frames: list[bytes] = []
        problem: BackendUnavailable | None = None
        with trio.move_on_after(timeout_s) as scope:
            try:
                frames = await private.ask_many([*prelude, *self._asking, *block.request])
            except BackendUnavailable as lost:
                problem = lost
        if frames:
            is_clean = not prelude and not block.changes_connection
            return self._finish(private, block, frames[-block.replies :], is_clean=is_clean)
        self.end()
        if block.is_write and scope.cancelled_caught:
            return replies.no_reply_to_write(str(private.address), timeout_s)
        if block.is_write and (problem is None or problem.sent):
            return replies.lost_write(str(private.address))
        return null_array(client.resp)

    def release(self) -> None:
        """End the watch without EXEC; the connection is given back if the node unwatches."""
        self._client.insists = False
        self._is_over.set()

    def end(self) -> None:
        """End the watch and close the connection: the client is gone, or all is uncertain."""
        self._scope.cancel()

    def _holds(self, private: PrivateConnection) -> bool:
        """Return whether EXEC can still say if the keys have changed."""
        if self._is_broken or private.is_lost:
            return False
        # A redirect may have led to a node that the map names only later.
        owner = self._front.nodes.topology.owner(self.slot)
        return owner == self._owner or (owner is not None and owner.address == private.address)

    def _prelude(self) -> list[tuple[bytes, ...]] | None:
        """Return what makes the connection as the client is now; None: nothing does.

        SELECT and HELLO may come between WATCH and EXEC; another user may not.
        """
        # What a lane of one client is set up for does not concern a private connection.
        then = replace(key_of(self._lane), setup=())
        now = replace(key_of(self._client.lane), setup=())
        if then == now:
            return []
        if replace(then, resp=now.resp, database=now.database) != now:
            return None
        return [(b"HELLO", b"%d" % now.resp), (b"SELECT", b"%d" % now.database)]

    def _finish(
        self, private: PrivateConnection, block: Block, frames: list[bytes], *, is_clean: bool
    ) -> bytes:
        outcome = block.outcome(b"".join(frames))
        # Whatever a node says of EXEC, it has forgotten the transaction and the keys.
        if is_error(outcome) and any(parse_refusal(each, private.address) for each in frames):
            self._front.nodes.suspect()
            outcome = null_array(self._client.resp)
        if is_clean:
            private.keep()
            self._is_over.set()
        else:
            self.end()
        return outcome
