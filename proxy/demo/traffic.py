"""Clients that write and read without pause, and know what every answer must be.

Strategy: each thread is one plain client with keys of its own. It writes the
next sequence number to a key, reads it back, and goes on to the next key; so a
write that was lost, doubled, reordered or answered to somebody else shows up
as a wrong number. What may be true is kept in a ``Ledger`` for each key.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import redis

from proxy.demo.tally import NoReply, Tally
from proxy.embedded.waiting import wait_for

THREADS = 4
KEYS_EACH = 100
ROUNDS_DEADLINE_S = 60.0
JOIN_DEADLINE_S = 60.0
# A primary answers its client before its replica has the write. What it
# acknowledged this long before it was killed may be gone with it: Redis
# Cluster promises no more ("Write safety" in its specification).
REPLICATION_LAG_S = 0.1


@dataclass
class Ledger:
    """What one key may hold. Its owner is the only one who writes it."""

    acknowledged: deque[tuple[int, float]] = field(default_factory=lambda: deque([(0, 0.0)], 16))
    """The last writes answered OK: number, time. 0 stands for the key not being there."""
    unknown: set[int] = field(default_factory=set)
    """Writes that may have run, or may still run, since the last one answered OK."""

    @property
    def current(self) -> int:
        """The last number that was answered OK."""
        return self.acknowledged[-1][0]

    def write_answered(self, number: int, now: float) -> None:
        """Note a write that was answered OK: whatever was unknown before it is over."""
        self.acknowledged.append((number, now))
        self.unknown.clear()

    def may_hold(self, number: int) -> bool:
        """Return whether reading ``number`` now is a true answer."""
        return number == self.current or number in self.unknown

    def may_have_lost(self, number: int, crashed_at: float | None) -> bool:
        """Return whether ``number`` is what a crash at that time may have thrown the key back to.

        It may if every later write was acknowledged just before the crash.
        """
        if crashed_at is None:
            return False
        safe_until = crashed_at - REPLICATION_LAG_S
        later = [when for seen, when in self.acknowledged if seen > number]
        known = any(seen == number for seen, _ in self.acknowledged)
        return known and all(safe_until < when <= crashed_at for when in later)


class Traffic:
    """Threads that go on from ``__enter__`` to ``finish``, or to the end of the block."""

    def __init__(self, connect: Callable[[], redis.Redis], phase: str) -> None:
        """Describe the traffic; nothing runs yet.

        Args:
            connect: Makes the client of one thread.
            phase: The name of the tally, and part of the keys.
        """
        self._phase = phase
        self._stopping = threading.Event()
        self._crashed_at: float | None = None
        self._workers = [_Worker(self, connect, index) for index in range(THREADS)]

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error nobody waits: the threads are daemons and the proxy is about to go.
        self._stopping.set()

    @property
    def phase(self) -> str:
        """The name of the tally."""
        return self._phase

    @property
    def is_stopping(self) -> bool:
        """Whether the threads should end."""
        return self._stopping.is_set()

    @property
    def crashed_at(self) -> float | None:
        """When a server was killed, if one was."""
        return self._crashed_at

    def note_crash(self) -> None:
        """Say that a primary has just been killed."""
        self._crashed_at = time.monotonic()

    def wait_for_rounds(self, more: int) -> None:
        """Wait until every thread has written and read ``more`` keys from now on.

        Raises:
            NotInTime: One of them is stuck.
        """
        goals = [worker.rounds + more for worker in self._workers]
        wait_for(
            lambda: all(
                worker.rounds >= goal for worker, goal in zip(self._workers, goals, strict=True)
            ),
            ROUNDS_DEADLINE_S,
            f"{more} more rounds of every client",
        )

    def finish(self) -> Tally:
        """End the threads and return what they saw together.

        A thread that does not come back counts as an error.
        """
        self._stopping.set()
        total = Tally(self._phase)
        for worker in self._workers:
            worker.thread.join(JOIN_DEADLINE_S)
            total.add(worker.tally)
            if worker.thread.is_alive():
                total.errors += 1
                total.complain(f"a client got no reply within {JOIN_DEADLINE_S:g} s")
        return total


class _Worker:
    """One thread, its client, its keys and what it saw."""

    def __init__(self, traffic: Traffic, connect: Callable[[], redis.Redis], index: int) -> None:
        self.rounds = 0  # one write and one read each
        self.tally = Tally(traffic.phase)
        self.thread = threading.Thread(target=self._run, name=f"client-{index}", daemon=True)
        self._traffic = traffic
        self._connect = connect
        # The phase is part of the key: what an earlier one left must not be read.
        self._ledgers = {
            f"tour:{traffic.phase}:{index}:{number}".encode(): Ledger()
            for number in range(KEYS_EACH)
        }

    def _run(self) -> None:
        with self._connect() as client:
            while True:
                for key, ledger in self._ledgers.items():
                    if self._traffic.is_stopping:
                        return
                    self._write(client, key, ledger)
                    self._read(client, key, ledger)
                    self.rounds += 1

    def _write(self, client: redis.Redis, key: bytes, ledger: Ledger) -> None:
        number = self.rounds + 1  # grows with every write of this thread, so never twice on a key
        reply = self.tally.ask(lambda: client.set(key, number), is_write=True)
        if reply is True:
            ledger.write_answered(number, time.monotonic())
            return
        # Failed is not the same as did not run: a connection may break in between.
        ledger.unknown.add(number)
        if not isinstance(reply, NoReply):
            self.tally.wrong(f"SET {key!r}: {reply!r}")

    def _read(self, client: redis.Redis, key: bytes, ledger: Ledger) -> None:
        reply = self.tally.ask(lambda: client.get(key))
        if isinstance(reply, NoReply) or self._traffic.is_stopping:
            return
        try:
            number = 0 if reply is None else int(reply)  # type: ignore[call-overload]
        except (TypeError, ValueError):
            self.tally.wrong(f"GET {key!r}: {reply!r}")
            return
        if ledger.may_hold(number):
            return
        if ledger.may_have_lost(number, self._traffic.crashed_at):
            self.tally.lost_writes += 1
            ledger.write_answered(number, 0.0)
        else:
            self.tally.wrong(f"GET {key!r}: {number} instead of {ledger.current}")
