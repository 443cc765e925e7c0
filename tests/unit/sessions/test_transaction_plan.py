"""From the queue to blocks, and from their replies to EXEC's array."""

from __future__ import annotations

import pytest
from transaction_specs import SPLIT, STRICT, queue_of

from proxy.cluster.slots import key_slot
from proxy.resp.encode import encode_command
from proxy.sessions.transaction_plan import Answers, Block, Phase, plan
from proxy.sessions.transaction_queue import TransactionRules

A, B, C = (key_slot(key) for key in (b"{a}", b"{b}", b"{c}"))
ABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


def phases_of(rules: TransactionRules, *lines: str, watched_slot: int | None = None) -> list[Phase]:
    """Return the plan of a transaction."""
    return plan(queue_of(rules, *lines, watched_slot=watched_slot).entries, watched_slot)


def shape(phase: Phase) -> tuple[list[int], dict[int, list[int]], list[int]]:
    """Return where each place of the queue went."""
    blocks = {slot: [place for place, _ in block.parts] for slot, block in phase.blocks.items()}
    return phase.before, blocks, phase.after


@pytest.mark.parametrize(
    ("rules", "lines", "expected"),
    [
        (STRICT, ["SET {a}1 x", "GET {a}1"], [([], {A: [0, 1]}, [])]),
        (STRICT, ["PUBLISH n x", "SET {a}1 x", "PUBLISH n y"], [([], {A: [0, 1, 2]}, [])]),
        (STRICT, ["PUBLISH n x"], [([], {-1: [0]}, [])]),
        (STRICT, ["PING", "SET {a}1 x", "TIME"], [([], {A: [1]}, [0, 2])]),
        (STRICT, ["PING"], [([], {}, [0])]),
        (STRICT, ["DBSIZE", "SET {a}1 x", "DBSIZE"], [([0], {A: [1]}, [2])]),
        (STRICT, ["PING", "FLUSHALL", "SET {a}1 x"], [([1], {A: [2]}, [0])]),
        (STRICT, ["SET {a}1 x", "DBSIZE", "DEL {a}1"], [([], {A: [0, 2]}, [1])]),
        (
            STRICT,
            ["SET {a}1 x", "FLUSHALL", "SET {a}2 x", "PING"],
            [([], {A: [0]}, [1]), ([], {A: [2]}, [3])],
        ),
        (STRICT, ["SET {a}1 x", "FLUSHALL", "DBSIZE"], [([], {A: [0]}, [1, 2])]),
        (
            SPLIT,
            ["SET {a}1 x", "GET {b}1", "PUBLISH n x", "GET {a}1"],
            [([], {A: [0, 3], B: [1, 2]}, [])],
        ),
        (SPLIT, ["PUBLISH n x", "GET {b}1", "GET {a}1"], [([], {B: [0, 1], A: [2]}, [])]),
        (SPLIT, ["MGET {a}1 {b}1", "GET {b}2"], [([], {A: [0], B: [0, 1]}, [])]),
    ],
)
def test_each_command_has_its_place(
    rules: TransactionRules,
    lines: list[str],
    expected: list[tuple[list[int], dict[int, list[int]], list[int]]],
) -> None:
    assert [shape(phase) for phase in phases_of(rules, *lines)] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], [([], {A: []}, [])]),
        (["PING", "PUBLISH n x"], [([], {A: [1]}, [0])]),
        (["GET {b}1", "GET {a}1", "GET {c}1"], [([], {A: [1], B: [0], C: [2]}, [])]),
        (["FLUSHALL", "GET {a}1"], [([], {A: []}, [0]), ([], {A: [1]}, [])]),
    ],
)
def test_the_watched_slots_block_is_the_first_thing_that_runs(
    lines: list[str], expected: list[tuple[list[int], dict[int, list[int]], list[int]]]
) -> None:
    phases = phases_of(SPLIT, *lines, watched_slot=A)

    assert [shape(phase) for phase in phases] == expected
    assert next(iter(phases[0].blocks)) == A


def test_a_block_is_multi_the_commands_and_exec() -> None:
    [phase] = phases_of(STRICT, "GET {a}1", "SET {a}2 x")

    block = phase.blocks[A]

    lines = (b"MULTI",), (b"GET", b"{a}1"), (b"SET", b"{a}2", b"x"), (b"EXEC",)
    assert block.frame == b"".join(encode_command(*line) for line in lines)
    assert block.replies == 4


@pytest.mark.parametrize(
    ("lines", "is_write"),
    [
        (["GET {a}1", "MGET {a}1"], False),
        (["GET {a}1", "SET {a}1 x"], True),
        (["PUBLISH n x", "GET {a}1"], True),
        (["BLPOP {a}1 0"], True),
    ],
)
def test_a_block_is_a_write_if_any_of_its_commands_is(lines: list[str], is_write: bool) -> None:
    [phase] = phases_of(STRICT, *lines)

    assert phase.blocks[A].is_write is is_write


