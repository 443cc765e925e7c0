"""What is said to a command after MULTI, and what is kept of it."""

from __future__ import annotations

import hashlib

import pytest
from transaction_specs import SPLIT, STRICT, queue_of, queued, spec_of

from proxy.cluster.slots import key_slot
from proxy.control.scripts import ScriptBook
from proxy.resp import replies_transactions as say
from proxy.sessions.transaction_queue import (
    ARGUMENT_BYTES,
    ENTRY_BYTES,
    ScriptNames,
    TransactionQueue,
    TransactionRules,
    goes_with_block,
)

SHA = hashlib.sha1(b"body").hexdigest()
A, B = key_slot(b"{a}"), key_slot(b"{b}")


def test_keys_of_one_slot_are_queued_together() -> None:
    queue = queue_of(STRICT, "SET {a}1 x", "PUBLISH news x", "MGET {a}1 {a}2", "PING")

    assert [len(entry.parts) for entry in queue.entries] == [1, 1, 1, 0]
    assert not queue.is_dirty


def test_a_second_slot_is_refused_and_spoils_the_transaction() -> None:
    queue = queue_of(STRICT, "SET {a}1 x")

    assert queued(queue, "GET {b}1") == say.cross_slot_in_transaction(b"get", slot=A, other=B)

    assert queue.is_dirty
    assert queue.entries == []


def test_the_watched_slot_counts() -> None:
    queue = TransactionQueue(STRICT, watched_slot=A)

    assert queued(queue, "GET {b}1") == say.cross_slot_in_transaction(b"get", slot=A, other=B)


@pytest.mark.parametrize(
    ("rules", "line"),
    [(STRICT, "MGET {a}1 {b}1"), (STRICT, "SUNION {a}1 {b}1"), (SPLIT, "SUNION {a}1 {b}1")],
)
def test_a_command_over_several_slots_is_refused(rules: TransactionRules, line: str) -> None:
    queue = TransactionQueue(rules)

    name = line.split()[0].lower().encode()
    assert queued(queue, line) == say.cross_slot_command_in_transaction(name)
    assert queue.is_dirty


def test_with_split_keys_may_lie_anywhere() -> None:
    queue = queue_of(SPLIT, "SET {a}1 x", "GET {b}1", "MGET {a}1 {b}1", watched_slot=A)

    assert [[part.slot for part in entry.parts] for entry in queue.entries] == [[A], [B], [A, B]]


def test_a_spoiled_transaction_keeps_nothing_and_goes_on_checking() -> None:
    queue = queue_of(STRICT, "SET {a}1 x")
    queue.refuse(b"-ERR unknown command\r\n")

    assert queued(queue, "GET {a}1") == b"+QUEUED\r\n"
    assert queued(queue, "GET {b}1").startswith(b"-CROSSSLOT ")

    assert queue.entries == []


def test_the_limit_is_exact() -> None:
    size = ENTRY_BYTES + 3 * ARGUMENT_BYTES + len(b"SET{a}1x")
    queue = queue_of(TransactionRules(limit_bytes=2 * size), "SET {a}1 x", "SET {a}2 y")
    too_small = queue_of(TransactionRules(limit_bytes=2 * size - 1), "SET {a}1 x")

    assert len(queue.entries) == 2
    assert queued(too_small, "SET {a}2 y") == say.transaction_too_big(2 * size - 1)
    assert too_small.is_dirty


def test_a_script_that_is_known_is_named_by_its_body() -> None:
    scripts = ScriptNames(ScriptBook(10_000))
    lines = ["SCRIPT LOAD body", f"EVALSHA {SHA.upper()} 1 {{a}}k x", f"EVALSHA_RO {SHA} 0"]
    lines += ["EVALSHA 0123 0", "EVAL other 0", "GET {a}k", "SCRIPT FLUSH", f"EVALSHA {SHA} 0"]

    entries = [scripts.name(entry) for entry in queue_of(STRICT, *lines).entries]

    assert [part.args for entry in entries for part in entry.parts] == [
        (b"eval", b"body", b"1", b"{a}k", b"x"),
        (b"eval_ro", b"body", b"0"),
        (b"EVALSHA", b"0123", b"0"),
        (b"EVAL", b"other", b"0"),
        (b"GET", b"{a}k"),
        (b"EVALSHA", SHA.encode(), b"0"),
    ]


@pytest.mark.parametrize(
    ("line", "is_sent"),
    [
        ("GET k", True),
        ("BLPOP k 0", True),
        ("XREAD BLOCK 0 STREAMS k 0", True),
        ("WAIT 0 0", True),
        ("PUBLISH a b", True),
        ("SPUBLISH a b", True),
        ("EVAL x 0", True),
        ("SUBSCRIBE a", False),
        ("SSUBSCRIBE a", False),
        ("MONITOR", False),
        ("PING", False),
        ("FLUSHALL", False),
        ("CLIENT ID", False),
        ("SCRIPT LOAD x", False),
    ],
)
def test_nodes_run_what_belongs_to_one_of_them(line: str, is_sent: bool) -> None:
    assert goes_with_block(spec_of(line)) is is_sent
