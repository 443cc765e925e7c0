"""Wait for an element in any of several keys that lie in several slots.

No server can block for these, so nobody blocks: elements are taken with LPOP and its
kin, one key after the other in the client's order, and between two attempts the client
waits for news of its keys (``control.key_news``), in line with the other clients of this
proxy that wait for the same key.

Strategy: first all keys are counted, and the first key is tried at the same time, for
that is where the element is if there is any; unless others wait for that key. Then those
that have elements are tried in order. From then on, whenever the news call this client.

What is guaranteed:

- The first key with an element, in the client's order, as counted when the wait began;
  later, the key whose news came first.
- An attempt is sent again only if the server refused it. If its connection is lost after
  it was sent, it may have taken an element with it, as when a server dies that has just
  served a client; the wait goes on.
- A client that leaves gives up an attempt that is on its way, and what comes of it goes
  back to the end it was taken from; so does what a node brings that hung, if it comes
  within ``ATTEMPT_S``.
- A key whose node does not answer holds the others up for ``STALL_S``, once.
- An element that is pushed again, or put back, is served in its turn: in line are the
  clients of this proxy. Those of other proxies, and of the cluster itself, are not.

Added latency: a push, a count and an attempt before the reply, two and a half round
trips where a server that knows its blocked client needs a half. From RPUSH to the reply,
over loopback: 0.13 ms at a server, 0.34 ms through the proxy in one slot, 0.54 ms in
several (medians of 400; 2-core machine, Valkey 9.1, one client, nothing else going on).
At worst, when no push can tell (a slot that moves, a connection just lost), ``POLL_S``.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Protocol

import structlog
import trio

from proxy.cluster.slots import key_slot
from proxy.control.key_news import KeyNews
from proxy.control.key_watch import WRONG_TYPE, Watch
from proxy.control.lane_key import key_of
from proxy.control.nodes import Nodes
from proxy.dataplane.engine import Engine
from proxy.dataplane.frames import split_array
from proxy.dataplane.lane import Lane
from proxy.errors import BackendProtocolError
from proxy.resp import replies
from proxy.resp import replies_blocking as say
from proxy.resp.decode import error_code
from proxy.resp.encode import encode_command
from proxy.sessions import blocking_words as words
from proxy.sessions.blocking_wait import OwnWait, for_the_rest

log = structlog.get_logger()

# How long a node may take to answer before the other keys have their turn.
STALL_S = 0.5  # chosen: far above a round trip, below what a person notices
# An attempt that nobody waits for any more is heard to its end, so that nothing is lost; and
# an element is put back within it: long enough to hear from a server that hung for a while.
ATTEMPT_S = 60.0  # chosen
# What the engine says when a request has no reply: nothing was taken, or nobody knows.
_NO_REPLY = frozenset({b"IOERR", b"CLUSTERDOWN"})


class Room(Protocol):
    """What these waits need of the rest: ``blocking.Blocking``."""

    engine: Engine
    news: KeyNews
    nodes: Nodes
    attempts_open: int
    """Those that were given up and may still bring something."""

    def give_back(self, lane: Lane, name: bytes, args: Sequence[bytes], frame: bytes) -> None:
        """Put back what a pop took for a client that is gone; without effect if it took nothing."""


class _Attempt:
    """One pop on its way; whoever gives it up has its element put back."""

    def __init__(
        self, room: Room, lane: Lane, name: bytes, args: Sequence[bytes], key: bytes
    ) -> None:
        self.is_done = trio.Event()
        self.frame = b""
        """The blocking pop's reply; empty: there was nothing."""
        self._room = room
        self._lane = lane
        self._name = name
        self._args = args
        self.key = key
        self._is_wanted = True
        room.engine.ask(
            lane,
            encode_command(*words.without_blocking(name, args, key)),
            self._take,
            slot=key_slot(key),
            is_write=True,
            timeout_s=ATTEMPT_S,
        )

    def give_up(self) -> None:
        """Want the element no more, whether it has come or not."""
        self._is_wanted = False
        if self.is_done.is_set():
            self._give_back()
        else:
            self._room.attempts_open += 1

    def _take(self, reply: bytes) -> None:
        try:
            self.frame = words.taken_by(self._name, self.key, reply) or b""
        except BackendProtocolError:
            log.warning("a server's answer cannot be read", command=self._name)
            self.frame = replies.internal_error()
        self.is_done.set()
        if not self._is_wanted:
            self._room.attempts_open -= 1
            self._give_back()

    def _give_back(self) -> None:
        self._room.give_back(self._lane, self._name, self._args, self.frame)


def _later(index: int) -> None:
    """Leave a key for which it is our turn until the attempt at another is over."""


