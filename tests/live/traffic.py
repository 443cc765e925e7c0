"""Clients that know what every reply must be, for tests in which something breaks meanwhile.

Strategy: each client is a thread with a raw socket, so that nothing is retried or
converted on the way. What it sends, and what the replies may be, say the models of
``traffic_models.py``; it mixes one or more of each, so that reads, writes and split
commands are on their way at once.

Cost: about 15,000 checked commands a second for all clients together (CPython 3.11,
CI machine): the checks, not the proxy, are the limit.
"""

from __future__ import annotations

import itertools
import re
import socket
import threading
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import hiredis
from traffic_models import (
    ALL_SLOTS,
    Counter,
    Judge,
    Log,
    Model,
    Register,
    Spread,
    Standing,
    is_unknown,
    keys_in,
)

from proxy.embedded import wait_for
from proxy.resp.decode import ReplyReader, Value
from proxy.resp.encode import encode_command

ANSWER_DEADLINE_S = 60.0  # longer than any patience of the proxy: a reply that never comes
PROGRESS_DEADLINE_S = 40.0
WRONG_KEPT = 10
OUTCOME_UNKNOWN = "IOERR outcome unknown"

# Replication is asynchronous: a server that crashes takes writes with it that it has
# acknowledged and not yet sent to its replica. It sends to both in the same turn.
REPLICATION_LAG_S = 0.1  # chosen: a turn takes a thousandth of it
# What a client reads later than this after a crash was not acknowledged by the dead server.
# Chosen: less than the cluster takes to notice the crash.
CRASH_IS_OVER_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client is like."""

    depth: int = 1
    """Requests on their way at a time: a new one is sent when a reply has come."""
    resp: int = 2
    """Protocol version."""
    slots: Container[int] = field(default=ALL_SLOTS, repr=False)
    """Where its keys lie."""


class Client:
    """One client; ``run`` is the body of its thread, the rest may be read meanwhile."""

    def __init__(self, port: int, name: str, plan: Plan) -> None:
        self.plan = plan
        self.name = name
        self.replies = 0
        self.errors: Tally[str] = Tally()
        self.unknown_writes = 0
        self.wrong: list[str] = []
        self._port = port
        self._longest_wait_s = 0.0
        self._waiting_since: float | None = None
        self._open: deque[tuple[bytes, Judge, float]] = deque()
        self._crashed_at: float | None = None
        keys = keys_in(plan.slots, name.encode())
        self.counters = [Counter(next(keys)) for _ in range(3)]
        self._models: list[Model] = [
            *self.counters,
            Log(f"{name}:log".encode(), plan.slots),
            Register(next(keys)),
            Spread([next(keys) for _ in range(5)]),
            Standing(next(keys)),
        ]
        self.keys = [*itertools.islice(keys_in(plan.slots, name.encode()), 10)]

    @property
    def longest_wait_s(self) -> float:
        """The longest time from a request to its reply, one that still waits included."""
        since = self._waiting_since
        waiting_s = time.monotonic() - since if since is not None else 0.0
        return max(self._longest_wait_s, waiting_s)

    def forget_waits(self) -> None:
        """Begin to measure anew."""
        self._longest_wait_s = 0.0

    def expect_a_crash(self) -> None:
        """Say that a server is about to crash, with what it has just acknowledged."""
        self._crashed_at = time.monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Send and check until ``stopping``, then look at everything once more.

        Raises:
            AssertionError: The connection ended.
            TimeoutError: A reply did not come.
        """
        address = ("127.0.0.1", self._port)
        with socket.create_connection(address, ANSWER_DEADLINE_S) as connection:
            self._reader = ReplyReader()
            if self.plan.resp == 3:
                connection.sendall(encode_command("HELLO", 3))
                self._read(connection)
            self._exchange(connection, self._mixed_until(stopping))
            for model in self._models:
                self._exchange(connection, model.last_look())

    def _mixed_until(self, stopping: threading.Event) -> Iterator[tuple[bytes, Judge]]:
        turns = itertools.cycle([model.requests() for model in self._models])
        while not stopping.is_set():
            yield next(next(turns))

    def _exchange(self, connection: socket.socket, requests: Iterator[tuple[bytes, Judge]]) -> None:
        """Keep ``depth`` requests on their way until there are no more, and check all replies."""
        while True:
            now = time.monotonic()
            fresh = list(itertools.islice(requests, self.plan.depth - len(self._open)))
            self._open.extend((frame, judge, now) for frame, judge in fresh)
            connection.sendall(b"".join(frame for frame, _ in fresh))
            self._waiting_since = self._open[0][2] if self._open else None
            if not self._open:
                return
            for reply in self._read(connection):
                self._check(reply)

    def _check(self, reply: Value) -> None:
        frame, judge, sent_at = self._open.popleft()
        now = time.monotonic()
        self._longest_wait_s = max(self._longest_wait_s, now - sent_at)
        if self._crashed_at is not None and now > self._crashed_at + CRASH_IS_OVER_S:
            for model in self._models:
                model.doubt_since(self._crashed_at - REPLICATION_LAG_S)
            self._crashed_at = None
        if isinstance(reply, hiredis.ReplyError):
            self.errors[kind_of(frame, str(reply))] += 1
            self.unknown_writes += is_unknown(reply)
        finding = judge(reply)
        if finding is not None and len(self.wrong) < WRONG_KEPT:
            self.wrong.append(f"{self.name}: {finding}")
        self.replies += 1

    def _read(self, connection: socket.socket) -> list[Value]:
        """Return the replies that have come, at least one."""
        while True:
            data = connection.recv(65536)
            assert data, f"{self.name}: the proxy closed the connection"
            replies = self._reader.feed(data)
            if replies:
                return replies


