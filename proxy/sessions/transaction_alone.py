"""Run a block that leaves its connection changed: SELECT or HELLO inside MULTI.

Strategy: what the lane's shared connections must not become happens on a leased one,
which is closed afterwards. The rules are the engine's: what provably did not run is
sent again until the deadline, a write that may have run is not.

Cost: a connection to the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from proxy.cluster.redirects import parse_refusal
from proxy.cluster.topology import Node
from proxy.control.lane_key import key_of
from proxy.control.nodes import Patience, refuse_if_given_up
from proxy.dataplane.client import Client
from proxy.errors import BackendProtocolError, BackendRefused, BackendUnavailable, LimitReached
from proxy.resp import replies, replies_lanes
from proxy.sessions.transaction_plan import NO_SLOT, Block

if TYPE_CHECKING:
    from proxy.sessions.roads import Front


async def run_alone(front: Front, client: Client, block: Block) -> bytes:
    """Return EXEC's reply, or an error in its stead."""
    patience = Patience(front.nodes)
    slot = None if block.slot == NO_SLOT else block.slot
    while True:
        topology = front.nodes.topology
        owners = topology.primaries if slot is None else (topology.owner(slot),)
        node = owners[client.id % len(owners)] if owners else None
        failure = replies.never_sent(slot, patience.timeout_s)
        if node is not None:
            try:
                refuse_if_given_up(front.nodes, node)
                frames = await _ask(front, client, node, block, patience.deadline)
            except LimitReached as problem:
                return replies.limit_reached(problem.setting.encode(), problem.limit)
            except BackendProtocolError:
                return replies.internal_error()
            except BackendUnavailable as problem:
                if isinstance(problem, BackendRefused) and not key_of(client.lane).is_own:
                    return replies_lanes.user_refused(problem.node, problem.words)
                failure = patience.failure(problem, node, is_write=block.is_write)
                if problem.sent and block.is_write:
                    return failure
            else:
                refusals = [each for each in frames if parse_refusal(each, node.address)]
                if not refusals:
                    return block.outcome(b"".join(frames))
                failure = refusals[0]
        if patience.is_over:
            return failure
        await patience.wait()


async def _ask(
    front: Front, client: Client, node: Node, block: Block, deadline: float
) -> list[bytes]:
    async with front.pools.lease(node, client.lane) as private:
        with trio.move_on_at(deadline):
            return await private.ask_many(block.request)
    raise BackendUnavailable(f"{node.address} did not answer in time", sent=True)
