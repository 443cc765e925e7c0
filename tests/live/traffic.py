"""Clients that know what every reply must be, for tests in which something breaks meanwhile.

Strategy: each client is a thread with a raw socket, so that nothing is retried or
converted on the way, and owns its keys, so that the reply to every command follows
from the commands before it. What a reply may be is kept by five models (``Counter``,
``Log``, ``Register``, ``Spread``, ``Standing``); an error whose outcome is unknown widens it, and
nothing else does. Values are unique, so a reply that belongs to another request, or
comes in another order, is not taken for the right one.

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
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import hiredis

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.embedded import wait_for
from proxy.resp.decode import ReplyReader, Value
from proxy.resp.encode import encode_command

ANSWER_DEADLINE_S = 60.0  # longer than any patience of the proxy: a reply that never comes
PROGRESS_DEADLINE_S = 40.0
RECORD_BYTES = 8
LOG_RECORDS = 1000  # then a new key, or the final look at it would be long
WRONG_KEPT = 10
OUTCOME_UNKNOWN = "IOERR outcome unknown"

ALL_SLOTS = range(SLOT_COUNT)
Judge = Callable[[Value], str | None]
"""Takes the reply to one request and returns what is wrong with it, if anything."""


def is_unknown(reply: Value) -> bool:
    """Whether the command may have run or not."""
    return isinstance(reply, hiredis.ReplyError) and "outcome unknown" in str(reply)


class Model(Protocol):
    """A few keys, and what the server may hold there."""

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        """Return frames without end, each with the judge of its reply."""

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        """Return frames that read everything, when nothing is on its way any more."""


class Counter:
    """Only INCR changes this key: its value is what was acknowledged, and what may have run."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.acknowledged = 0
        self.unknown = 0
        self._last = 0

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        frame = encode_command("INCR", self.key)
        while True:
            yield frame, self._after_incr

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        yield encode_command("GET", self.key), self._at_the_end

    def _after_incr(self, reply: Value) -> str | None:
        if isinstance(reply, hiredis.ReplyError):
            self.unknown += is_unknown(reply)
            return None
        # All acknowledged ones ran before it, and of the unknown ones any.
        low = max(self._last, self.acknowledged) + 1
        high = self.acknowledged + self.unknown + 1
        self.acknowledged += 1
        if not isinstance(reply, int) or not low <= reply <= high:
            return f"INCR {self.key!r}: {reply!r}, not {low}..{high}"
        self._last = reply
        return None

    def _at_the_end(self, reply: Value) -> str | None:
        low, high = self.acknowledged, self.acknowledged + self.unknown
        if isinstance(reply, bytes | None) and low <= int(reply or 0) <= high:
            return None
        return f"{self.key!r} holds {reply!r}, not {low}..{high}"


class Log:
    """Only APPEND changes these keys, with numbered records: their order is that of the effects."""

    def __init__(self, key: bytes, slots: Container[int]) -> None:
        self._keys = keys_in(slots, key)
        self._numbers = itertools.count()
        self._books: list[tuple[bytes, list[int], set[int]]] = []

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        while True:
            key = next(self._keys)
            acknowledged: list[int] = []
            unknown: set[int] = set()
            self._books.append((key, acknowledged, unknown))
            for number in itertools.islice(self._numbers, LOG_RECORDS):
                record = b"%0*d" % (RECORD_BYTES, number)
                yield encode_command("APPEND", key, record), _after_append(
                    key, number, acknowledged, unknown
                )

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        for key, acknowledged, unknown in self._books:
            yield encode_command("GET", key), _whole_log(key, acknowledged, unknown)


def _after_append(key: bytes, number: int, acknowledged: list[int], unknown: set[int]) -> Judge:
    def judge(reply: Value) -> str | None:
        if isinstance(reply, hiredis.ReplyError):
            if is_unknown(reply):
                unknown.add(number)
            return None
        acknowledged.append(number)
        low = len(acknowledged)
        if isinstance(reply, int) and low <= reply / RECORD_BYTES <= low + len(unknown):
            return None
        return f"APPEND {key!r}: {reply!r} bytes, not {low} to {low + len(unknown)} records"

    return judge


def _whole_log(key: bytes, acknowledged: list[int], unknown: set[int]) -> Judge:
    def judge(reply: Value) -> str | None:
        if not isinstance(reply, bytes | None):
            return f"{key!r} cannot be read: {reply!r}"
        text = reply or b""
        found = [int(text[at : at + RECORD_BYTES]) for at in range(0, len(text), RECORD_BYTES)]
        if found != sorted(set(found)):
            return f"{key!r}: records twice or in another order than they were sent"
        missing = set(acknowledged) - set(found)
        foreign = set(found) - set(acknowledged) - unknown
        if missing or foreign:
            return f"{key!r}: lacks {sorted(missing)[:5]}, should not have {sorted(foreign)[:5]}"
        return None

    return judge