def kind_of(frame: bytes, error: str) -> str:
    """Return the command and the beginning of an error, with the numbers taken out."""
    command = frame.split(b"\r\n")[2].decode()
    return f"{command}: " + re.sub(r"\d+", "#", error)[:150]


DEFAULT_PLANS = (Plan(1), Plan(1, resp=3), Plan(8), Plan(32), Plan(100), Plan(32, resp=3))


class Traffic:
    """Several clients at once; a context manager: at its end all are joined and have looked."""

    def __init__(self, port: int, plans: Sequence[Plan] = DEFAULT_PLANS, name: str = "t") -> None:
        self.clients = [Client(port, f"{name}{number}", plan) for number, plan in enumerate(plans)]
        self._stopping = threading.Event()
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._threads = ThreadPoolExecutor(len(self.clients))
        self._futures = [
            self._threads.submit(client.run, self._stopping) for client in self.clients
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._threads.shutdown()
        if kind is None:
            for future in self._futures:
                future.result()

    def wait_for_progress(
        self, replies: int = 300, deadline_s: float = PROGRESS_DEADLINE_S
    ) -> None:
        """Wait until every client has got so many more replies."""
        goals = [client.replies + replies for client in self.clients]

        def is_reached() -> bool:
            for future in self._futures:
                if future.done():
                    future.result()
            return all(
                client.replies >= goal for client, goal in zip(self.clients, goals, strict=True)
            )

        wait_for(is_reached, deadline_s, lambda: f"progress of all: {self}")

    def expect_a_crash(self) -> None:
        """Say that a server is about to crash, with what it has just acknowledged."""
        for client in self.clients:
            client.expect_a_crash()

    def forget_waits(self) -> None:
        """Begin to measure the waits anew."""
        for client in self.clients:
            client.forget_waits()

    @property
    def errors(self) -> Tally[str]:
        """All errors, by kind."""
        return sum((client.errors for client in self.clients), Tally())

    @property
    def wrong(self) -> list[str]:
        """All findings: replies that cannot be, and values that should not be there."""
        return [finding for client in self.clients for finding in client.wrong]

    def __repr__(self) -> str:
        return "; ".join(
            f"{client.name} {client.plan}: {client.replies} replies, "
            f"longest wait {client.longest_wait_s:.2f} s, errors {dict(client.errors)}"
            for client in self.clients
        )
