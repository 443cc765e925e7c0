"""Every target, with inputs of hypothesis's own and with those that once went wrong.

An input that goes wrong is printed as hexadecimal digits; make it a line of
``corpus/TARGET.hex``, which is tried first in every run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lots import Lots
from pace import PACE
from targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
# The same cases in every run, unless new ones are asked for, and then many more.
LOOKS_FOR_NEW = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
FACTOR = 50 if LOOKS_FOR_NEW else 1


def kept(name: str) -> list[bytes]:
    """Return the inputs that are kept for a target."""
    path = CORPUS / f"{name}.hex"
    return [bytes.fromhex(line) for line in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_goes_well(name: str) -> None:
    for data in kept(name):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes_go_well(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=target.drawn * FACTOR,
        deadline=None,
        derandomize=not LOOKS_FOR_NEW,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=target.longest))
    def run(data: bytes) -> None:
        run_one(name, data)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_long_inputs_go_well(name: str) -> None:
    target = TARGETS[name]
    # hypothesis draws short inputs; a long one is a case in which much happens.
    dice = random.Random(None if LOOKS_FOR_NEW else name)

    for _ in range(int(target.cases * FACTOR / PACE)):
        run_one(name, dice.randbytes(dice.randrange(target.longest)))


def run_one(name: str, data: bytes) -> None:
    """Run a target, and say with what if it goes wrong."""
    try:
        TARGETS[name].run(data)
    except BaseException:
        print(f"{name}: {data.hex()}")
        raise


def test_lots_are_drawn_from_the_front_and_end_with_the_first_choice() -> None:
    lots = Lots(b"\x05\x01\x02rest")

    assert lots.choice("abc") == "c"
    assert lots.below(1000) == 0x0102
    assert lots.take(2) == b"re"
    assert lots
    assert (lots.rest(), lots.byte(), lots.choice("abc")) == (b"st", 0, "a")
    assert not lots


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_goes_through_something(name: str) -> None:
    """A target that looks at nothing would never fail: it takes more than it is given first."""
    TARGETS[name].run(b"")
    TARGETS[name].run(bytes(range(256)))
