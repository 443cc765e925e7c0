"""Where two replies may differ, and how far. Everything else is equal byte for byte.

Two tables, each line with its reason. ``CHANCE``: two standalone servers with the
same data differ there too. ``DIFFERENCES``: what the proxy cannot or does not want
to answer as a standalone server; every line has a request that shows it, and a
test fails when that request is answered alike by now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from differential.grammar import Words
from differential.wire import Frame, parse_whole
from proxy.resp import replies

View = Callable[[Frame], object]
"""What is left of a reply once everything is taken out that may differ."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may differ in the replies to some commands."""

    reason: str
    commands: tuple[str, ...]
    """``NAME`` or ``NAME SUBCOMMAND``; a bare name is for its subcommands too."""
    view: View
    if_word: bytes = b""
    """Only for requests with this in one of their arguments."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What the proxy answers otherwise than a standalone server."""

    reason: str
    example: Words
    accepts: Callable[[bytes, bytes], bool]
    """Of the server's and the proxy's raw reply: whether this is the difference meant."""
    commands: tuple[str, ...]
    if_word: bytes = b""


# ---- views ------------------------------------------------------------------------------


def exact(frame: Frame) -> object:
    """Nothing may differ."""
    return (frame.kind, frame.text, frame.items and tuple(map(exact, frame.items)))


def shape(frame: Frame) -> object:
    """Only types and counts count."""
    return (frame.kind, frame.items and tuple(map(shape, frame.items)))


def is_null(frame: Frame) -> object:
    """Only whether there is something counts."""
    return (frame.kind, frame.text == b"(null)")


def unordered(frame: Frame) -> object:
    """Elements may come in any order, on all levels."""
    if frame.items is None:
        return exact(frame)
    items = list(map(unordered, frame.items))
    if frame.kind == b"%":
        items = list(zip(items[::2], items[1::2], strict=True))
    return (frame.kind, sorted(items, key=repr))


def unordered_pairs(frame: Frame) -> object:
    """Names and values alternate, RESP2's map; the pairs may come in any order."""
    if frame.kind != b"*" or frame.items is None or len(frame.items) % 2:
        return unordered(frame)
    items = list(map(unordered, frame.items))
    return sorted(zip(items[::2], items[1::2], strict=True), key=repr)


def page(of: View) -> View:
    """Return a view of a reply with a cursor; a page that is not the whole is compared loosely."""

    def view(frame: Frame) -> object:
        if frame.items is None or len(frame.items) != 2:
            return exact(frame)
        cursor, items = frame.items
        return of(items) if cursor.text == b"0" else shape(frame)

    return view


def about(tolerance: int) -> View:
    """Return a view of integers, alone or in arrays, that differ by less than ``tolerance``."""

    def view(frame: Frame) -> object:
        if frame.kind == b":" and int(frame.text) > 0:
            return _About(int(frame.text), tolerance)
        return (frame.kind, frame.text, frame.items and tuple(map(view, frame.items)))

    return view


class _About:
    def __init__(self, number: int, tolerance: int) -> None:
        self._number, self._tolerance = number, tolerance

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _About) and abs(self._number - other._number) < self._tolerance

    __hash__ = None  # type: ignore[assignment]


def without(*names: bytes) -> View:
    """Return a view that leaves out the values after these names, on all levels."""

    def view(frame: Frame) -> object:
        if frame.items is None:
            return exact(frame)
        items = [view(item) for item in frame.items]
        for place, item in enumerate(frame.items[:-1]):
            if item.text in names:
                items[place + 1] = "left out"
        return (frame.kind, items)

    return view


def without_times(frame: Frame) -> object:
    """Leave out integers that can only be a time in milliseconds, and idle times by name."""
    if frame.kind == b":" and int(frame.text) > 10**12:
        return "a time"
    if frame.items is None:
        return exact(frame)
    items = [without_times(item) for item in frame.items]
    for place, item in enumerate(frame.items[:-1]):
        if item.text in (b"idle", b"inactive"):
            items[place + 1] = "a time"
    return (frame.kind, items)


