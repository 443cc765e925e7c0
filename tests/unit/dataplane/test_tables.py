"""The two tables of the hot road find what the plain rules say: commands, keys, slots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from switchboard import SLOTS, key_count, key_range, spec_of

from proxy.cluster.slots import key_slot as plain_key_slot
from proxy.commands.spec import KeySpec
from proxy.dataplane.tables import Command, CommandTable, SlotMap, key_slot


def after_keyword(keyword: bytes, start_from: int, last_key: int, limit: int = 0) -> KeySpec:
    """Return the spec of keys that stand behind a word."""
    return KeySpec(0, keyword, start_from, False, last_key, 1, limit, 0, 0, 1)


# ---- commands by name ---------------------------------------------------------------

LONGEST = b"x" * 64

NAMES = [
    spec_of(b"get"),
    spec_of(b"config", is_container=True),
    spec_of(b"config|get"),
    spec_of(b"config|resetstat"),
    spec_of(b"object", is_container=True),
    spec_of(b"object|encoding"),
    spec_of(b"json.get"),
    spec_of(LONGEST),
    spec_of(b"y" * 65),
]

FOUND = {
    "a name": ([b"get"], b"get"),
    "a name in capitals": ([b"GET", b"k"], b"get"),
    "a name in mixed case": ([b"gEt"], b"get"),
    "a name of a module": ([b"JSON.GET", b"k"], b"json.get"),
    "a subcommand": ([b"CONFIG", b"Get", b"maxmemory"], b"config|get"),
    "a container alone": ([b"config"], b"config"),
    "a container and an unknown word": ([b"config", b"nothing"], b"config"),
    "a container and an empty word": ([b"config", b""], b"config"),
    "a container and a word that is too long": ([b"config", b"g" * 1000], b"config"),
    "another's subcommand": ([b"object", b"get"], b"object"),
    "no container, so no subcommand": ([b"get", b"get"], b"get"),
    "a subcommand with its bar": ([b"config|get"], None),
    "a subcommand with its bar, and a word": ([b"config|get", b"get"], None),
    "the longest name": ([LONGEST.upper()], LONGEST),
    "a name longer than that": ([b"y" * 65], None),
    "an unknown name": ([b"gett"], None),
    "half a name": ([b"ge"], None),
    "no name": ([b""], None),
    "other bytes": ([b"g\x00t"], None),
    "no letters beyond ASCII": ([b"\xc7et"], None),
}


@pytest.mark.parametrize(("args", "name"), FOUND.values(), ids=FOUND.keys())
def test_a_request_finds_its_row(args: list[bytes], name: bytes | None) -> None:
    row, _ = CommandTable(NAMES).keys_of(*args)

    assert (row.name if row else None) == name


def test_a_table_lists_its_rows() -> None:
    table = CommandTable(NAMES)

    assert len(table) == len(NAMES) - 1  # one name cannot be a command
    assert {row.name for row in table} == {spec.name for spec in NAMES[:-1]}
    assert table.get(b"get").spec is NAMES[0]
    assert table.get(b"GET") is None
    assert table.get(b"get").call_count == 0
    assert repr(table.get(b"get")) == "<Command get>"


def test_an_empty_table_finds_nothing() -> None:
    assert CommandTable(()).keys_of(b"get", b"k") == (None, [])


@given(
    st.sets(
        st.binary(min_size=1, max_size=64).map(lambda name: name.lower().replace(b"|", b"-")),
        max_size=300,
    )
)
def test_every_name_of_a_full_table_is_found_and_no_other(names: set[bytes]) -> None:
    table = CommandTable([spec_of(name) for name in names])

    for name in names:
        row, _ = table.keys_of(name.upper())
        assert row is table.get(name)
        other, _ = table.keys_of(name + b"?")
        assert (other is not None) == (name + b"?" in names)


# ---- keys -----------------------------------------------------------------------------

KEYS = {
    "no spec": ([], b"ping a b", b""),
    "one key": ([key_range()], b"get k", b"k"),
    "one key, more arguments": ([key_range()], b"set k v ex 10", b"k"),
    "the key is missing": ([key_range()], b"get", b""),
    "a key at the second place": ([key_range(2)], b"object encoding k", b"k"),
    "two keys": ([key_range(1, 1)], b"rename a b", b"a b"),
    "the second of two is missing": ([key_range(1, 1)], b"rename a", b"a"),
    "all arguments": ([key_range(1, -1)], b"del a b c", b"a b c"),
    "all but the last": ([key_range(1, -2)], b"blpop a b 0", b"a b"),
    "all but the last, which is alone": ([key_range(1, -2)], b"blpop 0", b""),
    "every second": ([key_range(1, -1, 2)], b"mset a 1 b 2", b"a b"),
    "every second, the last value missing": ([key_range(1, -1, 2)], b"mset a 1 b", b"a b"),
    "every third": ([key_range(1, -1, 3)], b"json.mset a . 1 b . 2", b"a b"),
    "a step of 0 counts as 1": ([key_range(1, -1, 0)], b"del a b", b"a b"),
    "the first half of what is left": ([key_range(2, -1, 1, 2)], b"x y a b 1 2", b"a b"),
    "the first half of an odd number": ([key_range(2, -1, 1, 2)], b"x y a b 1", b"a"),
    "half of nothing": ([key_range(5, -1, 1, 2)], b"x y", b""),
    "a limit of 1 is none": ([key_range(1, -1, 1, 1)], b"del a b", b"a b"),
    "after a word": ([after_keyword(b"STREAMS", 1, -1, 2)], b"xread streams a b 0 0", b"a b"),
    "after a word, further on": (
        [after_keyword(b"STREAMS", 1, -1, 2)],
        b"xread count 5 Streams a 0",
        b"a",
    ),
    "after the first of two such words": (
        [after_keyword(b"STREAMS", 1, -1, 2)],
        b"xread streams streams 0",
        b"streams",
    ),
    "the word is missing": ([after_keyword(b"STREAMS", 1, -1, 2)], b"xread a b", b""),
    "the word comes too early": ([after_keyword(b"STREAMS", 3, -1, 2)], b"x streams a b c", b""),
    "the word begins the same": ([after_keyword(b"KEYS", 1, 0)], b"x keyskeys a", b""),
    "nothing after the word": ([after_keyword(b"KEYS", 1, -1)], b"migrate keys", b""),
    "after a word from the end": ([after_keyword(b"KEYS", -2, -1)], b"x keys a b", b"a b"),
    "after the last such word": ([after_keyword(b"KEYS", -2, -1)], b"x keys a keys b", b"b"),
    "the word is the last argument, behind the start": (
        [after_keyword(b"KEYS", -2, -1)],
        b"x a keys",
        b"",
    ),
    "the name is no such word": ([after_keyword(b"X", -1, -1)], b"x a b", b""),
    "the start lies before the name": ([after_keyword(b"KEYS", -9, -1)], b"x keys a", b""),
    "a number of keys": ([key_count(2, 0, 1)], b"eval script 2 a b c", b"a b"),
    "a number of all": ([key_count()], b"x 3 a b c", b"a b c"),
    "a number of none": ([key_count()], b"x 0 a", b""),
    "a number of none, and no more arguments": ([key_count()], b"x 0", b""),
    "more than there are": ([key_count()], b"x 4 a b c", b""),
    "a huge number": ([key_count()], b"x 999999999999999999 a", b""),
    "a number too long for one": ([key_count()], b"x 1000000000000000000000 a", b""),
    "a negative number": ([key_count()], b"x -1 a", b""),
    "no number": ([key_count()], b"x one a", b""),
    "a number with a leading zero": ([key_count()], b"x 01 a", b""),
    "the number is missing": ([key_count(2)], b"x y", b""),
    "a number and steps": ([key_count(1, 0, 1, 2)], b"x 2 a 1 b 2 end", b"a b"),
    "a number and steps, the last value missing": (
        [key_count(1, 0, 1, 2)],
        b"x 2 a 1 b",
        b"a b",
    ),
    "a number and too few steps": ([key_count(1, 0, 1, 2)], b"x 3 a 1 b 2", b""),
    "a destination and a number": (
        [key_range(), key_count(2)],
        b"zunionstore to 2 a b",
        b"to a b",
    ),
    "a wrong number spoils the destination too": (
        [key_range(), key_count(2)],
        b"zunionstore to 9 a b",
        b"",
    ),
    "the same key twice": ([key_range(), key_range()], b"x a", b"a a"),
    "specs of which one has nothing": (
        [key_range(), after_keyword(b"STORE", 2, 0)],
        b"sort a",
        b"a",
    ),
    "specs of which both have something": (
        [key_range(), after_keyword(b"STORE", 2, 0)],
        b"sort a store b",
        b"a b",
    ),
}


@pytest.mark.parametrize(("key_specs", "request_", "keys"), KEYS.values(), ids=KEYS.keys())
def test_the_keys_stand_where_the_specs_say(
    key_specs: list[KeySpec], request_: bytes, keys: bytes
) -> None:
    args = request_.split()
    table = CommandTable([spec_of(args[0], *key_specs)])

    assert table.keys_of(*args) == (table.get(args[0]), keys.split())


def plain_keys(key_specs: tuple[KeySpec, ...], args: list[bytes]) -> list[bytes]:
    """Return the keys, straight from the words of ``KeySpec``."""
    argc, found = len(args), []
    for spec in key_specs:
        first = spec.begin_index
        if first == 0:
            if spec.start_from > 0:
                searched = range(spec.start_from, argc)
            else:
                searched = range(argc + spec.start_from, 0, -1)
            hits = [at for at in searched if at < argc and args[at].lower() == spec.keyword.lower()]
            if not hits or (spec.start_from < 0 and argc + spec.start_from >= argc):
                continue
            first = hits[0] + 1
        if spec.is_keynum:
            at = first + spec.keynum_index
            text = args[at] if at < argc else b""
            if not text.isdigit() or (text[:1] == b"0" and text != b"0"):
                return []
            number, first, step = int(text), first + spec.first_key, max(spec.key_step, 1)
            last = first + (number - 1) * step
            if number > argc or last >= argc:
                return []
        else:
            step = max(spec.step, 1)
            if spec.last_key >= 0:
                last = first + spec.last_key
            elif spec.limit <= 1:
                last = argc + spec.last_key
            else:
                last = first + (argc - first) // spec.limit + spec.last_key
        found += [args[at] for at in range(first, last + 1, step) if at < argc]
    return found


words = st.sampled_from([b"a", b"KEYS", b"keys", b"0", b"1", b"2", b"3", b"-1", b"01", b"99", b""])
any_spec = st.builds(
    KeySpec,
    begin_index=st.integers(0, 6),
    keyword=st.sampled_from([b"KEYS", b"a"]),
    start_from=st.one_of(st.integers(1, 4), st.integers(-8, -1)),
    is_keynum=st.booleans(),
    last_key=st.integers(-3, 4),
    step=st.integers(0, 3),
    limit=st.integers(0, 3),
    keynum_index=st.integers(0, 2),
    first_key=st.integers(0, 3),
    key_step=st.integers(0, 3),
)


@given(st.lists(any_spec, max_size=3).map(tuple), st.lists(words, max_size=10))
def test_any_spec_finds_what_its_description_says(
    key_specs: tuple[KeySpec, ...], rest: list[bytes]
) -> None:
    table = CommandTable([spec_of(b"x", *key_specs)])

    _, keys = table.keys_of(b"x", *rest)

    assert keys == plain_keys(key_specs, [b"x", *rest])


def test_a_row_keeps_the_spec_it_was_compiled_from() -> None:
    spec = spec_of(b"get", key_range())

    assert Command(spec).spec is spec


# ---- slots ----------------------------------------------------------------------------

tagged = st.lists(st.sampled_from([b"{", b"}", b"a", b"\x00", b"\xff"]), max_size=12).map(b"".join)


@given(st.one_of(st.binary(), tagged))
def test_a_key_has_the_slot_that_the_control_plane_computes(key: bytes) -> None:
    assert key_slot(key) == plain_key_slot(key)


def test_a_slot_map_says_who_owns_a_slot() -> None:
    owners: list[int | None] = [None] * SLOTS
    owners[0], owners[1], owners[SLOTS - 1] = 7, 0, 3

    slots = SlotMap(owners, 5)

    assert [slots.owner_of(slot) for slot in (0, 1, 2, SLOTS - 1)] == [7, 0, None, 3]
    assert (slots.primaries, slots.covered, slots.generation) == ((0, 3, 7), 3, 5)


@pytest.mark.parametrize("slot", [-1, SLOTS])
def test_there_is_no_slot_beyond_the_last(slot: int) -> None:
    with pytest.raises(IndexError):
        SlotMap([0] * SLOTS, 1).owner_of(slot)


@pytest.mark.parametrize("length", [0, SLOTS - 1, SLOTS + 1])
def test_a_slot_map_has_an_owner_for_each_slot(length: int) -> None:
    with pytest.raises(ValueError, match="16384"):
        SlotMap([0] * length, 1)
