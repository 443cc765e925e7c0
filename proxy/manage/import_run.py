"""Bring the data of a standalone server into the cluster: while it is in use, and verified.

Strategy: passes. Each scans the whole server and takes each key as the bytes of DUMP; what
differs from the pass before is restored in the cluster (RESTORE with REPLACE), what has gone
is deleted. A pass that finds nothing new is the proof: once the application has stopped
writing, the cluster has what the server has. Only a digest of each key is kept.

Cost: a DUMP and a PTTL a key and pass, a RESTORE a changed key; 150 bytes of memory a key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from proxy.cluster.addresses import Address
from proxy.cluster.facts import parse_pairs
from proxy.cluster.slots import key_slot
from proxy.manage.errors import CannotPlan, Interrupted, ManageError, NodeRefused
from proxy.manage.links import Command, Links, Reply, Word
from proxy.manage.migrate_run import Stop
from proxy.manage.patience import wait_until_none
from proxy.manage.progress import OnProgress, Progress, ignore
from proxy.manage.view import View
from proxy.manage.words import counted

SCANNED = 200  # keys in one pipeline
READ_BYTES = 16 * 1024 * 1024  # of values in one pipeline
PATIENCE_S = 120.0  # chosen: a value of some GiB takes that long
# An expiry that comes out later or earlier by this is the same one, read a moment later.
TTL_ROUNDING_MS = 1_000

_ON_THE_MOVE = frozenset({"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"})


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What there is to bring."""

    source: Address
    keys: int


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """What was brought."""

    keys: int
    """That the server has, at the last pass."""
    restored: int
    deleted: int
    """That had gone from the server since an earlier pass."""
    passes: int
    is_verified: bool
    """The last pass found nothing new, and the cluster has every key."""
    others: int
    """Keys of the cluster that the server has not: from before, or deleted there since an import
    that was cut off."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as it was at the last pass."""

    digest: bytes
    expires_at_ms: int
    """On the server's clock; 0 for never."""


def plan_import(links: Links, source: Address, *, replace: bool, view: View) -> ImportPlan:
    """Return what there is to bring.

    Raises:
        CannotPlan: The server is a cluster's node, has keys in other databases than 0, or the
            cluster has keys already and they are not to be replaced.
        ManageError: The server does not answer.
    """
    facts = parse_pairs(links[source].call("INFO"))
    problems = []
    if facts.get("cluster_enabled") == "1":
        problems.append(f"{source} is a cluster's node, not a standalone server")
    databases = [name for name in facts if name.startswith("db") and name[2:].isdigit()]
    if set(databases) - {"db0"}:
        problems.append(f"{source} has keys in {', '.join(databases)}; a cluster has only db0")
    there = sum(report.keys for report in view.primaries)
    if there and not replace:
        problems.append(
            f"the cluster has {counted(there, 'key')} already, and equal names would be replaced: "
            "with --replace they are"
        )
    if problems:
        raise CannotPlan(problems)
    return ImportPlan(source, links[source].call("DBSIZE"))


def import_keys(
    source_links: Links,
    links: Links,
    source: Address,
    look_again: Callable[[], View],
    on_progress: OnProgress = ignore,
    *,
    passes: int,
    stop: Stop | None = None,
) -> ImportOutcome:
    """Bring all keys, pass by pass, until a pass finds nothing new.

    Args:
        source_links: To the server.
        links: To the cluster's nodes.
        source: The server.
        look_again: Returns what all nodes say now.
        on_progress: Told before each batch.
        passes: At most so many; at least 2 to be verified.
        stop: Set it to end after the batch in flight.

    Raises:
        Interrupted: It was asked to stop; what has been brought stays.
        ManageError: The server or a node refused or went away. Run again, it starts anew.
    """
    run = _Import(source_links, links, source, look_again, on_progress, stop or Stop())
    number = 0
    while number < passes:
        number += 1
        changes = run.one_pass(number)
        if number > 1 and not changes:
            return run.outcome(number, is_verified=not run.absent())
    return run.outcome(number, is_verified=False)


