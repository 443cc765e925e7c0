"""What a client has queued since MULTI, and what a server would say to each of it.

Strategy: nothing is sent before EXEC, so all that a server checks when it queues
a command, and that the command table knows, is checked here; a command that
fails makes the transaction *dirty*, and EXEC will refuse it. What is kept of a
command is its parts, ready to be sent: one, or with "split" one for each slot.

Cost: about 5 us a command (CPython 3.11), its bytes, and some small objects for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from proxy.commands.spec import CommandSpec, Road
from proxy.control.scripts import RUN_BY_SHA, ScriptBook
from proxy.dataplane.memory import Holding
from proxy.resp import replies_transactions as say
from proxy.resp.replies_limits import too_wide
from proxy.sessions.transaction_split import CannotSplit, Part, split_by_slot

# What a queued command and each of its arguments cost beside their bytes: the objects
# they are kept in. By tracemalloc, CPython 3.11: SET k v takes 420, HSET with 8 words 590.
ENTRY_BYTES = 250
ARGUMENT_BYTES = 50

_BRING_A_SCRIPT = frozenset({b"script|load", b"eval", b"eval_ro"})
# Inside MULTI a server lets nothing block, so these go with the others, keys or not.
_KEYLESS_IN_BLOCK = frozenset({b"wait", b"waitaof"})


@dataclass(frozen=True, slots=True)
class TransactionRules:
    """The settings that concern transactions."""

    may_split: bool = False
    """commands.transactions = "split": keys may lie in several slots."""
    limit_bytes: int = 256 << 20
    """limits.transaction_limit_bytes."""
    fan_out_limit: int = 0
    """limits.fan_out_limit; 0: there is none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One queued command."""

    spec: CommandSpec
    args: tuple[bytes, ...]
    parts: tuple[Part, ...]
    """What nodes are sent of it; empty: the proxy answers it, or asks all shards."""

    @property
    def is_fan_out(self) -> bool:
        """Whether every shard is asked."""
        return self.spec.road is Road.FAN_OUT

    @property
    def changes_connection(self) -> bool:
        """Whether it changes in which database or protocol version the next commands run."""
        name = self.spec.name
        return name == b"select" or (name == b"hello" and self.args[1:] in ((b"2",), (b"3",)))

    @property
    def empties(self) -> bool:
        """Whether it changes every shard, so that its place among the others matters."""
        return self.is_fan_out and b"write" in self.spec.flags


def goes_with_block(spec: CommandSpec) -> bool:
    """Return whether nodes run this command inside MULTI; else the proxy brings its answer."""
    match spec.road:
        case Road.FORWARD | Road.SPLIT | Road.ASK_SERVER:
            return True
        case Road.SESSION if b"pubsub" not in spec.flags:
            return bool(spec.key_specs) or spec.name in _KEYLESS_IN_BLOCK
        case _:
            return False


class TransactionQueue:
    """The commands between MULTI and EXEC.

    Args:
        watched_slot: The slot of the keys that WATCH named; None: there are none.
        on_limit: Called with the name of a limit that is reached.
    """

    def __init__(
        self,
        rules: TransactionRules,
        watched_slot: int | None = None,
        on_limit: Callable[[str], object] = lambda name: None,
    ) -> None:
        self.entries: list[Entry] = []
        self.is_dirty = False
        self.bytes = 0
        self._rules = rules
        self._slot = watched_slot
        self._on_limit = on_limit
        self._holding = Holding()

    def refuse(self, error: bytes) -> bytes:
        """Return the error of a command that is not queued; EXEC will run nothing."""
        self.is_dirty = True
        self.entries.clear()
        self._holding.bytes = 0
        return error

    def add(self, spec: CommandSpec, args: Sequence[bytes], places: Sequence[int]) -> bytes:
        """Queue a command that has passed all other checks; return QUEUED, or its error.

        Args:
            places: Which arguments are keys.
        """
        words = tuple(args)
        parts: tuple[Part, ...] = ()
        if goes_with_block(spec):
            try:
                parts = tuple(split_by_slot(spec, words, places))
            except CannotSplit:
                return self.refuse(say.cross_slot_command_in_transaction(spec.name))
            if 0 < self._rules.fan_out_limit < len(parts):
                self._on_limit("fan_out_limit")
                limit = self._rules.fan_out_limit
                return self.refuse(too_wide(spec.name, slots=len(parts), limit=limit))
            if not self._rules.may_split:
                error = self._hold_to_one_slot(spec.name, parts)
                if error is not None:
                    return self.refuse(error)
        if self.is_dirty:
            return say.QUEUED  # as a server: why keep what will not run
        self.bytes += ENTRY_BYTES + ARGUMENT_BYTES * len(words) + sum(map(len, words))
        if self.bytes > self._rules.limit_bytes:
            self._on_limit("transaction_limit_bytes")
            return self.refuse(say.transaction_too_big(self._rules.limit_bytes))
        self.entries.append(Entry(spec, words, parts))
        self._holding.bytes = self.bytes
        return say.QUEUED

    def _hold_to_one_slot(self, name: bytes, parts: Sequence[Part]) -> bytes | None:
        """Return the error for a second slot; the first command with a key decides on it."""
        if len(parts) > 1:
            return say.cross_slot_command_in_transaction(name)
        slot = parts[0].slot
        if slot >= 0 and self._slot is None:
            self._slot = slot
        if slot >= 0 and slot != self._slot:
            assert self._slot is not None
            return say.cross_slot_in_transaction(name, slot=self._slot, other=slot)
        return None


class ScriptNames:
    """Names the scripts of one transaction by their bodies, as far as these are known.

    Inside MULTI it is too late to bring a node the script that it says it lacks, so
    EVALSHA becomes the EVAL of the same script: for a server that is the same.
    """

    def __init__(self, book: ScriptBook) -> None:
        self._book = book
        self._is_flushed = False
        self._here: set[bytes] = set()  # bodies that the transaction itself brings along

    def name(self, entry: Entry) -> Entry:
        """Return the next command, with its script's body if it names one."""
        name = entry.spec.name
        if name in _BRING_A_SCRIPT:
            body = entry.args[2 if name == b"script|load" else 1]
            self._book.note(body)
            self._here.add(body)
        elif name == b"script|flush":
            self._is_flushed = True
            self._here.clear()
        elif name in RUN_BY_SHA:
            known = self._book.body_of(entry.args[1])
            if known is not None and (known in self._here or not self._is_flushed):
                args = (name.replace(b"sha", b""), known, *entry.args[2:])
                parts = tuple(replace(part, args=args) for part in entry.parts)
                return Entry(entry.spec, entry.args, parts)
        return entry
