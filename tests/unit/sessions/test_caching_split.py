"""A command after CLIENT CACHING whose keys lie in several slots: taken apart, put together."""

from __future__ import annotations

import pytest

from proxy.cluster.slots import key_slot
from proxy.commands.table import snapshot_table
from proxy.dataplane.tables import Command, CommandTable
from proxy.sessions.transaction_split import Part, merge_parts, split_by_slot

TABLE = CommandTable(snapshot_table())
A, B = key_slot(b"a"), key_slot(b"b")


def parts_of(*args: bytes) -> tuple[Command, list[Part]]:
    command, places = TABLE.key_places(*args)
    assert command is not None
    return command, split_by_slot(command.spec, args, places)


def by_slot(parts: list[Part]) -> dict[int, list[bytes]]:
    return {part.slot: list(part.args) for part in parts}


def merged_of(command: Command, parts: list[Part], frames: dict[int, bytes]) -> bytes:
    return merge_parts(command.spec, parts, [frames[part.slot] for part in parts])


def test_each_slot_gets_its_keys_in_the_clients_order() -> None:
    _, parts = parts_of(b"MGET", b"a", b"b", b"{a}2", b"a")

    assert by_slot(parts) == {A: [b"MGET", b"a", b"{a}2", b"a"], B: [b"MGET", b"b"]}


def test_values_stay_with_their_keys() -> None:
    _, parts = parts_of(b"MSET", b"a", b"1", b"b", b"2", b"a", b"3")

    assert by_slot(parts) == {A: [b"MSET", b"a", b"1", b"a", b"3"], B: [b"MSET", b"b", b"2"]}


def test_values_come_back_where_their_keys_stand() -> None:
    command, parts = parts_of(b"MGET", b"a", b"b", b"a")

    merged = merged_of(
        command, parts, {A: b"*2\r\n$1\r\n1\r\n$1\r\n3\r\n", B: b"*1\r\n$1\r\n2\r\n"}
    )

    assert merged == b"*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"


def test_counts_are_added_up() -> None:
    command, parts = parts_of(b"EXISTS", b"a", b"b", b"a")

    assert merged_of(command, parts, {A: b":2\r\n", B: b":1\r\n"}) == b":3\r\n"


def test_a_part_that_failed_makes_the_whole_an_error() -> None:
    command, parts = parts_of(b"MGET", b"a", b"b")

    merged = merged_of(command, parts, {A: b"*1\r\n$-1\r\n", B: b"-NOPERM no\r\n"})

    assert merged.startswith(b"-NOPERM 1 of 2 parts of 'mget' failed")


@pytest.mark.parametrize("wrong", [b"*0\r\n", b":1\r\n"])
def test_replies_that_do_not_fit_are_said_not_to(wrong: bytes) -> None:
    command, parts = parts_of(b"MGET", b"a", b"b")

    merged = merged_of(command, parts, {A: wrong, B: b"*1\r\n$-1\r\n"})

    assert merged.startswith(b"-ERR the servers' replies to 'mget' cannot be merged")
