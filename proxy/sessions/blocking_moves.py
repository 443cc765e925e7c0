"""BLMOVE and BRPOPLPUSH whose two lists lie in two slots.

Strategy: the move itself is that of LMOVE across slots (``across_moves``, with the
setting commands.cross_slot = "all"), as often as there is news of the source, in line
with the other clients that wait for it (``control.key_news``).

A move that has begun is finished, whether its client is still there or not: the element
is then where the client wanted it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import trio

from proxy.cluster.slots import key_slot
from proxy.control.key_watch import Watch
from proxy.control.lane_key import key_of
from proxy.dataplane.lane import Lane
from proxy.resp import replies_blocking as say
from proxy.sessions import blocking_words as words
from proxy.sessions.blocking_pops import STALL_S, Room
from proxy.sessions.blocking_wait import OwnWait, for_the_rest


class MoveWait(OwnWait):
    """One blocking move between two slots.

    Args:
        move: Moves an element at once, and returns LMOVE's reply.
        taken_at: When the client's request came, by ``trio.current_time``.
    """

    def __init__(
        self,
        room: Room,
        lane: Lane,
        *,
        name: bytes,
        args: Sequence[bytes],
        move: Callable[[], Awaitable[bytes]],
        taken_at: float,
    ) -> None:
        super().__init__(lane)
        self._room = room
        self._name = name
        self._args = args
        self._source = args[1]
        self._move = move
        self._deadline = taken_at + (words.timeout_s(name, args) or math.inf)

    def remainder(self) -> list[bytes]:
        """Return the command for the rest of the wait."""
        return for_the_rest(self._name, self._args, self._deadline)

    async def _run(self) -> bytes:
        watch = self._room.news.watch(key_of(self._lane).database, [self._source], b"LLEN")
        try:
            return await self._wait(watch)
        finally:
            watch.close()

    async def _wait(self, watch: Watch) -> bytes:
        while (frame := await self._move()) in words.NOTHING:
            watch.done(0)
            self._is_blocked = True
            with trio.CancelScope(deadline=self._deadline) as self._scope:
                if self._ended is None:
                    await watch.wait_called()
            if not watch.is_called(0) or self._ended is not None:
                return self._ended or watch.problem or await self._time_over(watch)
        return frame

    async def _time_over(self, watch: Watch) -> bytes:
        """Return nil, unless nobody can say that the source was empty."""
        await watch.wait_known(within_s=STALL_S)
        if watch.first_unknown() is not None:
            return say.unreachable_at_timeout(self._name, key_slot(self._source))
        return words.nothing(self._lane.resp)
