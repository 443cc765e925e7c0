"""What the replies to a client's commands may be, and what its keys may hold.

Strategy: a model owns its keys, so the reply to each of its commands follows from
those before it. An error whose outcome is unknown widens what the model accepts, and
so does a crash, for what was acknowledged just before it; nothing else does. Values
are unique, so a reply that belongs to another request, or comes in another order, is
not taken for the right one.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence

import hiredis

from proxy.cluster.slots import SLOT_COUNT, key_slot
from proxy.resp.decode import Value
from proxy.resp.encode import encode_command

RECORD_BYTES = 8
LOG_RECORDS = 1000  # then a new key, or the final look at it would be long
RECENT = 10_000  # acknowledged writes that can be doubted: more than a second's

ALL_SLOTS = range(SLOT_COUNT)
Judge = Callable[[Value], str | None]
"""Takes the reply to one request and returns what is wrong with it, if anything."""


def is_unknown(reply: Value) -> bool:
    """Whether the command may have run or not."""
    return isinstance(reply, hiredis.ReplyError) and "outcome unknown" in str(reply)


class Model(ABC):
    """A few keys, and what the server may hold there."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Callable[[], None]]] = deque(maxlen=RECENT)

    @abstractmethod
    def requests(self) -> Iterator[tuple[bytes, Judge]]:
        """Return frames without end, each with the judge of its reply."""

    @abstractmethod
    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        """Return frames that read everything, when nothing is on its way any more."""

    def acknowledge(self, doubt: Callable[[], None]) -> None:
        """Note a write that has run; ``doubt`` makes it one that may have run."""
        self._recent.append((time.monotonic(), doubt))

    def doubt_since(self, monotonic_s: float) -> None:
        """Take what was acknowledged since then for unknown: its server has crashed."""
        for acknowledged_s, doubt in self._recent:
            if acknowledged_s >= monotonic_s:
                doubt()
        self._recent.clear()


class Counter(Model):
    """Only INCR changes this key: its value is what was acknowledged, and what may have run."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
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
        self.acknowledge(self._doubt)
        return None

    def _doubt(self) -> None:
        self.acknowledged -= 1
        self.unknown += 1
        self._last = self.acknowledged

    def _at_the_end(self, reply: Value) -> str | None:
        low, high = self.acknowledged, self.acknowledged + self.unknown
        if isinstance(reply, bytes | None) and low <= int(reply or 0) <= high:
            return None
        return f"{self.key!r} holds {reply!r}, not {low}..{high}"


class Log(Model):
    """Only APPEND changes these keys, with numbered records: their order is that of the effects."""

    def __init__(self, key: bytes, slots: Container[int]) -> None:
        super().__init__()
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
                yield (
                    encode_command("APPEND", key, record),
                    self._after_append(key, number, acknowledged, unknown),
                )

    def last_look(self) -> Iterator[tuple[bytes, Judge]]:
        for key, acknowledged, unknown in self._books:
            yield encode_command("GET", key), _whole_log(key, acknowledged, unknown)

    def _after_append(
        self, key: bytes, number: int, acknowledged: list[int], unknown: set[int]
    ) -> Judge:
        def doubt() -> None:
            acknowledged.remove(number)
            unknown.add(number)

        def judge(reply: Value) -> str | None:
            if isinstance(reply, hiredis.ReplyError):
                if is_unknown(reply):
                    unknown.add(number)
                return None
            acknowledged.append(number)
            self.acknowledge(doubt)
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


class Register(Model):
    """SET and GET of one key, in turns."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
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
            self.replace(value, self)
            return None if reply == b"OK" else f"SET {self.key!r}: {reply!r}"

        return judge

    def replace(self, value: bytes, model: Model) -> None:
        """Note that ``model`` has set the key."""
        before, self.possible = self.possible, {value}
        model.acknowledge(lambda: self.possible.update(before))


class Spread(Model):
    """MSET and MGET over keys in several slots, in turns."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        super().__init__()
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
                    register.replace(value, self)
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


class Standing(Model):
    """A key that is written once and then only read: no fault is an excuse for an error."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
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