def test_what_changes_the_connection_stands_in_each_block_that_goes_on_after_it() -> None:
    lines = ["GET {a}1", "SELECT 3", "GET {b}1", "HELLO 3", "HELLO 2 SETNAME x", "GET {a}2"]
    [phase] = phases_of(SPLIT, *lines)

    assert shape(phase) == ([], {A: [0, 1, 3, 5], B: [1, 2]}, [1, 3, 4])
    assert phase.blocks[B].commands == [(b"SELECT", b"3"), (b"GET", b"{b}1")]
    assert all(block.changes_connection for block in phase.blocks.values())
    answers = Answers(queue_of(SPLIT, *lines).entries)
    for place in phase.after:
        answers.put(place, b"+MINE\r\n")
    answers.put_block(phase.blocks[A], b"*4\r\n:0\r\n+OK\r\n%0\r\n:5\r\n")
    answers.put_block(phase.blocks[B], b"*2\r\n+OK\r\n:2\r\n")
    assert answers.merged() == (b"*6\r\n:0\r\n+MINE\r\n:2\r\n+MINE\r\n+MINE\r\n:5\r\n")


def test_a_database_chosen_at_the_end_concerns_no_block() -> None:
    [phase] = phases_of(STRICT, "GET {a}1", "SELECT 3")

    assert not phase.blocks[A].changes_connection


def block_of(*lines: str) -> Block:
    """Return the only block of a transaction."""
    [phase] = phases_of(STRICT, *lines)
    return next(iter(phase.blocks.values()))


QUEUED = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (QUEUED + b"*2\r\n+OK\r\n$-1\r\n", b"*2\r\n+OK\r\n$-1\r\n"),
        (QUEUED + b"*-1\r\n", b"*-1\r\n"),
        (b"-IOERR outcome unknown\r\n", b"-IOERR outcome unknown\r\n"),
        (
            b"+OK\r\n-OOM no memory\r\n+QUEUED\r\n" + ABORT,
            b"-EXECABORT Transaction discarded because of: OOM no memory\r\n",
        ),
        (QUEUED + ABORT, ABORT),
        (QUEUED + b"-TRYAGAIN x\r\n", b"-TRYAGAIN x\r\n"),
    ],
)
def test_the_outcome_of_a_block_is_execs_reply_or_the_reason(data: bytes, outcome: bytes) -> None:
    assert block_of("SET {a}1 x", "GET {a}1").outcome(data) == outcome


def answered(rules: TransactionRules, outcomes: dict[int, bytes], *lines: str) -> bytes:
    """Return EXEC's reply, when blocks had these outcomes and the proxy says +MINE."""
    queue = queue_of(rules, *lines)
    answers = Answers(queue.entries)
    for phase in plan(queue.entries):
        for slot, block in phase.blocks.items():
            answers.put_block(block, outcomes[slot])
        for place in phase.before + phase.after:
            answers.put(place, b"+MINE\r\n")
    return answers.merged()


def test_the_array_is_in_the_clients_order() -> None:
    reply = answered(
        SPLIT,
        {A: b"*3\r\n:1\r\n*1\r\n:11\r\n:2\r\n", B: b"*2\r\n*2\r\n:21\r\n:22\r\n:3\r\n"},
        *["INCR {a}1", "PING", "MGET {b}1 {a}1 {b}2", "INCR {b}1", "INCR {a}2"],
    )

    assert reply == b"*5\r\n:1\r\n+MINE\r\n*3\r\n:21\r\n:11\r\n:22\r\n:3\r\n:2\r\n"


def test_a_publish_reaches_all_clients_behind_the_one_subscriber_that_servers_see() -> None:
    queue = queue_of(STRICT, "SET {a}k v", "PUBLISH n x", "PUBLISH m x", "PUBLISH o x")
    answers = Answers(queue.entries, {1: 3, 2: 1})
    [phase] = plan(queue.entries)

    answers.put_block(phase.blocks[A], b"*4\r\n+OK\r\n:0\r\n:2\r\n:0\r\n")

    assert answers.merged() == b"*4\r\n+OK\r\n:3\r\n:2\r\n:0\r\n"


def test_a_failed_block_is_an_error_in_each_of_its_places() -> None:
    reply = answered(
        SPLIT,
        {A: b"-IOERR lost\r\n", B: b"*2\r\n:1\r\n:2\r\n"},
        *["INCR {a}1", "INCR {b}1", "INCR {a}2", "DEL {a}1 {b}1"],
    )

    assert reply == (
        b"*4\r\n-IOERR lost\r\n:1\r\n-IOERR lost\r\n"
        b"-IOERR 1 of 2 parts of 'del' failed and the other 1 took effect: lost\r\n"
    )


def test_an_array_of_another_length_is_not_taken_for_an_answer() -> None:
    reply = answered(STRICT, {A: b"*1\r\n:1\r\n"}, "INCR {a}1", "INCR {a}2", "PING")

    error = b"-ERR the servers' replies to 'exec' cannot be merged; its parts ran\r\n"
    assert reply == b"*3\r\n" + error + error + b"+MINE\r\n"
