"""Wait for entries of several streams that lie in several slots.

Strategy: first every slot is read without BLOCK, all at once; if anything is there, that
is the reply. Otherwise the client waits at each slot's own primary (``SlotWait``), and
the first entries end the other waits. What those have brought meanwhile is part of the
reply, so that nothing XREADGROUP has delivered is left out.

``$`` is asked for first and fixed, so that no entry can fall between two reads. For
XREADGROUP all groups are looked for first, so that a missing one is the whole reply and
nothing has been delivered, as on one server.

Cost: one round trip for ``$`` or the groups, one for the first read, and a private
connection for each slot while the client waits.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import trio

from proxy.cluster.slots import key_slot
from proxy.control.nodes import Nodes
from proxy.dataplane.frames import split_array
from proxy.dataplane.lane import Lane
from proxy.errors import BackendProtocolError, BackendUnavailable, LimitReached
from proxy.resp.decode import decode
from proxy.resp.encode import array, map_frame
from proxy.sessions import blocking_words as words
from proxy.sessions.blocking_slot import Room, SlotWait
from proxy.sessions.blocking_wait import OwnWait


class StreamsWait(OwnWait):
    """One XREAD or XREADGROUP with BLOCK whose streams lie in several slots.

    Args:
        taken_at: When the client's request came, by ``trio.current_time``.
    """

    def __init__(
        self,
        room: Room,
        nodes: Nodes,
        lane: Lane,
        *,
        name: bytes,
        args: list[bytes],
        taken_at: float,
    ) -> None:
        streams = words.parse_streams(args)
        time_s = words.timeout_s(name, args)
        assert streams is not None
        assert time_s is not None
        super().__init__(lane)
        self._room = room
        self._nodes = nodes
        self._name = name
        self._args = args
        self._streams = streams
        self._keys = args[streams.first_key : streams.first_key + streams.count]
        self._taken_at = taken_at
        self._deadline = taken_at + (time_s or math.inf)
        self._by_slot: dict[int, list[int]] = {}
        for stream, key in enumerate(self._keys):
            self._by_slot.setdefault(key_slot(key), []).append(stream)
        self._waits: list[SlotWait] = []

    @property
    def is_blocked(self) -> bool:
        """Whether all servers have the command."""
        return bool(self._waits) and all(wait.is_blocked for wait in self._waits)

    async def _interrupt(self) -> None:
        for wait in list(self._waits):
            await wait.end(with_error=False)

    async def _run(self) -> bytes:
        error = await (self._find_groups() if self._name == b"xreadgroup" else self._fix_newest())
        if error:
            return error
        frames = await _all_at_once({slot: partial(self._read_now, slot) for slot in self._by_slot})
        # An error anywhere is the whole reply, unless a group has noted entries as delivered.
        reply = self._merge(frames) or _first_error(frames)
        if self._name == b"xread":
            reply = _first_error(frames) or reply
        if not reply and self._ended is None:
            frames = await self._wait_for_first()
            reply = self._merge(frames) or _first_error(frames)
        return reply or self._ended or words.nothing(self._lane.resp)

    # ---- before ----------------------------------------------------------------------

    async def _fix_newest(self) -> bytes:
        """Replace ``$`` by what it means now. Returns an error of a server, or nothing."""
        newest = words.newest_streams(self._name, self._args, self._streams)

        async def ask(stream: int) -> bytes:
            key = self._keys[stream]
            question = (b"XREVRANGE", key, b"+", b"-", b"COUNT", b"1")
            return await self._nodes.ask(self._lane, key_slot(key), *question, is_write=False)

        frames = await _all_at_once({stream: partial(ask, stream) for stream in newest})
        fixed = {}
        for stream, frame in zip(newest, frames, strict=True):
            entry_id = words.last_id(frame)
            if entry_id is None:
                return frame
            fixed[stream] = entry_id
        self._args = words.with_ids(self._args, self._streams, fixed)
        return b""

    async def _find_groups(self) -> bytes:
        """Look for the groups of all streams. Returns what a server says of one without."""
        group = self._args[self._args_at(b"GROUP") + 1]

        async def ask(stream: int) -> bytes:
            key = self._keys[stream]
            return await self._nodes.ask(
                self._lane, key_slot(key), b"XPENDING", key, group, is_write=False
            )

        frames = await _all_at_once({i: partial(ask, i) for i in range(len(self._keys))})
        for key, frame in zip(self._keys, frames, strict=True):
            if frame[:1] == b"-":
                # The words that belong to this command are its own.
                return await self._read_now(key_slot(key))
        return b""

    def _args_at(self, word: bytes) -> int:
        return next(i for i, arg in enumerate(self._args) if i and arg.upper() == word)

    # ---- reading -----------------------------------------------------------------------

    async def _read_now(self, slot: int) -> bytes:
        """Read the streams of one slot without waiting."""
        chosen = self._by_slot[slot]
        args = words.only_streams(self._args, self._streams, chosen, blocking=False)
        is_write = self._name == b"xreadgroup"
        return await self._nodes.ask(self._lane, slot, *args, is_write=is_write)

    async def _wait_for_first(self) -> list[bytes]:
        """Wait at every slot until one of them has a reply, and return those of all."""
        has_first = trio.Event()
        replies: list[bytes] = []
        problems: list[BackendUnavailable | LimitReached] = []

        async def wait_at(wait: SlotWait) -> None:
            try:
                replies.append(await wait.run())
            except (BackendUnavailable, LimitReached) as problem:
                problems.append(problem)
            has_first.set()

        for slot, chosen in self._by_slot.items():
            args = words.only_streams(self._args, self._streams, chosen, blocking=True)
            self._waits.append(
                SlotWait(
                    self._room, self._lane,
                    slot=slot, name=self._name, args=args, taken_at=self._taken_at,
                )
            )  # fmt: skip
        async with trio.open_nursery() as nursery:
            for wait in self._waits:
                nursery.start_soon(wait_at, wait)
            await has_first.wait()
            for wait in self._waits:
                nursery.start_soon(partial(wait.end, with_error=False))
        if problems and not self._merge(replies):
            raise problems[0]
        return replies

    # ---- one reply -----------------------------------------------------------------------

    def _merge(self, frames: list[bytes]) -> bytes:
        """Make one reply of those of the slots, in the client's order; empty: nothing came."""
        found: dict[int, tuple[bytes, bytes]] = {}
        for frame in frames:
            if frame[:1] in b"*%":
                try:
                    for key, entries in _pairs(frame):
                        found[self._keys.index(_name_of(key))] = key, entries
                except (IndexError, ValueError):
                    raise BackendProtocolError("NO_STREAMS") from None
        if not found:
            return b""
        pairs = [found[stream] for stream in sorted(found)]
        if self._lane.resp == 3:
            return map_frame(pairs, 3)
        return array([array(pair) for pair in pairs])


async def _all_at_once(questions: Mapping[int, Callable[[], Awaitable[bytes]]]) -> list[bytes]:
    """Return the answers to all questions, in their order."""
    answers: dict[int, bytes] = {}

    async def ask(number: int, question: Callable[[], Awaitable[bytes]]) -> None:
        answers[number] = await question()

    async with trio.open_nursery() as nursery:
        for number, question in questions.items():
            nursery.start_soon(ask, number, question)
    return [answers[number] for number in questions]


def _first_error(frames: Sequence[bytes]) -> bytes:
    return next((frame for frame in frames if frame[:1] == b"-"), b"")


def _pairs(frame: bytes) -> list[tuple[bytes, bytes]]:
    """Return stream and entries, as RESP2 (pairs in an array) or RESP3 (a map) has them."""
    items = split_array(frame) or []
    if frame[:1] == b"%":
        return list(zip(items[::2], items[1::2], strict=True))
    return [(pair[0], pair[1]) for pair in (split_array(item) or [] for item in items)]


def _name_of(frame: bytes) -> bytes:
    name = decode(frame)
    if not isinstance(name, bytes):
        raise BackendProtocolError("NOT_A_STRING")
    return name
