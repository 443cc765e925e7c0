"""The checker itself can fail: each kind of wrong reply is found."""

from __future__ import annotations

import time
from collections.abc import Sequence

import hiredis
import pytest
from traffic_models import ALL_SLOTS, Counter, Log, Model, Register, Spread, Standing

from proxy.resp.decode import Value

UNKNOWN = hiredis.ReplyError("IOERR outcome unknown: the command may or may not have run")
REFUSED = hiredis.ReplyError("CLUSTERDOWN it did not run")


def first_finding(model: Model, replies: Sequence[Value]) -> str | None:
    """Give the replies to the model's requests and return what it finds wrong first."""
    for (_, judge), reply in zip(model.requests(), replies, strict=False):
        finding = judge(reply)
        if finding is not None:
            return finding
    return None


def last_finding(model: Model, replies: Sequence[Value], held: Sequence[Value]) -> str | None:
    """As ``first_finding``, and then give what the server holds at the end."""
    finding = first_finding(model, replies)
    for (_, judge), value in zip(model.last_look(), held, strict=True):
        finding = finding or judge(value)
    return finding


def log(*numbers: int) -> bytes:
    return b"".join(b"%08d" % number for number in numbers)


RIGHT = {
    "counted": (Counter(b"k"), [1, 2, 3], [b"3"]),
    "an unknown one ran": (Counter(b"k"), [1, UNKNOWN, 3], [b"3"]),
    "an unknown one did not run": (Counter(b"k"), [1, UNKNOWN, 2], [b"2"]),
    "a refused one did not run": (Counter(b"k"), [1, REFUSED, 2], [b"2"]),
    "in order": (Log(b"k", ALL_SLOTS), [8, 16, UNKNOWN, 32], [log(0, 1, 2, 3)]),
    "one unknown is not there": (Log(b"k", ALL_SLOTS), [8, UNKNOWN, 16], [log(0, 2)]),
    "set and got": (Register(b"k"), [b"OK", b"k=0", b"OK", b"k=1"], [b"k=1"]),
    "the old value after an unknown": (Register(b"k"), [b"OK", b"k=0", UNKNOWN, b"k=0"], [b"k=0"]),
    "half set": (Spread([b"a", b"b"]), [UNKNOWN, [b"all=0", None]], [b"all=0", None]),
    "standing": (Standing(b"k"), [b"OK", b"standing=k"], [b"standing=k"]),
}

WRONG = {
    "counted twice": (Counter(b"k"), [1, 3], []),
    "counted never": (Counter(b"k"), [1, 1], []),
    "a refused one ran": (Counter(b"k"), [1, REFUSED, 3], []),
    "an acknowledged one is lost": (Counter(b"k"), [1, 2], [b"1"]),
    "an unknown one ran twice": (Counter(b"k"), [1, UNKNOWN], [b"3"]),
    "a reply for somebody else": (Counter(b"k"), [b"OK"], []),
    "another order": (Log(b"k", ALL_SLOTS), [8, 16], [log(1, 0)]),
    "a record twice": (Log(b"k", ALL_SLOTS), [8, UNKNOWN, 24], [log(0, 1, 1, 2)]),
    "a record is lost": (Log(b"k", ALL_SLOTS), [8, 16], [log(1)]),
    "a refused record is there": (Log(b"k", ALL_SLOTS), [8, REFUSED, 16], [log(0, 1, 2)]),
    "too long": (Log(b"k", ALL_SLOTS), [8, 24], []),
    "an old value": (Register(b"k"), [b"OK", b"k=0", b"OK", b"k=0"], []),
    "no value": (Register(b"k"), [b"OK", None], []),
    "another value at the end": (Register(b"k"), [b"OK", b"k=0"], [b"k=1"]),
    "values in another order": (Spread([b"a", b"b"]), [b"OK", [b"all=0"]], []),
    "one value is old": (Spread([b"a", b"b"]), [b"OK", [b"all=0", None]], []),
    "not standing": (Standing(b"k"), [b"OK", REFUSED], []),
}


def test_what_a_crash_takes_with_it_is_accepted_and_no_more() -> None:
    counter, register = Counter(b"k"), Register(b"k")
    first_finding(counter, [1, 2])
    first_finding(register, [b"OK", b"k=0", b"OK"])
    before_the_third = time.monotonic()
    first_finding(counter, [3])
    first_finding(register, [b"OK", b"k=0"])

    counter.doubt_since(before_the_third)
    register.doubt_since(before_the_third)

    assert last_finding(counter, [], [b"2"]) is None
    assert last_finding(counter, [], [b"1"]) is not None
    assert last_finding(register, [], [b"k=1"]) is None


@pytest.mark.parametrize(("model", "replies", "held"), RIGHT.values(), ids=RIGHT)
def test_what_may_be_is_accepted(model: Model, replies: list[Value], held: list[Value]) -> None:
    assert last_finding(model, replies, held) is None


@pytest.mark.parametrize(("model", "replies", "held"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_found(model: Model, replies: list[Value], held: list[Value]) -> None:
    finding = last_finding(model, replies, held) if held else first_finding(model, replies)

    assert finding is not None
