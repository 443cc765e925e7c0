"""Slots dealt out in shares, and written as ranges and read again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.slots import SLOT_COUNT, parse_slot_text, share_slots, slot_text


@given(st.integers(1, 1000))
def test_all_slots_are_dealt_out_in_shares_that_differ_by_one(shards: int) -> None:
    shares = share_slots(shards)

    assert shares[0][0] == 0
    assert shares[-1][1] == SLOT_COUNT - 1
    assert all(earlier[1] + 1 == later[0] for earlier, later in pairwise(shares))
    sizes = {last - first + 1 for first, last in shares}
    assert max(sizes) - min(sizes) <= 1


def test_three_shards_get_what_redis_cli_gives_them() -> None:
    assert share_slots(3) == [(0, 5460), (5461, 10922), (10923, 16383)]


@given(st.sets(st.integers(0, SLOT_COUNT - 1)))
def test_slots_are_read_as_they_were_written(slots: set[int]) -> None:
    assert parse_slot_text(slot_text(sorted(slots))) == tuple(sorted(slots))


def test_slots_are_written_in_ranges() -> None:
    assert slot_text([]) == ""
    assert slot_text([1, 2, 3, 7, 9, 10]) == "1-3 7 9-10"


@pytest.mark.parametrize(
    "text",
    ["x", "1-", "-1", "16384", "99999", "20000-30000", "0-99999999999", "1,2", "5-3", "0-3 2"],
)
def test_what_is_no_slot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"slots|int"):
        parse_slot_text(text)
