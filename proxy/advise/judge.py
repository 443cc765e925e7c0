"""Decide what becomes of a command or transaction: on a plain cluster client, and behind slotway.

Strategy: nothing is known here that the proxy does not know: the road of the command, which
of its keys share a slot, in what manner it is done across slots and inside MULTI all come
from the code that serves it. The kinds of problems are in one table of functions, each
of which looks for one.

A *plain cluster client* sends each command to the node of its keys, follows redirects, and
does nothing else. Some clients do more: they ask all nodes for KEYS, or split MGET.

Pure. Cost: 1 us for a command of one key, 10 us for one of several (CPython 3.11, CI machine).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from proxy.advise.conversation import SCRIPTS, Call, Unit
from proxy.advise.rules import Rules
from proxy.cluster.slots import key_slot
from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.pins import PinTable
from proxy.commands.spec import CommandSpec, Road
from proxy.commands.table import is_denied
from proxy.sessions.across import KEY_LIMIT
from proxy.sessions.across_plan import Manner, find_keys, manner_of
from proxy.sessions.blocking_words import MOVES, parse_streams
from proxy.sessions.transaction_queue import goes_with_block
from proxy.sessions.transaction_split import CannotSplit, split_by_slot


class Outcome(IntEnum):
    """What becomes of a command; a higher number is worse."""

    WORKS = 0
    SLOWER = 1
    """It works, with more steps, to more nodes, or atomic only slot by slot."""
    PARTIAL = 2
    """No error, but the answer of one shard for all of them."""
    BREAKS = 3
    """An error, always or depending on where keys happen to be."""


class Kind(StrEnum):
    """What the problem is. These words are part of the JSON report."""

    KEYS = "keys_in_several_slots"
    BLOCKING = "blocking_in_several_slots"
    TRANSACTION = "transaction_in_several_slots"
    WATCH = "watch_in_several_slots"
    SCRIPT_KEYS = "script_keys_in_several_slots"
    SCRIPT_TOUCHES = "script_touches_other_slots"
    SORT = "sort_by_other_keys"
    ALL_SHARDS = "concerns_all_shards"
    PUBSUB = "publish_and_subscribe"
    DATABASE = "database_other_than_0"
    BETWEEN_DATABASES = "between_databases"
    DENIED = "denied_by_slotway"


class Need(StrEnum):
    """What slotway would need for it. These words are part of the JSON report."""

    NOTHING = "nothing"
    TRANSACTIONS_SPLIT = 'commands.transactions = "split"'
    CROSS_SLOT_READS = 'commands.cross_slot = "reads"'
    CROSS_SLOT_ALL = 'commands.cross_slot = "all"'
    ALLOWED = "commands.deny without it"
    COMMON_SLOT = "a common hash tag, or a [[pin]]"
    KNOWN_KEYS = "keys that are given to the script and share a hash tag"
    DATABASES = "servers with cluster-databases (Valkey 9), or prefixes"
    REWRITE = "another way to do it"


SLOT_KINDS = frozenset(
    {Kind.KEYS, Kind.BLOCKING, Kind.TRANSACTION, Kind.WATCH, Kind.SCRIPT_KEYS, Kind.SCRIPT_TOUCHES}
)
"""Problems that would not be there if the keys were in one slot."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one command or transaction."""

    kind: Kind
    command: str
    """As in the table: ``mget``, ``script|load``; ``multi`` for a transaction."""
    cluster: Outcome
    slotway: Outcome
    need: Need = Need.NOTHING


def judge(unit: Unit, rules: Rules) -> list[Finding]:
    """Return everything that is worth telling about a command or transaction."""
    if not unit.is_transaction and _is_harmless(unit.calls[0], rules):
        return []
    found: list[Finding] = []
    for call in unit.calls:
        if call.spec is None:
            continue
        for look in _EVERYWHERE if unit.is_transaction else _ALONE:
            found += look(call, call.spec, rules)
    if unit.is_transaction:
        found += _transaction(unit, rules)
    else:
        found += _watch(unit, rules)
    return found


# Where there is something to look at even with one key, or none.
_LOOKED_AT = frozenset({b"copy", b"move", b"select", b"sort", b"sort_ro", b"swapdb", b"watch"})
_HARMLESS_ROADS = frozenset({Road.FORWARD, Road.SPLIT, Road.LOCAL})


def _is_harmless(call: Call, rules: Rules) -> bool:
    """Return whether there is nothing to find; most commands have one key and go to its node."""
    spec = call.spec
    if spec is None:
        return True
    return (
        len(call.places) < 2
        and spec.road in _HARMLESS_ROADS
        and not call.touched
        and call.database < rules.databases
        and spec.name not in _LOOKED_AT
        and b"pubsub" not in spec.flags
    )


def slots_of(keys: Iterable[bytes], pins: PinTable | None = None) -> set[int]:
    """Return the slots of some keys; with pins those of the names they are stored under."""
    return {key_slot(pins.store(key) if pins else key) for key in keys}