def without_third_of_each(frame: Frame) -> object:
    """Leave out the third element of every element."""
    if frame.items is None or not all(item.items for item in frame.items):
        return exact(frame)
    return [
        [exact(field) for place, field in enumerate(item.items or ()) if place != 2]
        for item in frame.items
    ]


def without_costs(frame: Frame) -> object:
    """Leave out of a client's description what belongs to that very connection.

    And libraries without a name: Redis 7.0 does not have these fields yet.
    """
    text = re.sub(rb"\b(%b)=\S+" % b"|".join(_OF_ONE_CONNECTION), b"", frame.text)
    return (frame.kind, re.sub(rb" lib-(name|ver)=(?!\S)", b"", text))


_OF_ONE_CONNECTION = (
    b"id addr laddr fd age idle qbuf qbuf-free argv-mem rbs rbp tot-mem"
    b" tot-net-in tot-net-out tot-cmds"
).split()


def info_field_names(reply: bytes) -> list[bytes]:
    """Return the names of an INFO answer, without those that come with traffic."""
    return [
        line.partition(b":")[0]
        for line in parse_whole(reply).text.split(b"\r\n")
        if not line.startswith((b"cmdstat_", b"errorstat_", b"latency_percentiles_usec_", b"db0:"))
    ]


def size(frame: Frame) -> object:
    """Only type and length count."""
    return (frame.kind, len(frame.text))


# ---- the tables -----------------------------------------------------------------------------

CHANCE: tuple[Tolerance, ...] = (
    Tolerance(
        reason="A hash table's order depends on a seed that each process draws for itself.",
        commands=(
            *("HKEYS", "HVALS", "SMEMBERS", "SINTER", "SUNION", "SDIFF", "SPOP", "KEYS"),
            *("COMMAND", "FUNCTION LIST", "ACL CAT", "PUBSUB CHANNELS"),
        ),
        view=unordered,
    ),
    Tolerance(
        reason="As above, and in RESP2 the values follow their names.",
        commands=("HGETALL", "CONFIG GET"),
        view=unordered_pairs,
    ),
    Tolerance(
        reason="As above, seen from a script.",
        commands=("EVAL", "EVAL_RO"),
        if_word=b"HGETALL",
        view=unordered,
    ),
    Tolerance(
        reason="As above: without sorting, a set's elements come as they are stored.",
        commands=("SORT", "SORT_RO"),
        if_word=b"NOSORT",
        view=unordered,
    ),
    Tolerance(
        reason="As above, in pages: where a page ends depends on the order.",
        commands=("SSCAN",),
        view=page(unordered),
    ),
    Tolerance(
        reason="As above, and the values follow their names.",
        commands=("HSCAN", "ZSCAN"),
        view=page(unordered_pairs),
    ),
    Tolerance(
        reason="As above, and a serialized table is a table in its order.",
        commands=("DUMP",),
        view=size,
    ),
    Tolerance(
        reason="All are asked for, so only the order is chance; the values follow their names.",
        commands=("HRANDFIELD", "ZRANDMEMBER"),
        if_word=b"WITH",
        view=unordered_pairs,
    ),
    Tolerance(
        reason="All are asked for, so only the order is chance.",
        commands=("SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER"),
        if_word=b"1000",
        view=unordered,
    ),
    Tolerance(
        reason="One of them, by chance.",
        commands=("SRANDMEMBER", "HRANDFIELD", "ZRANDMEMBER", "RANDOMKEY"),
        view=is_null,
    ),
    Tolerance(
        reason="Random by promise.",
        commands=("ACL GENPASS", "LOLWUT"),
        view=lambda frame: frame.kind,
    ),
    Tolerance(
        reason="The two servers were asked one after the other; seconds.",
        commands=(*("TTL", "EXPIRETIME", "HTTL", "HEXPIRETIME", "LASTSAVE"),),
        view=about(5),
    ),
    Tolerance(
        reason="As above; milliseconds.",
        commands=("PTTL", "PEXPIRETIME", "HPTTL", "HPEXPIRETIME"),
        view=about(5000),
    ),
    Tolerance(
        reason="As above, in the middle of a description.",
        commands=("XINFO",),
        view=without_times,
    ),
    Tolerance(
        reason="As above: the third field is how long the entry has been idle.",
        commands=("XPENDING",),
        view=without_third_of_each,
    ),
    Tolerance(
        reason="Small integers are one object for all keys, which remembers earlier tests.",
        commands=("OBJECT IDLETIME",),
        view=shape,
    ),
    Tolerance(
        reason="The clock.",
        commands=("TIME",),
        view=shape,
    ),
    Tolerance(
        reason="What was slow, or much.",
        commands=("SLOWLOG", "COMMANDLOG"),
        view=lambda frame: frame.kind,
    ),
    Tolerance(
        reason="Connections are counted by whoever accepts them.",
        commands=("CLIENT ID",),
        view=shape,
    ),
    Tolerance(
        reason="As above, and where a connection comes from and what it costs.",
        commands=("CLIENT LIST", "CLIENT INFO"),
        view=without_costs,
    ),
)


