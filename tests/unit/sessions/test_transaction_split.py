"""One command over several slots: dealt out by slot, merged by position, errors not hidden."""

from __future__ import annotations

import pytest
from transaction_specs import places_of, spec_of, words

from proxy.cluster.slots import key_slot
from proxy.sessions.transaction_split import CannotSplit, Part, merge_parts, split_by_slot

A, B, C = (key_slot(key) for key in (b"{a}", b"{b}", b"{c}"))


def split(line: str) -> list[Part]:
    """Split a request whose keys are marked by their tags."""
    return split_by_slot(spec_of(line), words(line), places_of(line))


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("GET {a}1", [(A, "GET {a}1")]),
        ("MGET {a}1 {a}2", [(A, "MGET {a}1 {a}2")]),
        ("MGET {a}1 {b}1 {a}2", [(A, "MGET {a}1 {a}2"), (B, "MGET {b}1")]),
        ("MSET {a}1 1 {b}1 2 {a}1 3", [(A, "MSET {a}1 1 {a}1 3"), (B, "MSET {b}1 2")]),
        ("DEL {c}1 {b}1 {a}1", [(C, "DEL {c}1"), (B, "DEL {b}1"), (A, "DEL {a}1")]),
        (
            "MSETEX 3 {a}1 1 {b}1 2 {a}2 3 EX 10",
            [(A, "MSETEX 2 {a}1 1 {a}2 3 EX 10"), (B, "MSETEX 1 {b}1 2 EX 10")],
        ),
        ("PUBLISH news hello", [(-1, "PUBLISH news hello")]),
        ("BLPOP {a}1 {a}2 0", [(A, "BLPOP {a}1 {a}2 0")]),
    ],
)
def test_groups_are_dealt_out_by_slot_in_the_clients_order(
    line: str, parts: list[tuple[int, str]]
) -> None:
    assert [(part.slot, list(part.args)) for part in split(line)] == [
        (slot, words(text)) for slot, text in parts
    ]


@pytest.mark.parametrize(
    "line",
    [
        "SUNION {a}1 {b}1",
        "BLPOP {a}1 {b}1 0",
        "MSETNX {a}1 1 {b}1 2",
        "MSETEX 2 {a}1 1 {b}1 2 NX",
        "MSET {a}1 1 {b}1",
    ],
)
def test_what_must_stay_together_is_not_split(line: str) -> None:
    with pytest.raises(CannotSplit):
        split(line)


@pytest.mark.parametrize(
    ("line", "answers", "merged"),
    [
        (
            "MGET {a}1 {b}1 {a}2",
            [b"*2\r\n$1\r\n1\r\n$-1\r\n", b"*1\r\n$1\r\n2\r\n"],
            b"*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n",
        ),
        ("DEL {a}1 {b}1", [b":1\r\n", b":1\r\n"], b":2\r\n"),
        ("MSET {a}1 1 {b}1 2", [b"+OK\r\n", b"+OK\r\n"], b"+OK\r\n"),
        ("GET {a}1", [b"-WRONGTYPE x\r\n"], b"-WRONGTYPE x\r\n"),
        (
            "MSET {a}1 1 {b}1 2",
            [b"+OK\r\n", b"-OOM no memory\r\n"],
            b"-OOM 1 of 2 parts of 'mset' failed and the other 1 took effect: no memory\r\n",
        ),
        (
            "MGET {a}1 {b}1",
            [b"*1\r\n$-1\r\n", b":7\r\n"],
            b"-ERR the servers' replies to 'mget' cannot be merged; its parts ran\r\n",
        ),
        (
            "DEL {a}1 {b}1",
            [b":1\r\n", b"+OK\r\n"],
            b"-ERR the servers' replies to 'del' cannot be merged; its parts ran\r\n",
        ),
    ],
)
def test_the_parts_answers_become_one(line: str, answers: list[bytes], merged: bytes) -> None:
    assert merge_parts(spec_of(line), split(line), answers) == merged
