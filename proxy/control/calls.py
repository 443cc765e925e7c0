"""Ask nodes on the proxy's own behalf, over the clients' pipelines.

Strategy: for what one request cannot answer alone (sums, SCAN, SCRIPT LOAD),
tasks call nodes and wait. A call says as soon as it is clear that no reply will
come, and whether it was sent; how patient to be is the caller's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import trio

from proxy.cluster.addresses import Address
from proxy.cluster.map import Node
from proxy.cluster.topology import Topology
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import ASK_SERVER, Own, refuse_if_given_up
from proxy.control.pools import Pools
from proxy.control.routes import Routes
from proxy.control.watch import Watcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import split_frames
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendRefused, BackendUnavailable
from proxy.resp.encode import encode_command
from proxy.resp.time_limit import told


class Calls:
    """The nodes, as fan-outs and local answers see them (``control.nodes.Nodes``).

    Args:
        timeout_s: How long one call may take.
        own_info: Returns the fields of INFO that are the proxy's own.
        given_up: Returns the error for whoever needs a node whose breaker is open, or None.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pools: Pools,
        routes: Routes,
        watcher: Watcher,
        timeout_s: float,
        own_info: Callable[[], Mapping[bytes, bytes]],
        given_up: Callable[[Address], bytes | None],
    ) -> None:
        self.timeout_s = timeout_s
        self._given_up = given_up
        self._engine = engine
        self._pools = pools
        self._routes = routes
        self._watcher = watcher
        self._own_info = own_info

    @property
    def topology(self) -> Topology:
        """The map in use.

        Raises:
            BackendUnavailable: No map has been read yet.
        """
        if self._watcher.topology is None:
            raise BackendUnavailable("the cluster's map is not known yet", sent=False)
        return self._watcher.topology

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        """Return one node's raw reply frame; an error reply is a reply.

        Raises:
            BackendUnavailable: No reply will come.
        """
        return (await self.call_many(node, [args], resp=resp))[0]

    async def call_many(
        self,
        node: Node,
        commands: list[tuple[bytes, ...]],
        resp: int = 2,
        *,
        aside: bool = False,
    ) -> list[bytes]:
        """Send several commands to one node, in order on one connection, and nothing between.

        Raises:
            BackendUnavailable: As ``call``; ``sent`` if any of them may have been.
        """
        return await self.call_over(self._pools.lane(LaneKey(resp)), node, commands, aside=aside)

    def like(self, lane: Lane, timeout_s: float | None = None) -> LaneCalls:
        """Return the nodes as the clients of this lane reach them."""
        # A lane of one client alone is for its own requests: these share a connection.
        key = replace(key_of(lane), setup=())
        return LaneCalls(
            self,
            lambda resp: self._pools.lane(replace(key, resp=resp)),
            None
            if key.credentials is None
            else lambda: self._pools.lane(LaneKey(2, database=key.database)),
            timeout_s=timeout_s,
        )

    def over(self, lane: Lane) -> LaneCalls:
        """Return the nodes as the connections of this very lane reach them."""
        return LaneCalls(self, lambda resp: lane)

    async def call_over(
        self,
        lane: Lane,
        node: Node,
        commands: list[tuple[bytes, ...]],
        *,
        aside: bool = False,
        timeout_s: float | None = None,
    ) -> list[bytes]:
        """As ``call_many``, over the connections of a lane."""
        if not aside:
            refuse_if_given_up(self, node)
        pipeline = lane.pipeline_to(self._routes.number(node.address))
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        with trio.move_on_after(limit_s):
            if aside:
                async with self._pools.lease(node, lane) as private:
                    frames = await private.ask_many(commands)
                    private.keep()
                    return frames
            return await self._ask(pipeline, node, commands)
        refusal = self._watcher.nodes.refusal_of(node.address)
        if refusal is not None and not pipeline.is_connected:
            raise BackendRefused(str(node.address), refusal)
        raise BackendUnavailable(
            f"no reply from {node.address} within {told(limit_s).decode()} s",
            # Without a connection nothing was; with one, it may wait behind a hung node's others.
            sent=pipeline.is_connected,
        )

    async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        """Return the reply to a request that goes the clients' hot road."""
        return await self._ask_on_hot_road(lane, encode_command(*args), slot, is_write, 1)

    async def ask_block(
        self, lane: Lane, slot: int, commands: Sequence[tuple[bytes, ...]], is_write: bool = True
    ) -> list[bytes]:
        """Return the replies to MULTI ... EXEC, of which all runs or nothing."""
        frame = b"".join(encode_command(*args) for args in commands)
        reply = await self._ask_on_hot_road(lane, frame, slot, is_write, len(commands))
        return split_frames(reply)

    async def _ask_on_hot_road(
        self, lane: Lane, frame: bytes, slot: int, is_write: bool, replies: int
    ) -> bytes:
        answer = b""
        done = trio.Event()

        def take(reply: bytes) -> None:
            nonlocal answer
            answer = reply
            done.set()

        asker = self._engine.ask(lane, frame, take, slot, is_write, replies)
        try:
            await done.wait()
        finally:
            self._engine.forget(asker)
        return answer

    def suspect(self) -> None:
        """Have the map refreshed soon."""
        self._watcher.suspect()

    def given_up(self, node: Node) -> bytes | None:
        """Return the error for whoever wants something of a node that nobody hopes for; or None."""
        return self._given_up(node.address)

    def own_info(self) -> Mapping[bytes, bytes]:
        """Return the fields of INFO that are the proxy's own."""
        return self._own_info()

    async def _ask(
        self, pipeline: Pipeline, node: Node, commands: list[tuple[bytes, ...]]
    ) -> list[bytes]:
        replies: list[bytes | BackendUnavailable] = []
        done = trio.Event()

        def take(reply: bytes | BackendUnavailable) -> None:
            replies.append(reply)
            if len(replies) == len(commands):
                done.set()

        requests = [self._engine.submit(pipeline, encode_command(*args), take) for args in commands]
        try:
            await done.wait()
        finally:
            for request in requests:
                self._engine.abandon(request)
        frames: list[bytes] = []
        for reply in replies:
            if isinstance(reply, BackendUnavailable):
                raise BackendUnavailable(f"{node.address}: {reply}", sent=reply.sent)
            frames.append(reply)
        return frames


