"""Generated dialogues: equal replies, RESP2 and RESP3, one at a time and pipelined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.effort import EFFORT
from differential.requests import Request, dialogues
from differential.sides import Pair

pytestmark = pytest.mark.live

WITH_DATA = st.sampled_from([False, True, True])


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(requests=dialogues(), with_data=WITH_DATA)
def test_one_request_at_a_time_is_answered_as_by_a_standalone_server(
    pair: Pair, resp: int, requests: list[Request], with_data: bool
) -> None:
    pair.start_afresh(with_data=with_data)

    pair.compare(requests, resp=resp)


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(
    requests=dialogues(),
    with_data=WITH_DATA,
    cuts=st.lists(st.integers(0, 1 << 20), max_size=8),
)
def test_pipelined_requests_cut_anywhere_are_answered_as_by_a_standalone_server(
    pair: Pair, resp: int, requests: list[Request], with_data: bool, cuts: list[int]
) -> None:
    pair.start_afresh(with_data=with_data)

    pair.compare(requests, resp=resp, cuts=cuts)
