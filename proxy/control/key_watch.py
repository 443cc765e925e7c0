"""One client's side of the news of keys: which keys it waits for, and when it is its turn.

Strategy: ``key_news.KeyNews`` writes here, inside ticks of the engine; the client's task
waits here. ``on_call`` is for who wants to act at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from proxy.cluster.slots import key_slot
from proxy.dataplane.lane import Pipeline
from proxy.dataplane.request import Request

UNKNOWN = -1
"""The count of a key while its node has not answered."""
WRONG_TYPE = -2
"""The count of a key that holds something else."""


class News(Protocol):
    """What a watch asks of ``key_news.KeyNews``."""

    def is_silent(self, key: WatchedKey) -> bool:
        """Return whether the key's node has not answered for a while."""

    def note_silence(self, key: WatchedKey) -> None:
        """Note that the key's node does not answer; until it does, nobody waits for it."""

    def stop_trying(self, watch: Watch, key: WatchedKey) -> None:
        """Note that a client has tried a key; whoever waits for it may have a turn."""

    def leave(self, watch: Watch, key: WatchedKey) -> None:
        """Note that a client waits for a key no more."""


def _no_hurry(index: int) -> None:
    """Leave a call to ``Watch.first_called``."""


class WatchedKey:
    """One key that somebody waits for."""

    __slots__ = (
        "again", "asked", "command", "count", "home", "is_watched", "name", "pipeline", "problem",
        "slot", "trying", "waiting",
    )  # fmt: skip

    def __init__(self, home: tuple[int, bytes, bytes]) -> None:
        self.home = home
        _, self.name, self.command = home
        self.slot = key_slot(self.name)
        self.count = UNKNOWN
        self.problem = b""
        self.is_watched = False  # counted, and no push since
        self.pipeline: Pipeline | None = None  # where it was asked for last
        self.asked: Request | None = None
        self.again = False  # changed while it was being counted
        self.waiting: dict[Watch, int] = {}  # the longest waiting first; which of its keys
        self.trying: set[Watch] = set()


class Watch:
    """What one client waits for; made by ``KeyNews.watch``, ended by ``close``."""

    def __init__(self, news: News, keys: Sequence[WatchedKey]) -> None:
        self.on_call: Callable[[int], None] = _no_hurry
        """Called at once when it is this client's turn, inside a tick of the engine.

        Clients that are called together are called in the order in which they came; trio
        would run their tasks in any order.
        """
        self._news = news
        self._keys = keys
        self._called: set[int] = set()
        self._changed = trio.Event()
        self.is_curious = False
        """Counts are news, too."""

    def count(self, index: int) -> int:
        """Return how many elements the key has as far as is known; UNKNOWN, WRONG_TYPE."""
        return self._keys[index].count

    def first_unknown(self) -> int | None:
        """Return the index of a key of which nothing is known just now, or None."""
        return next((i for i, key in enumerate(self._keys) if key.count == UNKNOWN), None)

    def is_called(self, index: int) -> bool:
        """Return whether it is this client's turn at a key."""
        return index in self._called

    async def wait_known(self, within_s: float) -> None:
        """Wait until something is known of every key, but no longer than this.

        Who does not answer in time is silent, and nobody else waits for it until it does.
        """
        self.is_curious = True
        with trio.move_on_after(within_s):
            while any(key.count == UNKNOWN and not self._news.is_silent(key) for key in self._keys):
                await self._next_change()
        self.is_curious = False
        for key in self._keys:
            if key.count == UNKNOWN:
                self._news.note_silence(key)

    def first_called(self) -> int | None:
        """Return the index of the first key at which it is this client's turn, or None."""
        return min(self._called, default=None)

    @property
    def problem(self) -> bytes:
        """An error that keeps a key from being watched, as the servers' rights do; or nothing."""
        return next((key.problem for key in self._keys if key.problem), b"")

    async def wait_called(self) -> None:
        """Wait until it is this client's turn at a key, or there is a ``problem``."""
        while not self._called and not self.problem:
            await self._next_change()

    async def _next_change(self) -> None:
        self._changed = trio.Event()
        await self._changed.wait()

    def done(self, index: int) -> None:
        """Say that nothing was found in a key, and that its next element is waited for."""
        self._called.discard(index)
        self._news.stop_trying(self, self._keys[index])

    def is_silent(self, index: int) -> bool:
        """Return whether a key's node has not answered for a while."""
        return self._news.is_silent(self._keys[index])

    def note_silence(self, index: int) -> None:
        """Say that a key's node does not answer."""
        self._news.note_silence(self._keys[index])

    def close(self) -> None:
        """Wait no more: the next in line gets its turn."""
        for key in self._keys:
            self._news.leave(self, key)

    # ---- called by KeyNews ------------------------------------------------------------

    def call(self, index: int) -> None:
        """Say that it is this client's turn at a key."""
        self._called.add(index)
        self._changed.set()
        self.on_call(index)

    def note(self) -> None:
        """Say that more is known of a key."""
        self._changed.set()
