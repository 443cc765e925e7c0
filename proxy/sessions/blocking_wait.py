"""What the waits that the proxy does itself share: begun by ``run``, ended from outside.

Strategy: whoever ends a wait says what its reply is to be and interrupts it, then waits
for the reply that it really got; one that came first stands.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import trio

from proxy.dataplane.lane import Lane
from proxy.resp import replies_blocking as say
from proxy.sessions import blocking_words as words


class OwnWait(ABC):
    """A wait that no server does for us (``blocking.Wait``).

    Args:
        lane: The client's.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._scope = trio.CancelScope()
        self._is_blocked = False
        self._ended: bytes | None = None
        self._is_over = trio.Event()
        self._reply = b""

    @property
    def is_blocked(self) -> bool:
        """Whether there was nothing when the wait began."""
        return self._is_blocked

    async def run(self) -> bytes:
        """Wait, and return the client's reply."""
        try:
            self._reply = await self._run()
        finally:
            self._is_over.set()
        return self._reply

    async def end(self, *, with_error: bool) -> bool:
        """End the wait as CLIENT UNBLOCK does; False: it has got its reply before."""
        ended = say.UNBLOCKED if with_error else words.nothing(self._lane.resp)
        self._ended = ended
        await self._interrupt()
        await self._is_over.wait()
        return self._reply is ended

    def remainder(self) -> list[bytes] | None:
        """Return the command for the rest of the wait; None: nobody else can go on with it."""
        return None

    @abstractmethod
    async def _run(self) -> bytes:
        """Wait; return the reply, which is ``_ended`` if it was ended."""

    async def _interrupt(self) -> None:
        """Wake what ``_run`` waits for, after ``_ended`` was set."""
        self._scope.cancel()


def for_the_rest(name: bytes, args: Sequence[bytes], deadline: float) -> list[bytes]:
    """Return a blocking command with the time from now to ``deadline``, which may be never."""
    if deadline == math.inf:
        return words.with_timeout(name, args, words.FOR_EVER)
    return words.with_timeout(name, args, max(deadline - trio.current_time(), words.LEAST_S))
