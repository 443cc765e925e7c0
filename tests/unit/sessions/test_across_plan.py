"""Which commands run across slots, in what manner, and which keys they change."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import pytest

from proxy.commands.spec import CommandSpec, Road
from proxy.commands.table import compile_table, find_spec
from proxy.resp.decode import decode
from proxy.sessions.across_plan import OWN_WAYS, Manner, find_keys, manner_of, replace_keys

REPLIES = Path(__file__).parents[1] / "commands/replies"
ENGINES = ("redis-7.0.15", "valkey-9.1.2")


@cache
def table_of(engine: str) -> dict[bytes, CommandSpec]:
    reply = decode(gzip.decompress((REPLIES / f"{engine}.resp2.gz").read_bytes()))
    return {spec.name: spec for spec in compile_table(reply)}


def plan(engine: str, line: str) -> tuple[Manner, str]:
    """Return the manner of a request, and its keys with ``!`` behind those that change."""
    args = [word.encode() for word in line.split()]
    spec = find_spec(table_of(engine), args)
    assert spec is not None
    keys = find_keys(spec, args)
    return manner_of(spec, keys), " ".join(key.name.decode() + "!" * key.is_changed for key in keys)


REQUESTS = {
    "SUNION a b c": (Manner.COPIES, "a b c"),
    "SINTERCARD 2 a b LIMIT 1": (Manner.COPIES, "a b"),
    "ZUNION 2 a b WEIGHTS 1 2": (Manner.COPIES, "a b"),
    "PFCOUNT a b": (Manner.COPIES, "a b"),
    "LCS a b IDX": (Manner.COPIES, "a b"),
    "SUNIONSTORE d a b": (Manner.COPIES, "d! a b"),
    "SINTERSTORE d a b": (Manner.COPIES, "d! a b"),
    "ZUNIONSTORE d 2 a b": (Manner.COPIES, "d! a b"),
    "PFMERGE d a b": (Manner.COPIES, "d! a b"),
    "BITOP AND d a b": (Manner.COPIES, "d! a b"),
    "GEOSEARCHSTORE d a FROMMEMBER m BYRADIUS 1 m": (Manner.COPIES, "d! a"),
    "GEORADIUS a 1 2 3 m STORE d": (Manner.COPIES, "a d!"),
    "GEORADIUS a 1 2 3 m STORE d STOREDIST e": (Manner.REFUSED, "a d! e!"),
    "ZRANGESTORE d a 0 -1": (Manner.COPIES, "d! a"),
    "SORT a BY nosort STORE d": (Manner.COPIES, "a d!"),
    "COPY a d REPLACE": (Manner.COPIES_WITH_TTL, "a d!"),
    "SMOVE a d m": (Manner.MEMBER, "a! d!"),
    "LMOVE a d LEFT LEFT": (Manner.ELEMENT, "a! d!"),
    "RPOPLPUSH a d": (Manner.ELEMENT, "a! d!"),
    "RENAME a d": (Manner.WHOLE_KEY, "a! d!"),
    "MSETNX a 1 b 2": (Manner.ALL_OR_NONE, "a! b!"),
    "LMPOP 2 a b LEFT": (Manner.FIRST_THAT_HAS, "a! b!"),
    "XREAD STREAMS a b 0 0": (Manner.EACH_STREAM, "a b"),
    "EVAL x 2 a b": (Manner.REFUSED, "a! b!"),
    "FCALL_RO f 2 a b": (Manner.REFUSED, "a b"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("line", "expected"), REQUESTS.items(), ids=REQUESTS.keys())
def test_the_server_tells_what_becomes_of_each_key(
    engine: str, line: str, expected: tuple[Manner, str]
) -> None:
    assert plan(engine, line) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_command_with_an_own_way_is_one_that_the_servers_have(engine: str) -> None:
    names = {name for way in OWN_WAYS for name in way.names} - {b"msetex"}

    assert names <= table_of(engine).keys()
    assert b"msetex" in table_of("valkey-9.1.2")


@pytest.mark.parametrize("engine", ENGINES)
def test_what_reads_needs_no_line_of_its_own(engine: str) -> None:
    reads = [
        spec
        for spec in table_of(engine).values()
        if spec.road is Road.FORWARD and not spec.is_write and spec.key_specs
    ]

    own = {name for way in OWN_WAYS for name in way.names}
    manners = {manner_of(spec, ()) for spec in reads if spec.name not in own}
    assert manners == {Manner.COPIES}


def test_keys_are_replaced_by_position() -> None:
    args = b"ZUNIONSTORE WEIGHTS 2 a WEIGHTS WEIGHTS 1 2".split()
    keys = find_keys(table_of("redis-7.0.15")[b"zunionstore"], args)

    replaced = replace_keys(args, keys, lambda key: b"<%b>" % key.name)

    assert b" ".join(replaced) == b"ZUNIONSTORE <WEIGHTS> 2 <a> <WEIGHTS> WEIGHTS 1 2"
