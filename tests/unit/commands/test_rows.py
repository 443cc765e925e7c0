"""A reply to COMMAND becomes rows, whatever the RESP version and the age of the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.rows import Row, parse_command_reply
from proxy.commands.spec import KeySpec
from proxy.errors import BackendProtocolError


def parse_one(*wire: bytes) -> Row:
    """Return the only row of a COMMAND reply with the given command in it."""
    reader = hiredis.Reader()
    reader.feed(b"*1\r\n" + b"".join(wire))
    (row,) = parse_command_reply(reader.gets())
    return row


def words(*texts: bytes) -> bytes:
    """Return an array of simple strings, as servers send flags and tips."""
    return b"*%d\r\n" % len(texts) + b"".join(b"+%b\r\n" % text for text in texts)


def command(
    name: bytes,
    *,
    flags: bytes = words(b"write"),
    tips: bytes = words(),
    key_specs: bytes = words(),
) -> bytes:
    """Return the wire form of a command of a server since 7.0, without subcommands."""
    start = b"*10\r\n$%d\r\n%b\r\n:-3\r\n" % (len(name), name)
    return start + flags + b":0\r\n:0\r\n:0\r\n" + words(b"@slow") + tips + key_specs + b"*0\r\n"


def spec(begin: bytes, find: bytes, *, flags: bytes = words(b"RW")) -> bytes:
    """Return the wire form of one key specification, RESP2."""
    return b"*6\r\n+flags\r\n%b+begin_search\r\n%b+find_keys\r\n%b" % (flags, begin, find)


def kind(name: bytes, **values: int | bytes) -> bytes:
    """Return the wire form of a begin_search or find_keys."""
    wire = b"*4\r\n+type\r\n+%b\r\n+spec\r\n*%d\r\n" % (name, 2 * len(values))
    for key, value in values.items():
        wire += b"+%b\r\n" % key.encode()
        wire += b":%d\r\n" % value if isinstance(value, int) else b"+%b\r\n" % value
    return wire


def fixed(index: int) -> KeySpec:
    """Return the spec of one key at a fixed place."""
    return KeySpec(index, b"", 0, False, 0, 1, 0, 0, 0, 1)


RW = frozenset({b"RW"})
ONE_KEY = kind(b"range", lastkey=0, keystep=1, limit=0)
UNKNOWN = kind(b"unknown")

SPECS = {
    "an index and a range": (
        spec(kind(b"index", index=1), kind(b"range", lastkey=-1, keystep=2, limit=0)),
        KeySpec(1, b"", 0, False, -1, 2, 0, 0, 0, 1, RW),
    ),
    "a keyword and half of the rest": (
        spec(
            kind(b"keyword", keyword=b"STREAMS", startfrom=4),
            kind(b"range", lastkey=-1, keystep=1, limit=2),
        ),
        KeySpec(0, b"STREAMS", 4, False, -1, 1, 2, 0, 0, 1, RW),
    ),
    "a keyword from the end": (
        spec(kind(b"keyword", keyword=b"KEYS", startfrom=-2), ONE_KEY),
        KeySpec(0, b"KEYS", -2, False, 0, 1, 0, 0, 0, 1, RW),
    ),
    "a number of keys": (
        spec(kind(b"index", index=2), kind(b"keynum", keynumidx=0, firstkey=1, keystep=2)),
        KeySpec(2, b"", 0, True, 0, 1, 0, 0, 1, 2, RW),
    ),
    "a step of zero counts as one": (
        spec(kind(b"index", index=1), kind(b"range", lastkey=-1, keystep=0, limit=0)),
        KeySpec(1, b"", 0, False, -1, 1, 0, 0, 0, 1, RW),
    ),
}


@pytest.mark.parametrize(("wire", "expected"), SPECS.values(), ids=SPECS.keys())
def test_a_key_specification_keeps_its_numbers(wire: bytes, expected: KeySpec) -> None:
    row = parse_one(command(b"x", key_specs=b"*1\r\n" + wire))

    assert row.key_specs == (expected,)
    assert row.are_keys_known


UNKNOWN_KEYS = {
    "begin_search is unknown": spec(UNKNOWN, ONE_KEY),
    "find_keys is unknown": spec(kind(b"index", index=1), UNKNOWN),
    "begin_search is newer than the proxy": spec(kind(b"regex", pattern=b"x"), ONE_KEY),
    "find_keys is newer than the proxy": spec(kind(b"index", index=1), kind(b"bitmap", mask=5)),
    "the specification says incomplete": spec(
        kind(b"index", index=1), ONE_KEY, flags=words(b"RW", b"incomplete")
    ),
    "the index is that of the command's name": spec(kind(b"index", index=0), ONE_KEY),
}


@pytest.mark.parametrize("wire", UNKNOWN_KEYS.values(), ids=UNKNOWN_KEYS.keys())
def test_keys_are_unknown_when(wire: bytes) -> None:
    row = parse_one(command(b"x", key_specs=b"*1\r\n" + wire))

    assert not row.are_keys_known


def test_movable_keys_with_nothing_but_a_fixed_place_are_unknown() -> None:
    flags = words(b"write", b"module", b"movablekeys")
    fixed_place = b"*1\r\n" + spec(kind(b"index", index=1), ONE_KEY)

    assert not parse_one(command(b"x", flags=flags)).are_keys_known
    assert not parse_one(command(b"x", flags=flags, key_specs=fixed_place)).are_keys_known


def test_movable_keys_after_a_keyword_are_known() -> None:
    specs = b"*2\r\n" + spec(kind(b"index", index=1), ONE_KEY)
    specs += spec(kind(b"keyword", keyword=b"STORE", startfrom=2), ONE_KEY)

    row = parse_one(command(b"x", flags=words(b"movablekeys"), key_specs=specs))

    assert row.are_keys_known
    assert row.key_specs == (
        replace(fixed(1), flags=RW),
        KeySpec(0, b"STORE", 2, False, 0, 1, 0, 0, 0, 1, RW),
    )


def test_names_are_lower_case_and_tips_are_read() -> None:
    tips = words(b"nondeterministic_output", b"request_policy:all_shards", b"response_policy:x")

    row = parse_one(command(b"Mod.Get", tips=tips))

    assert (row.name, row.arity, row.flags) == (b"mod.get", -3, {b"write"})
    assert (row.request_policy, row.response_policy) == (b"all_shards", b"x")


OLD_RANGES = {
    "no key": ((0, 0, 0), ()),
    "one key": ((1, 1, 1), (fixed(1),)),
    "keys to the end, and their values": (
        (1, -1, 2),
        (KeySpec(1, b"", 0, False, -1, 2, 0, 0, 0, 1),),
    ),
    "keys but for the last argument": ((1, -2, 1), (KeySpec(1, b"", 0, False, -2, 1, 0, 0, 0, 1),)),
    "from the second to the third": ((2, 3, 1), (KeySpec(2, b"", 0, False, 1, 1, 0, 0, 0, 1),)),
}


@pytest.mark.parametrize(("numbers", "expected"), OLD_RANGES.values(), ids=OLD_RANGES.keys())
def test_a_row_of_seven_fields_has_a_range(
    numbers: tuple[int, int, int], expected: tuple[KeySpec, ...]
) -> None:
    row = parse_one(
        b"*7\r\n$3\r\nold\r\n:-2\r\n",
        words(b"readonly"),
        b":%d\r\n:%d\r\n:%d\r\n" % numbers,
        words(b"@read"),
    )

    assert row.key_specs == expected
    assert row.are_keys_known
    assert not row.is_full


@pytest.mark.parametrize("field", [0, 1, 2, 6, 7, 8, 9])
def test_a_field_of_the_wrong_type_is_a_protocol_error(field: int, redis_reply: list) -> None:
    get = list(next(row for row in redis_reply if row[0] == b"get"))
    get[field] = None

    with pytest.raises(BackendProtocolError, match="COMMAND answered"):
        parse_command_reply([get])


@pytest.mark.parametrize(
    "reply",
    [None, b"OK", 7, [[]], [[b"get", 2]], hiredis.ReplyError("NOPERM no"), [hiredis.ReplyError()]],
    ids=repr,
)
def test_what_is_no_command_reply_is_a_protocol_error(reply: object) -> None:
    with pytest.raises(BackendProtocolError, match="COMMAND answered"):
        parse_command_reply(reply)


@pytest.mark.parametrize(
    "wire",
    [
        spec(kind(b"index", index=2), kind(b"keynum", keynumidx=-9, firstkey=1, keystep=1)),
        spec(kind(b"index", index=2), kind(b"keynum", keynumidx=0, firstkey=-9, keystep=1)),
        spec(kind(b"index", index=2), kind(b"range", lastkey=2**31, keystep=1, limit=0)),
        spec(kind(b"index", index=2**40), ONE_KEY),
    ],
)
def test_numbers_that_lead_out_of_a_request_are_a_protocol_error(wire: bytes) -> None:
    with pytest.raises(BackendProtocolError, match="COMMAND answered"):
        parse_one(command(b"x", key_specs=b"*1\r\n" + wire))


def test_a_reply_nested_without_end_is_a_protocol_error(redis_reply: list) -> None:
    nested = list(next(row for row in redis_reply if row[0] == b"get"))
    for _ in range(5_000):
        nested = [*nested[:9], [nested]]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    for reply in ([nested], [[*nested[:2], deep, *nested[3:]]], [[deep] * 10]):
        with pytest.raises(BackendProtocolError, match="COMMAND answered"):
            parse_command_reply(reply)


ATOMS = st.none() | st.integers() | st.binary(max_size=4) | st.sampled_from([b"a:b", b"type"])
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=11), max_leaves=60)
COMMANDS = st.tuples(
    st.binary(max_size=3),
    st.integers(),
    st.lists(st.binary(max_size=3), max_size=2),
    *[st.integers()] * 3,
    st.lists(st.binary(max_size=3), max_size=2),
    *[VALUES] * 3,
)


@given(VALUES | st.lists(COMMANDS, max_size=3))
def test_any_value_is_rows_or_a_protocol_error(reply: object) -> None:
    try:
        rows = parse_command_reply(reply)
    except BackendProtocolError:
        return

    assert all(isinstance(row, Row) for row in rows)


def test_an_unknown_name_of_command_info_is_left_out() -> None:
    assert parse_command_reply([None]) == ()


def test_resp2_and_resp3_say_the_same(engine: str, reply_of: Callable[..., object]) -> None:
    assert parse_command_reply(reply_of(engine, 2)) == parse_command_reply(reply_of(engine, 3))


def test_subcommands_have_rows_of_their_own(engine: str, reply_of: Callable[..., object]) -> None:
    rows = {row.name: row for row in parse_command_reply(reply_of(engine))}

    assert rows[b"object"].has_subcommands
    assert rows[b"object"].key_specs == ()
    assert not rows[b"object|encoding"].has_subcommands
    assert rows[b"object|encoding"].key_specs == (replace(fixed(2), flags=frozenset({b"RO"})),)