class LaneCalls:
    """The nodes as a lane reaches them: with its rights, in its database.

    Args:
        lane_for: Returns the lane to use for a protocol version.
        own_lane: Returns the lane for what the proxy asks for its own sake; None: the same.
        timeout_s: How long one call may take; None: as any.
    """

    def __init__(
        self,
        calls: Calls,
        lane_for: Callable[[int], Lane],
        own_lane: Callable[[], Lane] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> None:
        self.timeout_s = calls.timeout_s if timeout_s is None else timeout_s
        self.ask = calls.ask
        self.ask_block = calls.ask_block
        self.suspect = calls.suspect
        self.given_up = calls.given_up
        self.own_info = calls.own_info
        self._calls = calls
        self._lane_for = lane_for
        self._own_lane = own_lane

    @property
    def topology(self) -> Topology:
        """As of ``Calls``."""
        return self._calls.topology

    async def call(self, node: Node, *args: bytes, resp: int = 2) -> bytes:
        """As ``Calls.call``."""
        return (await self.call_many(node, [args], resp))[0]

    async def call_many(
        self,
        node: Node,
        commands: list[tuple[bytes, ...]],
        resp: int = 2,
        *,
        aside: bool = False,
    ) -> list[bytes]:
        """As ``Calls.call_many``; the proxy's own questions are asked in their turn.

        Raises:
            BackendUnavailable: Also if the node was restarted in the middle of it.
        """
        lane = self._lane_for(resp)
        if self._own_lane is None or not any(isinstance(each, Own) for each in commands):
            return await self._calls.call_over(
                lane, node, commands, aside=aside, timeout_s=self.timeout_s
            )
        frames: list[bytes] = []
        own = self._own_lane()
        for is_own, some in groupby(commands, lambda each: isinstance(each, Own)):
            frames += await self._calls.call_over(own if is_own else lane, node, list(some))
        if len(frames) > 1 and commands[0] == ASK_SERVER:
            # On one connection there would be no doubt that it was one process all the time.
            (again,) = await self._calls.call_over(own, node, [ASK_SERVER])
            if run_id(again) != run_id(frames[0]):
                raise BackendUnavailable(f"{node.address} was restarted", sent=True)
        return frames


def run_id(info: bytes) -> bytes:
    """Return which process has answered INFO, or the error that it has answered with."""
    found = re.search(rb"^run_id:(.*)$", info, re.MULTILINE)
    return found[1] if found else info
