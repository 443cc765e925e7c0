"""Where two replies may differ, and how far. Everything else is equal byte for byte.

Two tables, each line with its reason. ``CHANCE``: two standalone servers with the
same data differ there too. ``DIFFERENCES``: what the proxy cannot or does not want
to answer as a standalone server; every line has a request that shows it, and a
test fails when that request is answered alike by now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from differential.grammar import Words
from differential.views import (
    View,
    about,
    info_field_names,
    is_null,
    kind,
    page,
    shape,
    size,
    unordered,
    unordered_pairs,
    without,
    without_costs,
    without_third_of_each,
    without_times,
)
from differential.wire import parse_whole
from proxy.embedded import ENGINES
from proxy.resp import replies


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
    engines: tuple[str, ...] = ENGINES
    """Where the example shows it."""


ERRORS = (b"-", b"!")
NO_ANSWER = b"<"
"""How ``sides.py`` begins what it says where no reply came."""

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
        reason="A node of a cluster may keep more or less beside a key than a standalone server.",
        commands=("MEMORY USAGE",),
        view=kind,
    ),
    Tolerance(
        reason="Random by promise.",
        commands=("ACL GENPASS", "LOLWUT"),
        view=kind,
    ),
    Tolerance(
        reason="The two servers were asked one after the other; seconds.",
        commands=("TTL", "EXPIRETIME", "HTTL", "HEXPIRETIME"),
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
        reason="Each server saves when it was started, or when it was told to.",
        commands=("LASTSAVE",),
        view=shape,
    ),
    Tolerance(
        reason="A standalone server of ours has no replica, a cluster's has.",
        commands=("WAIT", "WAITAOF"),
        view=shape,
    ),
    Tolerance(
        reason="What was slow, or much.",
        commands=("SLOWLOG", "COMMANDLOG", "LATENCY HISTOGRAM"),
        view=kind,
    ),
    Tolerance(
        reason="What a server measured of itself.",
        commands=("MEMORY STATS", "MEMORY DOCTOR", "MEMORY MALLOC-STATS", "LATENCY DOCTOR"),
        view=kind,
    ),
    Tolerance(
        reason="How much a server has written so far, also that was not replicated.",
        commands=("ROLE",),
        view=shape,
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
        reason="Patterns name keys of other slots, so a node of a cluster refuses them.",
        example=(b"SORT", b"{a}list1", b"BY", b"w_*"),
        commands=("SORT", "SORT_RO"),
        accepts=_refusal(b"option of SORT denied in"),
    ),
    Difference(
        reason="Where no part of a split command succeeds, the error counts the parts.",
        example=(b"MSETEX", b"2", b"{a}x", b"v", b"{b}x", b"v", b"nosuch"),
        commands=("MSETEX",),
        engines=("valkey",),
        accepts=lambda expected, got: (
            got == expected.replace(b"-ERR ", b"-ERR 2 of 2 parts of 'msetex' failed: ")
        ),
    ),
    Difference(
        reason="There is one database, and a node of a cluster says so in words of its own.",
        example=(b"MOVE", b"{a}string1", b"0"),
        commands=("MOVE", "COPY"),
        engines=("redis",),
        accepts=_refusal(b"is not allowed in cluster mode"),
    ),
    Difference(
        reason="Arithmetic, and tools like it; Redis 7.0 refuses it without a cluster.",
        example=(b"CLUSTER", b"KEYSLOT", b"foo"),
        commands=("CLUSTER KEYSLOT",),
        engines=("redis",),
        accepts=lambda expected, got: expected == replies.cluster_disabled() and got[:1] == b":",
    ),
)


def tolerated(args: Words, expected: bytes, got: bytes) -> bool:
    """Return whether two replies to one request are equal enough."""
    if expected == got:
        return True
    if NO_ANSWER in (expected[:1], got[:1]):
        return False
    is_error = expected[:1] in ERRORS or got[:1] in ERRORS
    for tolerance in () if is_error else CHANCE:
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