# ---- one command ----------------------------------------------------------------------


def _keys(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """Keys in several slots: CROSSSLOT from every node of a cluster."""
    keys = call.keys
    # Channels are routed as keys are, but are none.
    if len(keys) < 2 or b"pubsub" in spec.flags or spec.name == b"watch":
        return
    if len(slots_of(keys)) < 2:
        return
    kind = Kind.KEYS
    if spec.name in SCRIPTS:
        kind = Kind.SCRIPT_KEYS
    elif _may_block(call, spec):
        kind = Kind.BLOCKING
    outcome, need = _across(call, spec, rules)
    yield Finding(kind, _text(spec), Outcome.BREAKS, outcome, need)


def _across(call: Call, spec: CommandSpec, rules: Rules) -> tuple[Outcome, Need]:
    """Return how slotway does a command whose keys do not share a slot."""
    args = _stored(call, rules.pins)
    if len(slots_of(args[place] for place in call.places)) < 2:
        return Outcome.WORKS, Need.NOTHING
    if spec.road is Road.DENIED:
        return Outcome.BREAKS, Need.COMMON_SLOT
    if _may_block(call, spec):
        if spec.name in MOVES and rules.cross_slot != "all":
            return Outcome.BREAKS, Need.CROSS_SLOT_ALL
        return Outcome.SLOWER, Need.NOTHING
    if spec.road is Road.SPLIT:
        try:
            split_by_slot(spec, args, call.places)
        except CannotSplit:
            pass
        else:
            return Outcome.SLOWER, Need.NOTHING
    keys = find_keys(spec, args)
    if manner_of(spec, keys) is Manner.REFUSED or len(keys) > KEY_LIMIT:
        return Outcome.BREAKS, Need.COMMON_SLOT
    if rules.cross_slot == "all" or (rules.cross_slot == "reads" and not spec.is_write):
        return Outcome.SLOWER, Need.NOTHING
    return Outcome.BREAKS, Need.CROSS_SLOT_ALL if spec.is_write else Need.CROSS_SLOT_READS


def _may_block(call: Call, spec: CommandSpec) -> bool:
    if spec.blocking_keyword:
        words = parse_streams(call.args)
        return words is not None and words.block is not None
    return b"blocking" in spec.flags


def _stored(call: Call, pins: PinTable) -> list[bytes]:
    """Return the command with its keys as pins would have them stored."""
    args = list(call.args)
    for place in call.places if pins else ():
        args[place] = pins.store(args[place])
    return args


def _touched(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """A script's keys that it was not given: an error if they are on another node."""
    if not call.touched:
        return
    given = call.keys
    others = slots_of(call.touched)
    if given and others <= slots_of(given):
        return
    # A name that a script makes of a key it was given is made of the pinned name too.
    if is_derived(call) and len(slots_of([*given, *call.touched], rules.pins)) == 1:
        yield Finding(Kind.SCRIPT_TOUCHES, _text(spec), Outcome.BREAKS, Outcome.WORKS)
        return
    yield Finding(Kind.SCRIPT_TOUCHES, _text(spec), Outcome.BREAKS, Outcome.BREAKS, Need.KNOWN_KEYS)


def is_derived(call: Call) -> bool:
    """Return whether a script made all names it touched of keys it was given."""
    given = [key for key in call.keys if key]
    return all(any(key.startswith(name) for name in given) for key in call.touched)


def _sort(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """BY and GET read keys that no cluster can know; newer servers take the key's own tag."""
    if spec.name not in (b"sort", b"sort_ro"):
        return
    words = call.args
    patterns = []
    for place in range(2, len(words) - 1):
        word = words[place].upper()
        if (word == b"BY" and b"*" in words[place + 1]) or word == b"GET":
            patterns.append(words[place + 1])
    if not patterns:
        return
    yield Finding(Kind.SORT, _text(spec), Outcome.BREAKS, Outcome.BREAKS, Need.REWRITE)


_DATA_FLAGS = frozenset({b"readonly", b"write"})


def _all_shards(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """What concerns the whole keyspace, or every server."""
    if spec.road is not Road.FAN_OUT:
        return
    # KEYS, FLUSHALL, FUNCTION LOAD; and SCRIPT, which is of no use on one node either. The
    # rest (INFO, LASTSAVE, MEMORY) tells of a server, and of one node it tells the truth.
    is_data = not _DATA_FLAGS.isdisjoint(spec.flags)
    is_script = b"noscript" in spec.flags and b"admin" not in spec.flags
    cluster = Outcome.PARTIAL if is_data or is_script else Outcome.SLOWER
    yield Finding(Kind.ALL_SHARDS, _text(spec), cluster, Outcome.SLOWER)


def _pubsub(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """Messages go to every node; keyspace events do not leave their own."""
    if b"pubsub" not in spec.flags or b"unsubscribe" in spec.name:
        return
    if spec.key_specs:  # sharded: only the shard of the channel sees it
        if len(slots_of(call.keys)) > 1:
            yield Finding(Kind.PUBSUB, _text(spec), Outcome.BREAKS, Outcome.WORKS)
        return
    hears_events = spec.name in (b"subscribe", b"psubscribe") and any(
        word.startswith(b"__key") for word in call.args[1:]
    )
    is_partial = hears_events or spec.name.startswith(b"pubsub|")
    cluster = Outcome.PARTIAL if is_partial else Outcome.SLOWER
    yield Finding(Kind.PUBSUB, _text(spec), cluster, Outcome.WORKS)


def _databases(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """A cluster has database 0; Valkey 9 can have more, and cannot swap them."""
    name = spec.name
    has_keys = bool(call.places or call.touched) and b"pubsub" not in spec.flags
    if call.database >= rules.databases and (has_keys or spec.road is Road.FAN_OUT):
        command = f"any in database {call.database}"
        yield _database(Kind.DATABASE, command, Need.DATABASES)
    if name == b"select" and _number(call.args[1:2]) >= rules.databases:
        yield _database(Kind.DATABASE, "select", Need.DATABASES)
    elif name == b"swapdb":
        yield _database(Kind.BETWEEN_DATABASES, "swapdb", Need.REWRITE)
    elif name == b"move" and rules.databases == 1:
        yield _database(Kind.BETWEEN_DATABASES, "move", Need.DATABASES)
    elif name == b"copy" and rules.databases == 1:
        words = call.args[3:]
        wanted = [words[n + 1] for n in range(len(words) - 1) if words[n].upper() == b"DB"]
        if _number(wanted) > 0:
            yield _database(Kind.BETWEEN_DATABASES, "copy", Need.DATABASES)


def _database(kind: Kind, command: str, need: Need) -> Finding:
    return Finding(kind, command, Outcome.BREAKS, Outcome.BREAKS, need)


def _number(words: Iterable[bytes]) -> int:
    """Return the first word as a number; 0 if it is none."""
    word = next(iter(words), b"")
    return int(word) if word.isdigit() and len(word) < 10 else 0


def _denied(call: Call, spec: CommandSpec, rules: Rules) -> Iterator[Finding]:
    """What slotway refuses by name."""
    if spec.road is not Road.DENIED or spec.name == b"swapdb":
        return
    is_setting = is_denied(spec.name, rules.denied) or is_denied(spec.name, DENIED_BY_DEFAULT)
    need = Need.ALLOWED if is_setting else Need.REWRITE
    yield Finding(Kind.DENIED, _text(spec), Outcome.WORKS, Outcome.BREAKS, need)


Look = Callable[[Call, CommandSpec, Rules], Iterator[Finding]]
_EVERYWHERE: tuple[Look, ...] = (_touched, _sort, _all_shards, _pubsub, _databases, _denied)
_ALONE: tuple[Look, ...] = (_keys, *_EVERYWHERE)


# ---- several commands -------------------------------------------------------------------


def _watch(unit: Unit, rules: Rules) -> Iterator[Finding]:
    """WATCH holds for one slot, this one's keys and those watched before."""
    (call,) = unit.calls
    if call.spec is None or call.spec.name != b"watch":
        return
    keys = [*unit.watched, *call.keys]
    if len(slots_of(keys)) > 1:
        is_one = len(slots_of(keys, rules.pins)) == 1
        yield _whole(Kind.WATCH, "watch", Need.NOTHING if is_one else Need.COMMON_SLOT)


def _transaction(unit: Unit, rules: Rules) -> Iterator[Finding]:
    """MULTI ... EXEC runs on one node, in one slot, with the keys that are watched."""
    calls = [call for call in unit.calls if call.spec and goes_with_block(call.spec)]
    keys = [key for call in calls for key in call.keys]
    if not keys or len(slots_of([*unit.watched, *keys])) < 2:
        return
    slots = slots_of([*unit.watched, *keys], rules.pins)
    if len(slots) == 1:
        yield _whole(Kind.TRANSACTION, "multi", Need.NOTHING)
    elif len(slots_of(unit.watched, rules.pins)) > 1 or not _can_split(calls, rules.pins):
        yield _whole(Kind.TRANSACTION, "multi", Need.COMMON_SLOT)
    elif rules.transactions == "split":
        yield Finding(Kind.TRANSACTION, "multi", Outcome.BREAKS, Outcome.SLOWER)
    else:
        yield _whole(Kind.TRANSACTION, "multi", Need.TRANSACTIONS_SPLIT)


def _can_split(calls: Iterable[Call], pins: PinTable) -> bool:
    try:
        for call in calls:
            assert call.spec is not None
            split_by_slot(call.spec, _stored(call, pins), call.places)
    except CannotSplit:
        return False
    return True


def _whole(kind: Kind, command: str, need: Need) -> Finding:
    slotway = Outcome.WORKS if need is Need.NOTHING else Outcome.BREAKS
    return Finding(kind, command, Outcome.BREAKS, slotway, need)


def _text(spec: CommandSpec) -> str:
    return spec.name.decode(errors="replace")
