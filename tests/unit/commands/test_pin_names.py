"""Pins: how names are stored and shown, and which patterns find them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.slots import key_slot
from proxy.commands.glob import compile_glob
from proxy.commands.pins import Pin, PinError, PinTable

BULL = PinTable([Pin(b"bull:", b"bull")])
NESTED = PinTable([Pin(b"a", b"t"), Pin(b"ab:", b"u"), Pin(b"{x}", b"v")])
EVERYTHING = PinTable([Pin(b"", b"all"), Pin(b"bull:", b"bull")])
TABLES = st.sampled_from([BULL, NESTED, EVERYTHING])
# Names made of pieces that matter, so that they often begin with a prefix or a tag.
PIECES = [
    b"bull:",
    b"{bull}",
    b"{all}",
    b"{t}",
    b"{u}",
    b"a",
    b"ab:",
    b"{x}",
    b"{",
    b"}",
    b"1",
    b"",
]
NAMES = st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join) | st.binary(max_size=8)
PATTERNS = st.lists(st.sampled_from([*PIECES, b"*", b"?", b"[a-z]", b"\\:"]), max_size=5).map(
    b"".join
)


def test_a_pinned_key_is_stored_with_the_tag_before_it() -> None:
    assert BULL.store(b"bull:q:1") == b"{bull}bull:q:1"
    assert BULL.store(b"bul") == b"bul"
    assert BULL.show(b"{bull}bull:q:1") == b"bull:q:1"


def test_the_longest_prefix_wins() -> None:
    assert NESTED.store(b"abc") == b"{t}abc"
    assert NESTED.store(b"ab:c") == b"{u}ab:c"
    assert NESTED.show(b"{t}ab:c") == b"{t}ab:c", "nobody stores ab:c like this"


def test_an_empty_prefix_pins_everything_that_no_other_pin_fits() -> None:
    assert EVERYTHING.store(b"") == b"{all}"
    assert EVERYTHING.store(b"bull:1") == b"{bull}bull:1"


def test_a_key_that_looks_like_a_stored_name_is_that_key_unless_it_is_pinned_itself() -> None:
    assert BULL.store(b"{bull}bull:1") == BULL.store(b"bull:1")
    assert EVERYTHING.store(b"{bull}bull:1") == b"{all}{bull}bull:1"


def test_without_pins_every_name_stays() -> None:
    assert not PinTable([])
    assert PinTable([]).store(b"bull:1") == b"bull:1"


@given(table=TABLES, key=NAMES)
def test_a_pinned_key_is_shown_as_it_was_sent_and_lies_in_the_slot_of_its_tag(
    table: PinTable, key: bytes
) -> None:
    pin = table.find(key)
    if pin is None:
        assert table.store(key) == key
        return
    assert table.show(table.store(key)) == key
    assert key_slot(table.store(key)) == key_slot(pin.tag)


@given(table=TABLES, one=NAMES, other=NAMES)
def test_two_pinned_keys_never_have_the_same_stored_name(
    table: PinTable, one: bytes, other: bytes
) -> None:
    if one != other and table.find(one) and table.find(other):
        assert table.store(one) != table.store(other)


@given(table=TABLES, key=NAMES, pattern=PATTERNS)
def test_the_pattern_that_servers_get_leaves_no_matching_key_out(
    table: PinTable, key: bytes, pattern: bytes
) -> None:
    if compile_glob(pattern)(key):
        assert compile_glob(table.store_pattern(pattern))(table.store(key))


@given(table=TABLES, prefix=NAMES, rest=NAMES)
def test_the_prefixes_that_servers_get_leave_no_key_out_and_do_not_overlap(
    table: PinTable, prefix: bytes, rest: bytes
) -> None:
    found = table.store_prefix(prefix)

    assert any(table.store(prefix + rest).startswith(each) for each in found)
    assert not any(a != b and a.startswith(b) for a in found for b in found)


@pytest.mark.parametrize(
    ("pattern", "stored"),
    {
        b"bull:*": b"{bull}bull:*",
        b"bull:q": b"{bull}bull:q",
        b"other:*": b"other:*",
        b"bu*": b"*",
        b"*": b"*",
        b"bull\\:*": b"*",
    }.items(),
)
def test_a_pattern_that_begins_with_the_prefix_gets_the_tag(pattern: bytes, stored: bytes) -> None:
    assert BULL.store_pattern(pattern) == stored


def test_a_tag_with_wildcards_in_it_stands_for_itself_in_a_pattern() -> None:
    table = PinTable([Pin(b"k", b"a*b")])

    assert table.store_pattern(b"k*") == b"{a\\*b}k*"
    assert table.store_channel_pattern(b"__keyspace@0__:k*") == b"__keyspace@0__:{a\\*b}k*"
    assert table.show_channel(b"__keyspace@0__:{a\\*b}k*") == b"__keyspace@0__:k*"


@pytest.mark.parametrize(
    ("pattern", "stored"),
    {
        b"bull:w_*": b"{bull}bull:w_*",
        b"bull:h_*->f": b"{bull}bull:h_*->f",
        b"bull:nosort": b"bull:nosort",
        b"#": b"#",
        b"w_*": b"w_*",
    }.items(),
)
def test_a_pattern_of_sort_that_names_pinned_keys_gets_the_tag(
    pattern: bytes, stored: bytes
) -> None:
    assert BULL.store_sort_pattern(pattern) == stored


@pytest.mark.parametrize(
    ("channel", "stored"),
    {
        b"__keyspace@0__:bull:1": b"__keyspace@0__:{bull}bull:1",
        b"__keyspace@*__:bull:*": b"__keyspace@*__:{bull}bull:*",
        b"__keyspace@0__:other": b"__keyspace@0__:other",
        b"__keyevent@0__:set": b"__keyevent@0__:set",
        b"bull:news": b"bull:news",
    }.items(),
)
def test_a_channel_is_another_one_only_if_it_names_a_pinned_key(
    channel: bytes, stored: bytes
) -> None:
    assert BULL.store_channel(channel) == stored
    assert BULL.store_channel_pattern(channel) == stored
    assert BULL.show_channel(stored) == channel


def test_a_key_event_tells_of_the_key_by_its_shown_name() -> None:
    assert BULL.show_message(b"__keyevent@0__:set", b"{bull}bull:1") == b"bull:1"
    assert BULL.show_message(b"news", b"{bull}bull:1") == b"{bull}bull:1"


def test_a_text_names_keys_as_they_are_shown() -> None:
    said = b"NOGROUP No such key '{bull}bull:s' or consumer group 'g{bull}'"

    assert BULL.show_all(said) == b"NOGROUP No such key 'bull:s' or consumer group 'g{bull}'"


@pytest.mark.parametrize(
    "pins",
    [
        [Pin(b"a", b"")],
        [Pin(b"a", b"{a}")],
        [Pin(b"a", b"t"), Pin(b"a", b"u")],
        [Pin(b"{bull}", b"bull")],
    ],
    ids=["no tag", "a tag with braces", "one prefix twice", "a prefix with its own tag"],
)
def test_pins_that_cannot_be_are_refused_with_what_is_allowed(pins: list[Pin]) -> None:
    with pytest.raises(PinError) as refused:
        PinTable(pins)

    assert refused.value.allowed
