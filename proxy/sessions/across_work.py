"""One command across slots while it is being done: what it asks, and how answers are read.

Strategy: everything goes over the proxy's own lane of the client's protocol and database,
by slot, so redirects, failover and retry rules are the hot road's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

import trio

from proxy.cluster.tags import TEMPORARY_PREFIX, tag_in_slot
from proxy.commands.spec import CommandSpec
from proxy.dataplane.frames import split_array
from proxy.dataplane.lane import Lane
from proxy.resp import replies_across as replies
from proxy.resp.decode import is_error
from proxy.sessions.across_plan import Key

# Nobody sees a temporary key: each lives inside one transaction or script. Should a
# server ever leave one behind, it expires after so long. Chosen.
TEMPORARY_MS = 60_000

Result = TypeVar("Result")


class Asker(Protocol):
    """What a command across slots needs of the cluster."""

    async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        """Return the raw reply frame to a request that goes the clients' hot road."""

    async def ask_block(
        self, lane: Lane, slot: int, commands: Sequence[tuple[bytes, ...]], is_write: bool = True
    ) -> list[bytes]:
        """Return the raw reply frames to MULTI ... EXEC, of which all runs or nothing."""


class Budget:
    """What all commands across slots may copy together; who finds no room waits.

    Only copying takes room: a command that waits for a dead node keeps nobody else waiting
    but with what it holds.

    Args:
        limit_bytes: Of all copies. One that is longer passes when it is alone.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._turn = trio.Lock()  # first come, first served
        self._freed = trio.Event()
        self.used_bytes = 0

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[None]:
        """Wait for room, and have it while the block lasts."""
        async with self._turn:
            while self.used_bytes and self.used_bytes + size_bytes > self.limit_bytes:
                await self._freed.wait()
            self.used_bytes += size_bytes
        try:
            yield
        finally:
            self.used_bytes -= size_bytes
            self._freed.set()
            self._freed = trio.Event()


@dataclass(frozen=True, slots=True)
class Work:
    """One request whose keys lie in several slots."""

    spec: CommandSpec
    args: list[bytes]
    keys: tuple[Key, ...]
    lane: Lane
    """Whose connections it goes over: shared ones, with the proxy's own rights."""
    own_lane: Lane
    """The client's, if it may ask what the proxy asks; else ``lane``. A client that tracks
    has to have asked for the keys itself."""
    nodes: Asker
    limit_bytes: int
    """What it may copy."""
    budget: Budget
    note_limit: Callable[[str], object]

    def too_big(self, found_bytes: int) -> bytes:
        """Return the error for more than it may copy, and have it counted."""
        self.note_limit("cross_slot_limit_bytes")
        return replies.across_too_big(
            self.spec.name, found_bytes=found_bytes, limit_bytes=self.limit_bytes
        )

    async def ask(self, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        """Return the raw reply frame to one request for a slot."""
        return await self.nodes.ask(self.lane, slot, *args, is_write=is_write)

    async def run(
        self, slot: int, commands: Sequence[tuple[bytes, ...]], *, is_write: bool = True
    ) -> list[bytes] | bytes:
        """Return the replies to a transaction's commands; or the error for which it did not run."""
        frames = await self.nodes.ask_block(
            self.lane, slot, [(b"MULTI",), *commands, (b"EXEC",)], is_write=is_write
        )
        outcome = frames[-1]
        if is_error(outcome):
            # EXECABORT says less than the reason that was given before it.
            return next(frame for frame in frames if is_error(frame))
        return split_array(outcome) or []

    async def rehearse(
        self, commands: Sequence[tuple[bytes, ...]], temporaries: Sequence[bytes], slot: int
    ) -> bytes:
        """Return the last reply to commands on temporary keys of a slot, which are gone after it.

        So the server's own words are had for a request that must not run on the real keys.
        """
        commands = [*commands, (b"UNLINK", *temporaries)]
        replies = await self.run(slot, commands, is_write=False)
        return replies if isinstance(replies, bytes) else replies[-2]


def temporary_names(slot: int) -> Callable[[int], bytes]:
    """Return a function that names the temporary keys of one operation in a slot."""
    tag = tag_in_slot(slot, TEMPORARY_PREFIX)
    return lambda number: b"{%b}%d" % (tag, number)


def first_error(frames: Sequence[bytes]) -> bytes | None:
    """Return the first error among replies, or None."""
    return next((frame for frame in frames if is_error(frame)), None)


async def gather(calls: Sequence[Callable[[], Awaitable[Result]]]) -> list[Result]:
    """Run all at once and return their results in order."""
    results: dict[int, Result] = {}

    async def run(place: int) -> None:
        results[place] = await calls[place]()

    async with trio.open_nursery() as nursery:
        for place in range(len(calls)):
            nursery.start_soon(run, place)
    return [results[place] for place in range(len(calls))]