def _kinds_agree(expected: bytes, got: bytes) -> bool:
    return expected[:1] == got[:1] and expected[:1] not in b"-!"


def _refusal(words: bytes) -> Callable[[bytes, bytes], bool]:
    return lambda _expected, got: got[:1] == b"-" and words in got


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        reason="It counts what all shards do; names and order of the fields are a server's.",
        example=(b"INFO",),
        commands=("INFO",),
        accepts=lambda expected, got: info_field_names(expected) == info_field_names(got),
    ),
    Difference(
        reason="A server takes any number for a cursor; ours name a place in the cluster.",
        example=(b"SCAN", b"1"),
        commands=("SCAN",),
        accepts=lambda _expected, got: got == replies.invalid_cursor(),
    ),
    Difference(
        reason="The connection's number is the proxy's, and Valkey names its script engine"
        " among the modules, which the proxy does not know.",
        example=(b"HELLO",),
        commands=("HELLO",),
        accepts=lambda expected, got: (
            without(b"id", b"modules")(parse_whole(expected))
            == without(b"id", b"modules")(parse_whole(got))
        ),
    ),
    Difference(
        reason="A node of a cluster keeps more or less beside a key than a standalone server.",
        example=(b"MEMORY", b"USAGE", b"{a}string1"),
        commands=("MEMORY USAGE",),
        accepts=_kinds_agree,
    ),
    Difference(
        reason="Patterns name keys of other slots, so a node of a cluster refuses them.",
        example=(b"SORT", b"{a}list1", b"BY", b"w_*"),
        commands=("SORT", "SORT_RO"),
        accepts=_refusal(b"option of SORT denied in"),
    ),
    Difference(
        reason="There is one database, and a node of a cluster says so in words of its own.",
        example=(b"MOVE", b"{a}string1", b"0"),
        commands=("MOVE", "COPY"),
        accepts=_refusal(b"is not allowed in cluster mode"),
    ),
    Difference(
        reason="Arithmetic, and tools like it; Redis 7.0 refuses it without a cluster.",
        example=(b"CLUSTER", b"KEYSLOT", b"foo"),
        commands=("CLUSTER KEYSLOT",),
        accepts=lambda expected, got: expected == replies.cluster_disabled() and got[:1] == b":",
    ),
)


def tolerated(args: Words, expected: bytes, got: bytes) -> bool:
    """Return whether two replies to one request are equal enough."""
    if expected == got:
        return True
    for tolerance in CHANCE:
        if _applies(tolerance, args):
            return bool(tolerance.view(parse_whole(expected)) == tolerance.view(parse_whole(got)))
    return any(
        difference.accepts(expected, got)
        for difference in DIFFERENCES
        if _applies(difference, args)
    )


def _applies(line: Tolerance | Difference, args: Words) -> bool:
    name = args[0].upper().decode("latin-1")
    names = (name, f"{name} {args[1].upper().decode('latin-1')}" if len(args) > 1 else "")
    return any(known in names for known in line.commands) and any(
        line.if_word in arg for arg in args
    )