class _Import:
    def __init__(
        self,
        source_links: Links,
        links: Links,
        source: Address,
        look_again: Callable[[], View],
        on_progress: OnProgress,
        stop: Stop,
    ) -> None:
        self._source = source_links[source]
        self._links = links
        self._look_again = look_again
        self._view = look_again()
        self._on_progress = on_progress
        self._stop = stop
        self._known: dict[bytes, _Known] = {}
        self._restored = 0
        self._deleted = 0

    def outcome(self, passes: int, *, is_verified: bool) -> ImportOutcome:
        keys = len(self._known)
        there = sum(report.keys for report in self._look_again().primaries)
        return ImportOutcome(
            keys, self._restored, self._deleted, passes, is_verified, max(0, there - keys)
        )

    def one_pass(self, number: int) -> int:
        """Bring what has changed since the last pass, and return how many keys that were."""
        seen: set[bytes] = set()
        changes = 0
        total: int = self._source.call("DBSIZE")
        for keys in self._scan():
            self._on_progress(Progress(f"pass {number}", len(seen), total, self._restored))
            fresh = [key for key in dict.fromkeys(keys) if key not in seen]
            seen.update(fresh)
            for group in self._groups(fresh):
                changes += self._bring(group)
        gone = [key for key in self._known if key not in seen]
        for start in range(0, len(gone), SCANNED):
            changes += self._bring(gone[start : start + SCANNED])
        return changes

    def _scan(self) -> Iterator[list[bytes]]:
        cursor = b"0"
        while True:
            if self._stop.is_set:
                raise Interrupted(f"{self._restored} keys are brought, not all")
            cursor, keys = self._source.call("SCAN", cursor, "COUNT", SCANNED)
            yield keys
            if cursor == b"0":
                return

    def _groups(self, keys: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Yield the keys so that what is read at once has a bounded size, or is one big key."""
        sizes = self._source.call_each([("MEMORY", "USAGE", key) for key in keys]) if keys else []
        group: list[bytes] = []
        total = 0
        for key, size in zip(keys, sizes, strict=True):
            weight = size if isinstance(size, int) else 0
            if group and total + weight > READ_BYTES:
                yield group
                group, total = [], 0
            group.append(key)
            total += weight
        if group:
            yield group

    def _bring(self, keys: Sequence[bytes]) -> int:
        """Make the cluster have these keys as the server has them now."""
        questions: list[Command] = []
        for key in keys:
            questions += [("DUMP", key), ("PTTL", key)]
        # The time between, so that a TTL becomes a moment.
        replies = self._source.call_many([*questions, ("TIME",)], timeout_s=PATIENCE_S)
        seconds, micros = (int(part) for part in replies.pop())
        now_ms = seconds * 1000 + micros // 1000
        read_at_s = time.monotonic()
        commands: dict[bytes, Callable[[], Command]] = {}
        for key, dump, ttl_ms in zip(keys, replies[::2], replies[1::2], strict=True):
            if dump is None:
                if self._known.pop(key, None) is not None:
                    commands[key] = partial(_command, "DEL", key)
                    self._deleted += 1
                continue
            expires = now_ms + ttl_ms if ttl_ms >= 0 else 0
            fresh = _Known(hashlib.blake2b(dump, digest_size=16).digest(), expires)
            if not _is_same(self._known.get(key), fresh):
                commands[key] = partial(_restore, key, dump, ttl_ms, read_at_s)
                self._restored += 1
            self._known[key] = fresh
        self._send(commands)
        return len(commands)

    def absent(self) -> int:
        """Return how many keys the cluster lacks that were brought and have not expired."""
        clock_ms = int(self._source.call("TIME")[0]) * 1000
        keys = list(self._known)
        count = 0
        for start in range(0, len(keys), SCANNED):
            asked = {
                key: partial(_command, "EXISTS", key)
                for key in keys[start : start + SCANNED]
                if not 0 < self._known[key].expires_at_ms < clock_ms + TTL_ROUNDING_MS
            }
            count += sum(not reply for reply in self._send(asked).values())
        return count

    def _send(self, commands: Mapping[bytes, Callable[[], Command]]) -> dict[bytes, Reply]:
        """Send commands to the owners of their keys, wherever those are, and return the replies.

        Each is made when it is sent: it may be sent again much later, while its slot moves.
        """
        left = dict(commands)
        found: dict[bytes, Reply] = {}

        def unsent() -> str | None:
            by_node: dict[Address, list[bytes]] = {}
            for key in left:
                by_node.setdefault(self._owner(key), []).append(key)
            for address, keys in by_node.items():
                replies = self._links[address].call_each(
                    [left[key]() for key in keys], timeout_s=PATIENCE_S
                )
                for key, reply in zip(keys, replies, strict=True):
                    if isinstance(reply, NodeRefused) and reply.code not in _ON_THE_MOVE:
                        raise _explained(reply)
                    if not isinstance(reply, NodeRefused):
                        found[key] = reply
                        del left[key]
            if not left:
                return None
            self._view = self._look_again()
            return f"{len(left)} keys are in slots that move"

        wait_until_none(unsent)
        return found

    def _owner(self, key: bytes) -> Address:
        owner = self._view.topology.owner(key_slot(key))
        if owner is None or owner.id not in self._view.by_id:
            raise ManageError(f"slot {key_slot(key)} has no owner that answers")
        return self._view.by_id[owner.id].address


def _command(*words: Word) -> Command:
    return words


def _restore(key: bytes, dump: bytes, ttl_ms: int, read_at_s: float) -> Command:
    """Return the command that makes a key, with what is left of its TTL by now."""
    passed_ms = int(1000 * (time.monotonic() - read_at_s))
    # To RESTORE 0 is no TTL at all; to PTTL it was less than a millisecond.
    left_ms = 0 if ttl_ms < 0 else max(1, ttl_ms - passed_ms)
    return ("RESTORE", key, left_ms, dump, "REPLACE")


def _explained(refusal: NodeRefused) -> ManageError:
    if "payload version" in refusal.words:
        return ManageError(
            f"{refusal.address} cannot read what this server's DUMP writes: "
            "the server is newer than the cluster, or of the other engine"
        )
    return refusal


def _is_same(before: _Known | None, now: _Known) -> bool:
    if before is None or before.digest != now.digest:
        return False
    if not before.expires_at_ms or not now.expires_at_ms:
        return before.expires_at_ms == now.expires_at_ms
    return abs(before.expires_at_ms - now.expires_at_ms) < TTL_ROUNDING_MS
