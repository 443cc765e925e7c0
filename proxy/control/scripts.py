"""Scripts that clients have brought along, kept for the nodes that lack them.

Strategy: what passes with SCRIPT LOAD or EVAL is remembered by its SHA1, up to a number of
bytes; the scripts that nobody has named for the longest time are forgotten first. A node
that says NOSCRIPT to EVALSHA (a new one, or one promoted: servers do not replicate
scripts) is sent the body on the same connection, directly before the request is sent
again, so the client never hears of it.

Cost: one look into a dict for an EVAL whose script is known; its SHA1 once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import structlog
import trio

from proxy.cluster.addresses import Address
from proxy.control.everyone import all_primaries, ask_everyone
from proxy.control.functions import FunctionCare
from proxy.control.lane_key import LaneKey, key_of
from proxy.control.nodes import Nodes, Patience
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import RequestStream
from proxy.dataplane.lane import Lane, Pipeline
from proxy.errors import BackendUnavailable
from proxy.resp.decode import error_code
from proxy.resp.encode import encode_command
from proxy.resp.inline import split_inline

log = structlog.get_logger()

# Beside the body: two dict entries, the digest, the objects' heads.
OVERHEAD_BYTES = 400

# A request is not sent again for the sake of a script more often than this.
ATTEMPTS = 8

# A new connection is for requests, not for books. Chosen: 1 ms of a server's time.
GREETING_BYTES = 256 * 1024

# How long a request waits for a script that comes over another connection.
OTHER_ROAD_S = 0.005

RUN_BY_SHA = frozenset({b"evalsha", b"evalsha_ro"})


class ScriptBook:
    """The bodies of scripts, by their SHA1.

    Args:
        limit_bytes: Of all bodies, with ``OVERHEAD_BYTES`` more for each.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._sha_of: OrderedDict[bytes, bytes] = OrderedDict()  # by body, the longest unused first
        self._body_of: dict[bytes, bytes] = {}
        self.doubtful: set[bytes] = set()
        """SHA1 of those that EVAL has brought to one node, and no more is known."""
        self.size_bytes = 0
        """What is kept, as the limit counts it."""

    def __len__(self) -> int:
        """Return how many scripts are known."""
        return len(self._body_of)

    def note(self, body: bytes) -> None:
        """Remember a script that one node has seen; one longer than the limit is not kept."""
        if body in self._sha_of:
            self._sha_of.move_to_end(body)
            return
        size = len(body) + OVERHEAD_BYTES
        if size > self.limit_bytes:
            return
        while self.size_bytes + size > self.limit_bytes:
            oldest, sha = self._sha_of.popitem(last=False)
            self._drop(oldest, sha)
        sha = hashlib.sha1(body).hexdigest().encode()
        self._sha_of[body] = sha
        self._body_of[sha] = body
        self.doubtful.add(sha)
        self.size_bytes += size

    def note_everywhere(self, body: bytes) -> None:
        """Remember a script that every primary has been given."""
        self.note(body)
        self.doubtful.discard(self._sha_of.get(body, b""))

    def body_of(self, sha: bytes) -> bytes | None:
        """Return the script with this SHA1, in any case, or None."""
        body = self._body_of.get(sha.lower())
        if body is not None:
            self._sha_of.move_to_end(body)
        return body

    def forget(self, body: bytes) -> None:
        """Forget one script: no server takes it."""
        sha = self._sha_of.pop(body, None)
        if sha is not None:
            self._drop(body, sha)

    def forget_all(self) -> None:
        """Forget all scripts, as SCRIPT FLUSH does."""
        self._sha_of.clear()
        self._body_of.clear()
        self.doubtful.clear()
        self.size_bytes = 0

    def greeting(self) -> list[tuple[bytes, ...]]:
        """Return what a node is told on each new connection: the scripts that all have.

        So one that has just started, or joined, has them before the first request. The
        ones used last go first, as far as ``GREETING_BYTES`` reach.
        """
        loads: list[tuple[bytes, ...]] = []
        left = GREETING_BYTES
        for body, sha in reversed(self._sha_of.items()):
            left -= len(body)
            if left < 0:
                break
            if sha not in self.doubtful:
                loads.append((b"SCRIPT", b"LOAD", body))
        return loads

    def _drop(self, body: bytes, sha: bytes) -> None:
        del self._body_of[sha]
        self.doubtful.discard(sha)
        self.size_bytes -= len(body) + OVERHEAD_BYTES


