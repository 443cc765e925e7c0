"""CLIENT CACHING: the next command is tracked, or is not.

Strategy: a server remembers the word on the connection until the next command,
so both go to the node in one block, and nothing can come between them. Until that
command comes the client is off the hot road. A command that changes keys is not
tracked and goes without the word.

A command whose keys lie in several slots is split here as the hot road would
split it, each part with the word before it; what is heard meanwhile waits until
the client has the reply.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol

import trio

from proxy.cluster.slots import key_slot
from proxy.commands.spec import Road
from proxy.control.nodes import AllNodes
from proxy.dataplane.client import Client
from proxy.dataplane.engine import Engine
from proxy.dataplane.hooks import Punt
from proxy.dataplane.tables import Command
from proxy.resp.encode import encode_command
from proxy.sessions.tracking import Tracker, Trackers
from proxy.sessions.transaction_split import (
    CannotSplit,
    CutShort,
    Part,
    merge_parts,
    split_by_slot,
)

NO_SLOT = -1


class Front(Protocol):
    """What is needed of the desk."""

    engine: Engine
    nodes: AllNodes
    trackers: Trackers

    def start(self, client: Client, work: Awaitable[bytes | None]) -> None:
        """Run a task whose result is the reply to the client's open request."""

    def end(self, client: Client) -> None:
        """Let the client back to the hot road."""

    def refuse(
        self, command: Command | None, args: list[bytes], client: Client | None = None
    ) -> bytes | None:
        """Return the error for a request that no server would begin to run, or None."""

    def serve(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve a request as if no session had the client; it has been checked."""

    def punt(
        self, client: Client, reason: Punt, command: Command | None, args: list[bytes]
    ) -> bytes | None:
        """Serve a request that left the hot road."""


class CachingSession:
    """A client that has said CLIENT CACHING, until its next command."""

    def __init__(self, desk: Front, client: Client) -> None:
        self._desk = desk
        self._client = client

    def closed(self) -> None:
        """Nothing is left of it."""

    def take(self, client: Client, command: Command | None, args: list[bytes]) -> bytes | None:
        """Serve the next request; it ends the session, unless it is a CLIENT command."""
        desk, tracking = self._desk, client.state.tracking
        refused = desk.refuse(command, args, client)
        if args[0].lower() == b"client" and refused is None:
            return desk.serve(client, command, args)
        desk.end(client)
        tracker = desk.trackers.tracker_of(client)
        is_said = tracking is not None and tracking.caching and (tracking.optin or tracking.optout)
        if tracking is not None:
            client.state.tracking = replace(tracking, caching=False)
        if refused is not None:
            return refused
        if tracker is not None and is_said:
            # Until it is sure that the client's own connections read: MULTI, XREAD BLOCK.
            tracker.owes_flush = True
        if command is None or command.spec.road not in (Road.FORWARD, Road.SPLIT):
            return desk.serve(client, command, args)
        if _has_word(args, command.spec.blocking_keyword):
            return desk.serve(client, command, args)
        word = b""
        if tracker is not None and tracking is not None and is_said and not command.spec.is_write:
            word = encode_command(b"CLIENT", b"CACHING", b"YES" if tracking.optin else b"NO")
        desk.start(client, self._run(command, args, word, tracker))
        return None

    async def _run(
        self, command: Command, args: list[bytes], word: bytes, tracker: Tracker | None
    ) -> bytes | None:
        desk, client = self._desk, self._client
        await trio.lowlevel.checkpoint()
        _, places = desk.engine.command_table.key_places(*args)
        slots = [key_slot(args[place]) for place in places]
        if len(set(slots)) > 1:
            try:
                parts = split_by_slot(command.spec, args, places)
            except CannotSplit as problem:
                reason = Punt.ARITY if isinstance(problem, CutShort) else Punt.CROSS_SLOT
                return desk.punt(client, reason, command, args)
            return await self._run_split(command, parts, word, tracker)
        if tracker is not None:
            tracker.owes_flush = False
        desk.engine.forward_punt(
            client,
            word + encode_command(*args),
            slots[0] if slots else NO_SLOT,
            command.spec.is_write,
            2 if word else 1,
        )
        return None

    async def _run_split(
        self,
        command: Command,
        parts: list[Part],
        word: bytes,
        tracker: Tracker | None,
    ) -> bytes | None:
        desk, client = self._desk, self._client
        frames: dict[int, bytes] = {}

        async def ask(part: Part) -> None:
            if word:
                block = [(b"CLIENT", b"CACHING", word.split(b"\r\n")[-2]), part.args]
                answers = await desk.nodes.ask_block(
                    client.lane, part.slot, block, is_write=command.spec.is_write
                )
                frames[part.slot] = answers[-1]
            else:
                frames[part.slot] = await desk.nodes.ask(
                    client.lane, part.slot, *part.args, is_write=command.spec.is_write
                )

        if tracker is not None:
            tracker.owes_flush = False
            tracker.defer()
        try:
            async with trio.open_nursery() as nursery:
                for part in parts:
                    nursery.start_soon(ask, part)
            answers = [frames[part.slot] for part in parts]
            desk.engine.finish_punt(client, merge_parts(command.spec, parts, answers))
        finally:
            if tracker is not None:
                tracker.go_on()
        return None


def _has_word(args: list[bytes], keyword: bytes) -> bool:
    """Return whether a word stands before STREAMS, in any case."""
    if not keyword:
        return False
    words = [arg.upper() for arg in args]
    end = words.index(b"STREAMS") if b"STREAMS" in words else len(words)
    return keyword in words[:end]
