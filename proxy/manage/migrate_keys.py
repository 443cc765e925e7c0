"""Copy the keys of open slots to another node with MIGRATE, many at a time.

Strategy: MIGRATE blocks both servers while it runs, so that the number of keys that go out
together follows the time that the last ones took, and their bytes are bounded: few
clients wait longer than ``CALL_GOAL_S``. A big key goes alone, with time, and is told by
name. What fails is tried again key by key, with more time and REPLACE.

Cost: 0.3 s for 10,000 small keys (2 cores, loopback); asking for their sizes is a tenth of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from proxy.cluster.addresses import Address
from proxy.manage.errors import ManageError, NodeRefused, NodeUnreachable
from proxy.manage.links import Command, Links, Word

FIRST_COUNT, FEWEST, MOST = 50, 1, 500  # keys that go out together
CALL_GOAL_S = 0.010  # chosen: a pause that few clients notice
ASKED_SLOTS = 50  # GETKEYSINSLOT in one pipeline
TIMEOUT_MS = 5_000
PATIENT_TIMEOUT_MS = 120_000  # chosen: a value of some GiB takes that long to be restored
BIG_BYTES = 1024 * 1024  # from here on a key goes alone; 1 MiB takes some milliseconds

# The answer is late, or the target has the key already, of an attempt that was cut off:
# ``ERR Target instance replied with error: BUSYKEY ...``.
_AGAIN = ("IOERR", "BUSYKEY")


@dataclass(frozen=True, slots=True)
class BigKey:
    """A key that went alone, because it blocks its servers for a while."""

    key: bytes
    bytes: int
    """In memory, as the server estimates it."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Part:
    """Keys of one slot that go in one MIGRATE (a server refuses two slots), and their bytes."""

    keys: tuple[bytes, ...]
    bytes: int


@dataclass
class Tally:
    """What has been moved; shared by all workers of one plan."""

    keys: int = 0
    big_keys: list[BigKey] = field(default_factory=list)


class KeyMover:
    """Moves the keys of slots from one node to another."""

    def __init__(
        self,
        links: Links,
        source: Address,
        target: Address,
        *,
        tally: Tally,
        on_keys: Callable[[int], None],
    ) -> None:
        """Describe the road; nothing moves yet.

        Args:
            links: To the nodes; also who we are to the target, for the source logs in there.
            source: Where it is asked, from here.
            target: Where the source reaches the target: its announced address.
            tally: What is moved is counted there.
            on_keys: Told after each call how many keys went; may wait (throttle), and what it
                raises ends the work there.
        """
        self._link = links[source]
        self._target = target
        self._login = _auth_words(links)
        self._tally = tally
        self._on_keys = on_keys
        self._count = FIRST_COUNT

    def move(self, slots: Sequence[int]) -> None:
        """Move all keys of slots that are marked on both sides.

        Raises:
            ManageError: A node refused or went away; the keys are where they are, none is lost.
        """
        left = list(slots)
        while left:
            asked = left[:ASKED_SLOTS]
            answers = self._link.call_many(
                [("CLUSTER", "GETKEYSINSLOT", slot, self._count) for slot in asked]
            )
            for group in self._groups(self._parts(answers)):
                self._send(group)
                count = sum(len(part.keys) for part in group)
                self._tally.keys += count
                self._on_keys(count)
            done = {slot for slot, found in zip(asked, answers, strict=True) if not found}
            left = [slot for slot in left if slot not in done]

    def _parts(self, answers: Sequence[Sequence[bytes]]) -> Iterator[Part]:
        """Yield the keys of each slot, in parts that are neither too many nor too big."""
        sizes = self._sizes([key for keys in answers for key in keys])
        for keys in answers:
            waiting: list[bytes] = []
            total = 0
            for key in keys:
                if waiting and total + sizes[key] > BIG_BYTES:
                    yield Part(tuple(waiting), total)
                    waiting, total = [], 0
                waiting.append(key)
                total += sizes[key]
            if waiting:
                yield Part(tuple(waiting), total)

    def _sizes(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return the bytes of keys; 0 for what has expired, or if we may not ask."""
        replies = self._link.call_each([("MEMORY", "USAGE", key) for key in keys]) if keys else []
        return {
            key: reply if isinstance(reply, int) else 0
            for key, reply in zip(keys, replies, strict=True)
        }

    def _groups(self, parts: Iterator[Part]) -> Iterator[list[Part]]:
        """Yield what goes out together: at most ``_count`` keys, and bytes for one big key."""
        group: list[Part] = []
        for part in parts:
            keys = sum(len(each.keys) for each in group) + len(part.keys)
            size = sum(each.bytes for each in group) + part.bytes
            if group and (keys > self._count or size > BIG_BYTES):
                yield group
                group = []
            group.append(part)
        if group:
            yield group

    def _send(self, group: Sequence[Part]) -> None:
        started = time.monotonic()
        is_big = group[0].bytes >= BIG_BYTES
        timeout_ms = PATIENT_TIMEOUT_MS if is_big else TIMEOUT_MS
        commands = [self._migrate(part.keys, timeout_ms) for part in group]
        try:
            replies = self._link.call_each(commands, timeout_s=_patience_s(timeout_ms))
        except NodeUnreachable as problem:
            replies = [problem] * len(group)
        for part, reply in zip(group, replies, strict=True):
            if isinstance(reply, NodeRefused) and not any(code in reply.words for code in _AGAIN):
                raise reply
            if isinstance(reply, ManageError):
                self._send_again(part.keys)
        took_s = time.monotonic() - started
        if is_big:
            self._tally.big_keys.append(BigKey(group[0].keys[0], group[0].bytes, took_s))
        else:
            self._adapt(sum(len(part.keys) for part in group), took_s)

    def _send_again(self, keys: Sequence[bytes]) -> None:
        """Move keys one by one, over what an attempt that was cut off has left there.

        A key that is still here is the one that clients have used meanwhile.
        """
        for key in keys:
            command = self._migrate([key], PATIENT_TIMEOUT_MS, "REPLACE")
            self._link.call(*command, timeout_s=_patience_s(PATIENT_TIMEOUT_MS))

    def _migrate(self, keys: Sequence[bytes], timeout_ms: int, *options: Word) -> Command:
        host, port = self._target.host, self._target.port
        words = ("MIGRATE", host, port, "", 0, timeout_ms, *options, *self._login)
        return (*words, "KEYS", *keys)

    def _adapt(self, count: int, took_s: float) -> None:
        if took_s > CALL_GOAL_S:
            self._count = max(FEWEST, count // 2)
        elif count >= self._count and took_s < CALL_GOAL_S / 2:
            self._count = min(MOST, 2 * count)


def _patience_s(timeout_ms: int) -> float:
    """Return how long to wait for a MIGRATE: its own timeout is for a silence in between."""
    return 3 * timeout_ms / 1000


def _auth_words(links: Links) -> tuple[Word, ...]:
    login = links.login
    if not login.password:
        return ()
    if not login.username:
        return ("AUTH", login.password)
    return ("AUTH2", login.username, login.password)


def check_single_database(link_address: Address, databases: Sequence[str]) -> None:
    """Refuse to move keys of other databases than 0 with MIGRATE.

    Raises:
        ManageError: There are some.
    """
    others = [name for name in databases if name != "db0"]
    if others:
        raise ManageError(
            f"{link_address} has keys in {', '.join(others)}: only atomic slot migration "
            "(Valkey 9) moves the slots of several databases"
        )