class PopsWait(OwnWait):
    """One blocking pop whose keys lie in several slots.

    Args:
        keys: As the client gave them; more than one slot.
        taken_at: When the client's request came, by ``trio.current_time``.
        looks_again: The servers are of 7.2 or later.
    """

    def __init__(
        self,
        room: Room,
        lane: Lane,
        *,
        name: bytes,
        args: list[bytes],
        keys: Sequence[bytes],
        taken_at: float,
        looks_again: bool,
    ) -> None:
        super().__init__(lane)
        self._looks_again = looks_again
        time_s = words.timeout_s(name, args)
        assert time_s is not None
        self._room = room
        self._name = name
        self._args = args
        self._keys = list(dict.fromkeys(keys))
        self._deadline = taken_at + (time_s or math.inf)
        self._given_up: list[_Attempt] = []

    def remainder(self) -> list[bytes]:
        """Return the command for the rest of the wait."""
        return for_the_rest(self._name, self._args, self._deadline)

    async def _run(self) -> bytes:
        if not words.is_plain(self._name, self._args) or not self._is_our_user():
            frame = await self._let_servers_judge()
            if frame:
                return frame
        key = key_of(self._lane)
        counts = words.COUNTS[self._name]
        is_first = not self._room.news.is_awaited(key.database, self._keys[0], counts)
        watch = self._room.news.watch(key.database, self._keys, counts)
        try:
            return await self._wait(watch, is_first=is_first)
        finally:
            watch.close()

    def _is_our_user(self) -> bool:
        return key_of(self._lane).credentials is None

    async def _let_servers_judge(self) -> bytes:
        """Have it said what is wrong with the arguments or with the rights; empty: nothing.

        Inside MULTI nothing blocks, and a key that nobody has holds nothing that could be
        taken. Whether this user may have the keys themselves shows when each is tried.
        """
        nobodys = self._keys[0] + b":" + secrets.token_hex(8).encode()
        command = tuple(words.for_one_key(self._name, self._args, nobodys))
        frames = await self._room.nodes.ask_block(
            self._lane, key_slot(nobodys), [(b"MULTI",), command, (b"EXEC",)]
        )
        match frames:
            case [begun, queued, _] if begun[:1] != b"-" and queued[:1] == b"-":
                if error_code(queued) != b"NOPERM" or b"to run" in queued:
                    return queued
            case [_, _, ran] if ran[:1] == b"*":
                (frame,) = split_array(ran) or [b""]
                if frame[:1] == b"-":
                    return frame
        if not self._is_our_user():
            for key in self._keys:
                frame = await self._outcome(self._begin(key))
                if frame:
                    return frame
        return b""

    async def _wait(self, watch: Watch, *, is_first: bool) -> bytes:
        if is_first and not watch.is_silent(0):
            frame = await self._outcome(self._begin(self._keys[0]))
            if frame:
                return frame
            if self._given_up:
                watch.note_silence(0)
        await watch.wait_known(within_s=STALL_S)
        for index, key in enumerate(self._keys):
            if watch.count(index) == WRONG_TYPE or watch.is_called(index):
                frame = await self._outcome(self._begin(key))
                if frame:
                    return frame
                watch.done(index)
        self._is_blocked = True
        while (begun := await self._next_attempt(watch)) is not None:
            called, attempt = begun
            frame = await self._outcome(attempt)
            is_stale = error_code(frame) == b"WRONGTYPE" and attempt.key == self._keys[called]
            if frame and not is_stale:
                return frame
            watch.done(called)
        return self._ended or watch.problem or await self._time_over(watch)

    async def _next_attempt(self, watch: Watch) -> tuple[int, _Attempt] | None:
        """Wait until it is our turn at a key, and try it; None: time is over, or the wait ended."""
        if self._ended is not None or trio.current_time() >= self._deadline:
            return None
        called = watch.first_called()
        if called is not None:
            return self._begin_at(watch, called)
        begun: tuple[int, _Attempt] | None = None

        def begin(index: int) -> None:
            nonlocal begun
            if begun is None:
                begun = self._begin_at(watch, index)

        watch.on_call = begin
        try:
            with trio.CancelScope(deadline=self._deadline) as self._scope:
                await watch.wait_called()
        except trio.Cancelled:
            if begun is not None:
                begun[1].give_up()
            raise
        finally:
            watch.on_call = _later
        return begun

    def _begin_at(self, watch: Watch, called: int) -> tuple[int, _Attempt]:
        """Try the key at which it is our turn, or one before it that holds something else.

        Servers since 7.2 run the whole command again for a client that they wake, and
        meet the wrong type; older ones look only at the key that has changed.
        """
        wrong = [i for i in range(called) if watch.count(i) == WRONG_TYPE and self._looks_again]
        return called, self._begin(self._keys[wrong[0] if wrong else called])

    def _begin(self, key: bytes) -> _Attempt:
        return _Attempt(self._room, self._lane, self._name, self._args, key)

    async def _outcome(self, attempt: _Attempt) -> bytes:
        """Return what an attempt took; empty: there was nothing, or nobody says so in time."""
        frame: bytes | None = None
        try:
            with trio.move_on_after(STALL_S):
                await attempt.is_done.wait()
                frame = attempt.frame
        finally:
            if frame is None:
                attempt.give_up()
        if frame is None:
            self._given_up.append(attempt)
        return b"" if frame is None or error_code(frame) in _NO_REPLY else frame

    async def _time_over(self, watch: Watch) -> bytes:
        """Return nil, unless there is a key of which nobody can say that it was empty."""
        await watch.wait_known(within_s=STALL_S)
        unsure = [each.key for each in self._given_up if not each.is_done.is_set()]
        unknown = watch.first_unknown()
        if unknown is not None:
            unsure.append(self._keys[unknown])
        if unsure:
            return say.unreachable_at_timeout(self._name, key_slot(unsure[0]))
        return words.nothing(self._lane.resp)