class Register:
    """SET and GET of one key, in turns."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.possible: set[bytes | None] = {None}
        self._numbers = itertools.count()

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        get = encode_command("GET", self.key)
        for number in self._numbers:
            value = b"%b=%d" % (self.key, number)
            yield encode_command("SET", self.key, value), self._after_set(value)
            yield get, self.after_read

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        yield encode_command("GET", self.key), self.after_read

    def after_read(self, reply: Value) -> str | None:
        """Judge a value that was read; an error says nothing about it."""
        if isinstance(reply, hiredis.ReplyError):
            return None
        if not isinstance(reply, bytes | None) or reply not in self.possible:
            return f"{self.key!r} holds {reply!r}, not one of {self.possible!r}"
        self.possible = {reply}
        return None

    def _after_set(self, value: bytes) -> Judge:
        def judge(reply: Value) -> str | None:
            if isinstance(reply, hiredis.ReplyError):
                if is_unknown(reply):
                    self.possible.add(value)
                return None
            self.possible = {value}
            return None if reply == b"OK" else f"SET {self.key!r}: {reply!r}"

        return judge


class Spread:
    """MSET and MGET over keys in several slots, in turns."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._registers = [Register(key) for key in keys]
        self._numbers = itertools.count()

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        get = encode_command("MGET", *(register.key for register in self._registers))
        for number in self._numbers:
            value = b"all=%d" % number
            words = [word for register in self._registers for word in (register.key, value)]
            yield encode_command("MSET", *words), self._after_set(value)
            yield get, self._after_get

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        for register in self._registers:
            yield from register.last_look()

    def _after_set(self, value: bytes) -> Judge:
        def judge(reply: Value) -> str | None:
            for register in self._registers:
                if isinstance(reply, hiredis.ReplyError):
                    register.possible.add(value)  # this part may have been one that ran
                else:
                    register.possible = {value}
            is_expected = isinstance(reply, hiredis.ReplyError) or reply == b"OK"
            return None if is_expected else f"MSET: {reply!r}"

        return judge

    def _after_get(self, reply: Value) -> str | None:
        if isinstance(reply, hiredis.ReplyError):
            return None
        if not isinstance(reply, list) or len(reply) != len(self._registers):
            return f"MGET: {reply!r}"
        findings = [
            register.after_read(value)
            for register, value in zip(self._registers, reply, strict=True)
        ]
        return next(filter(None, findings), None)


class Standing:
    """A key that is written once and then only read: no fault is an excuse for an error."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._value = b"standing=%b" % key

    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        yield encode_command("SET", self.key, self._value), self._after_set
        while True:
            yield from self.last_look()

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        yield encode_command("GET", self.key), self._after_get

    def _after_set(self, reply: Value) -> str | None:
        return None if reply == b"OK" else f"SET {self.key!r}: {reply!r}"

    def _after_get(self, reply: Value) -> str | None:
        return None if reply == self._value else f"{self.key!r} holds {reply!r}"


def keys_in(slots: Container[int], prefix: bytes) -> Iterator[bytes]:
    """Return keys without end that lie in these slots."""
    candidates = (b"%b:%d" % (prefix, number) for number in itertools.count())
    return (key for key in candidates if key_slot(key) in slots)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one client is like."""

    depth: int = 1
    """Requests sent before the first reply is read."""
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
        """The longest time for one batch, one that still waits included."""
        since = self._waiting_since
        waiting_s = time.monotonic() - since if since is not None else 0.0
        return max(self._longest_wait_s, waiting_s)

    def forget_waits(self) -> None:
        """Begin to measure anew."""
        self._longest_wait_s = 0.0

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
                self._read(connection, 1)
            turns = itertools.cycle([model.requests() for model in self._models])
            while not stopping.is_set():
                self._exchange(connection, [next(next(turns)) for _ in range(self.plan.depth)])
            for model in self._models:
                self._exchange(connection, list(model.last_look()))

    def _exchange(self, connection: socket.socket, batch: list[tuple[bytes, Judge]]) -> None:
        self._waiting_since = started = time.monotonic()
        connection.sendall(b"".join(frame for frame, _ in batch))
        replies = self._read(connection, len(batch))
        self._longest_wait_s = max(self._longest_wait_s, time.monotonic() - started)
        self._waiting_since = None
        for (frame, judge), reply in zip(batch, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                self.errors[kind_of(frame, str(reply))] += 1
                self.unknown_writes += is_unknown(reply)
            finding = judge(reply)
            if finding is not None and len(self.wrong) < WRONG_KEPT:
                self.wrong.append(f"{self.name}: {finding}")
        self.replies += len(replies)

    def _read(self, connection: socket.socket, count: int) -> list[Value]:
        replies: list[Value] = []
        while len(replies) < count:
            data = connection.recv(65536)
            assert data, f"{self.name}: the proxy closed the connection"
            replies += self._reader.feed(data)
        return replies


def kind_of(frame: bytes, error: str) -> str:
    """Return the command and the beginning of an error, with the numbers taken out."""
    command = frame.split(b"\r\n")[2].decode()
    return f"{command}: " + re.sub(r"\d+", "#", error)[:150]


DEFAULT_PLANS = (Plan(1), Plan(1, resp=3), Plan(8), Plan(32), Plan(100), Plan(32, resp=3))


class Traffic:
    """Several clients at once; a context manager: at its end all are joined and have looked."""

    def __init__(self, port: int, plans: Sequence[Plan] = DEFAULT_PLANS, name: str = "t") -> None:
        self.clients = [
            Client(port, f"{name}{number}", plan) for number, plan in enumerate(plans)
        ]
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

    def wait_for_progress(self, replies: int = 300, deadline_s: float = PROGRESS_DEADLINE_S) -> None:
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