class Bringer:
    """Brings nodes the scripts and functions that they lack.

    Args:
        book: The scripts that are known.
        functions: Looks after the functions of all primaries.
        nodes: The cluster.
        find_lane: Returns the lane that all clients of a kind share.
        address_of: Returns the address of a node's number.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        book: ScriptBook,
        functions: FunctionCare,
        nodes: Nodes,
        find_lane: Callable[[LaneKey], Lane],
        address_of: Callable[[int], Address | None],
    ) -> None:
        self._engine = engine
        self._book = book
        self._functions = functions
        self._nodes = nodes
        self._find_lane = find_lane
        self._address_of = address_of
        self._to_spread: dict[bytes, None] = {}
        self._under_way: set[tuple[Pipeline, bytes]] = set()  # to which a body is being brought
        self._has_more = trio.Event()

    async def bring_first(self, slot: int, sha: bytes) -> None:
        """Have the node of a slot given a doubtful script, and soon all others."""
        body = self._book.body_of(sha)
        if body is None:
            return
        self._to_spread[body] = None
        self._has_more.set()
        lane = self._find_lane(LaneKey(2))
        reply = await self._nodes.ask(lane, slot, b"SCRIPT", b"LOAD", body, is_write=False)
        self._judge(body, reply)

    async def run(self) -> None:
        """Give every primary the scripts that have come by EVAL and are named since, for ever."""
        while True:
            await self._has_more.wait()
            self._has_more = trio.Event()
            while self._to_spread:
                body, _ = self._to_spread.popitem()
                try:
                    await self._spread(body)
                except BackendUnavailable as problem:
                    # It stays doubtful, and is brought whenever it is named.
                    log.warning("script not spread", problem=str(problem))

    async def _spread(self, body: bytes) -> None:
        answers = await ask_everyone(
            [(b"SCRIPT", b"LOAD", body)],
            all_primaries,
            nodes=self._nodes,
            patience=Patience(self._nodes),
        )
        if answers and all(answer.error is None for answer in answers):
            self._book.note_everywhere(body)

    def bring(self, pipeline: Pipeline, request: bytes, attempts: int) -> float | None:
        """Bring what a request names; return after how long it may be sent again, or None."""
        if attempts >= ATTEMPTS:
            return None
        args = _args_of(request)
        if args[0].lower() not in RUN_BY_SHA:
            address = self._address_of(pipeline.node)
            return None if address is None else self._functions.missed_at(address)
        body = self._book.body_of(args[1])
        if body is None:
            return None
        wait_s = 0.0
        if key_of(pipeline.lane).credentials is not None:
            # Its user may run scripts and not be allowed to load them.
            pipeline = self._find_lane(LaneKey(pipeline.lane.resp)).pipeline_to(pipeline.node)
            wait_s = OTHER_ROAD_S * (attempts + 1)

        # All that was in flight lacks it, and is sent again behind the first that brings it.
        if (pipeline, body) not in self._under_way:
            self._load(pipeline, body)
        return wait_s

    def _load(self, pipeline: Pipeline, body: bytes) -> None:
        self._under_way.add((pipeline, body))

        def take(reply: bytes | BackendUnavailable) -> None:
            self._under_way.discard((pipeline, body))
            if isinstance(reply, bytes):
                self._judge(body, reply)

        self._engine.submit(pipeline, encode_command(b"SCRIPT", b"LOAD", body), take)
        log.debug("script brought", node=str(self._address_of(pipeline.node)), bytes=len(body))

    def _judge(self, body: bytes, reply: bytes) -> None:
        if error_code(reply) == b"ERR":
            self._book.forget(body)  # it does not compile


def _args_of(request: bytes) -> list[bytes]:
    """Return the arguments of a client's own frame, inline ones too."""
    (args,) = RequestStream(
        argument_limit=len(request),
        argument_limit_bytes=len(request),
        inline_limit_bytes=len(request) + 1,
        request_limit_bytes=len(request) + 1,
    ).feed(request)
    return args if request.startswith(b"*") else split_inline(args[0]) or args
