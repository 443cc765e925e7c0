"""The cursor of SCAN as a number: nothing is lost on the way, and any number is survived."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.commands.scan_cursor import (
    START,
    Dictionary,
    Position,
    ScanOptions,
    Server,
    decode_cursor,
    encode_cursor,
    has_slot_dicts,
    parse_options,
    server_cursor,
    server_of,
    split_server_cursor,
)

SLOTS = st.integers(0, 16383)
CURSORS = st.integers(1, 2**24 - 1)
HASHES = st.integers(0, 2**32 - 1)


def dictionary(
    *, is_by_slot: bool, cursor: int = 1, end: int = 0, run_id_hash: int = 0
) -> Dictionary:
    return Dictionary(is_by_slot, run_id_hash, cursor, end)


# To a number and back


@given(slot=SLOTS, cursor=CURSORS, run_id_hash=HASHES)
def test_a_place_in_a_slots_dictionary_survives_in_a_double(
    slot: int, cursor: int, run_id_hash: int
) -> None:
    number = encode_cursor(Position(slot, Dictionary(True, run_id_hash, cursor, 0)))

    position = decode_cursor(number)

    assert 0 < number < 2**53
    assert position is not None
    assert position.slot == slot
    assert position.dictionary is not None
    assert position.dictionary.cursor == cursor
    assert position.dictionary.is_of(Server(True, run_id_hash))


@given(slot=SLOTS, length=st.integers(1, 16384), cursor=CURSORS, run_id_hash=HASHES)
def test_a_place_in_a_nodes_dictionary_survives_in_63_bits(
    slot: int, length: int, cursor: int, run_id_hash: int
) -> None:
    end = min(slot + length, 16384)
    number = encode_cursor(Position(slot, Dictionary(False, run_id_hash, cursor, end)))

    position = decode_cursor(number)

    assert 0 < number < 2**63
    assert position is not None
    assert position.slot == slot
    assert position.dictionary is not None
    assert (position.dictionary.cursor, position.dictionary.end) == (cursor, end)
    assert position.dictionary.is_of(Server(False, run_id_hash))


@given(slot=SLOTS)
def test_the_start_of_a_slot_is_a_small_number(slot: int) -> None:
    number = encode_cursor(Position(slot))

    assert number == 2 * slot
    assert decode_cursor(number) == Position(slot)


def test_only_the_start_of_the_scan_is_0() -> None:
    assert encode_cursor(START) == 0
    assert decode_cursor(0) == START


@given(number=st.integers(0, 2**64))
def test_any_number_is_a_place_or_none(number: int) -> None:
    position = decode_cursor(number)

    assert position is None or encode_cursor(position) == number


@pytest.mark.parametrize("is_by_slot", [True, False])
def test_a_cursor_with_more_bits_goes_back_and_not_on(is_by_slot: bool) -> None:
    """Bits count from the highest: without them the place is an earlier one."""
    place = dictionary(is_by_slot=is_by_slot, cursor=(1 << 30) | (1 << 24) | 5, end=1)

    position = decode_cursor(encode_cursor(Position(0, place)))

    assert position is not None
    assert position.dictionary is not None
    assert position.dictionary.cursor == 5


def test_a_cursor_of_high_bits_only_begins_the_slot_again() -> None:
    place = dictionary(is_by_slot=True, cursor=1 << 24)

    assert decode_cursor(encode_cursor(Position(7, place))) == Position(7)


# Servers


def test_a_restarted_server_is_not_taken_for_the_old_one() -> None:
    old, new = (server_of({b"run_id": name, b"redis_version": b"7.0.15"}) for name in (b"a", b"b"))
    position = Position(1, Dictionary(False, old.run_id_hash, 9, 5))

    again = decode_cursor(encode_cursor(position))

    assert again is not None
    assert again.dictionary is not None
    assert again.dictionary.is_of(old)
    assert not again.dictionary.is_of(new)


def test_a_server_of_another_kind_is_another_server() -> None:
    assert not dictionary(is_by_slot=False, end=1).is_of(Server(True, 0))
    assert not dictionary(is_by_slot=True).is_of(Server(False, 0))


KINDS = {
    "Valkey 9.1": ({b"redis_version": b"7.2.4", b"valkey_version": b"9.1.2"}, True),
    "Valkey 8.0": ({b"redis_version": b"7.2.4", b"valkey_version": b"8.0.0"}, True),
    "Valkey 7.2": ({b"redis_version": b"7.2.4", b"valkey_version": b"7.2.5"}, False),
    "Redis 8": ({b"redis_version": b"8.0.2"}, True),
    "Redis 7.4": ({b"redis_version": b"7.4.0"}, True),
    "Redis 7.2": ({b"redis_version": b"7.2.11"}, False),
    "Redis 7.0": ({b"redis_version": b"7.0.15"}, False),
    "a server that does not say": ({}, False),
}


@pytest.mark.parametrize(("info", "expected"), KINDS.values(), ids=KINDS.keys())
def test_the_kind_follows_from_the_version(info: dict[bytes, bytes], expected: bool) -> None:
    assert has_slot_dicts(info) is expected


def test_a_servers_own_cursor_has_the_slot_in_its_low_bits() -> None:
    position = Position(685, dictionary(is_by_slot=True, cursor=64))

    # Seen on Valkey 9.1.2.
    assert server_cursor(position, is_by_slot=True) == 1049261
    assert split_server_cursor(1049261) == (685, 64)
    assert server_cursor(position, is_by_slot=False) == 64


# Options

OPTIONS = {
    "none": ([], ScanOptions()),
    "all": (
        [b"MATCH", b"a*", b"COUNT", b"100", b"TYPE", b"Hash"],
        ScanOptions(100, b"a*", b"hash"),
    ),
    "in any case": ([b"match", b"*", b"cOuNt", b"1"], ScanOptions(1)),
    "the last one counts": ([b"COUNT", b"5", b"COUNT", b"6"], ScanOptions(6)),
    "an odd number": ([b"COUNT"], None),
    "an unknown one": ([b"NOVALUES", b"x"], None),
    "a count of zero": ([b"COUNT", b"0"], None),
    "a negative count": ([b"COUNT", b"-1"], None),
    "a count that is no number": ([b"COUNT", b"x"], None),
    "a count with a zero before": ([b"COUNT", b"07"], None),
    "a count beyond a long": ([b"COUNT", b"9" * 19], None),
    "a wrong count before a right one": ([b"COUNT", b"x", b"COUNT", b"1"], None),
}


@pytest.mark.parametrize(("args", "expected"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_are_read_as_servers_read_them(
    args: list[bytes], expected: ScanOptions | None
) -> None:
    assert parse_options(args) == expected
