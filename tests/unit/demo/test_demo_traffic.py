"""What the tour takes for a true answer, and what it does not."""

from __future__ import annotations

import pytest
import redis

from proxy.demo.tally import NoReply, Tally
from proxy.demo.traffic import REPLICATION_LAG_S, Ledger

CRASH = 100.0
LONG_BEFORE = CRASH - 2 * REPLICATION_LAG_S
JUST_BEFORE = CRASH - REPLICATION_LAG_S / 2


def raising(problem: Exception) -> object:
    raise problem


def test_only_the_last_acknowledged_write_may_be_read() -> None:
    ledger = Ledger()
    ledger.write_answered(1, 1.0)
    ledger.write_answered(2, 2.0)

    assert [number for number in range(4) if ledger.may_hold(number)] == [2]


def test_a_write_with_unknown_outcome_may_be_read_or_not() -> None:
    ledger = Ledger()
    ledger.write_answered(1, 1.0)
    ledger.unknown.add(2)

    assert [number for number in range(4) if ledger.may_hold(number)] == [1, 2]


def test_an_acknowledged_write_ends_what_was_unknown_before_it() -> None:
    ledger = Ledger()
    ledger.unknown.add(1)
    ledger.write_answered(2, 2.0)

    assert not ledger.may_hold(1)


def test_a_key_never_written_reads_as_nothing() -> None:
    assert Ledger().may_hold(0)


@pytest.mark.parametrize(
    ("acknowledged_at", "crashed_at", "excused"),
    [(JUST_BEFORE, CRASH, True), (LONG_BEFORE, CRASH, False), (JUST_BEFORE, None, False)],
    ids=["just before the crash", "long before the crash", "no crash"],
)
def test_a_crash_excuses_losing_only_what_was_acknowledged_just_before_it(
    acknowledged_at: float, crashed_at: float | None, excused: bool
) -> None:
    ledger = Ledger()
    ledger.write_answered(1, 1.0)
    ledger.write_answered(2, acknowledged_at)

    assert ledger.may_have_lost(1, crashed_at) is excused


def test_no_crash_excuses_a_value_that_was_never_acknowledged() -> None:
    ledger = Ledger()
    ledger.write_answered(2, JUST_BEFORE)

    assert not ledger.may_have_lost(1, CRASH)


def test_a_write_told_to_have_an_unknown_outcome_is_no_error() -> None:
    tally = Tally("phase")

    reply = tally.ask(lambda: raising(redis.ResponseError("IOERR cut off")), is_write=True)

    assert reply is NoReply.UNKNOWN
    assert (tally.unknown_writes, tally.errors, tally.held) == (1, 0, True)


def test_a_read_must_not_have_an_unknown_outcome() -> None:
    tally = Tally("phase")

    reply = tally.ask(lambda: raising(redis.ResponseError("IOERR cut off")))

    assert reply is NoReply.FAILED
    assert (tally.unknown_writes, tally.errors, tally.held) == (0, 1, False)


@pytest.mark.parametrize(
    "problem",
    [redis.ConnectionError("gone"), redis.TimeoutError("slow"), redis.ResponseError("ERR no")],
    ids=lambda problem: type(problem).__name__,
)
def test_every_other_error_counts(problem: redis.RedisError) -> None:
    tally = Tally("phase")

    tally.ask(lambda: raising(problem), is_write=True)

    assert (tally.commands, tally.errors, tally.held) == (1, 1, False)
    assert str(problem) in tally.complaints[0]


def test_a_wrong_answer_is_counted_and_quoted_and_a_missing_one_is_not() -> None:
    tally = Tally("phase")

    tally.expect(b"right", b"right", "GET k")
    tally.expect(NoReply.FAILED, b"right", "GET k")
    tally.expect(b"wrong", b"right", "GET k")

    assert (tally.wrong_answers, tally.held) == (1, False)
    assert tally.complaints == ["GET k: b'wrong' instead of b'right'"]


def test_two_tallies_add_up_and_keep_the_longest_wait() -> None:
    one = Tally("phase", commands=1, errors=2, unknown_writes=3, longest_wait_s=0.5)
    one.add(Tally("other", commands=10, lost_writes=4, wrong_answers=5, longest_wait_s=0.2))

    assert one == Tally(
        "phase",
        commands=11,
        errors=2,
        unknown_writes=3,
        lost_writes=4,
        wrong_answers=5,
        longest_wait_s=0.5,
    )
