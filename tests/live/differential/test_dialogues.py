"""Generated dialogues: equal replies, RESP2 and RESP3, one at a time and pipelined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.effort import EFFORT
from differential.requests import Request, dialogues
from differential.sides import Pair
from differential.vocabulary import KINDS, TAGS
from differential.wire import RawConnection, parse_whole
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

WITH_DATA = st.sampled_from([False, True, True])


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(requests=dialogues(), with_data=WITH_DATA)
def test_one_request_at_a_time_is_answered_as_by_a_standalone_server(
    pair: Pair, resp: int, requests: list[Request], with_data: bool
) -> None:
    pair.compare_afresh(requests, with_data=with_data, resp=resp)


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
    pair.compare_afresh(requests, with_data=with_data, resp=resp, cuts=cuts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dump_of_either_side_is_restored_by_the_other(pair: Pair, kind: str) -> None:
    pair.start_afresh(with_data=True)
    key = b"{b}%b1" % kind.encode()

    for address in (pair.server, pair.proxy):
        with RawConnection(address) as client:
            payload = parse_whole(client.say(encode_command("DUMP", key))).text
        pair.compare(
            [
                Request((b"RESTORE", b"copy", b"0", payload)),
                Request((b"RESTORE", b"copy", b"0", payload)),
                Request((b"RESTORE", b"copy", b"100000", payload, b"REPLACE")),
                Request((b"TYPE", b"copy")),
                Request((b"OBJECT", b"ENCODING", b"copy")),
                Request((b"DUMP", b"copy")),
                Request((b"DEL", b"copy")),
            ]
        )


@pytest.mark.parametrize("numkeys", [b"1.5", b"01", b" 1", b"+1", b"1x", b"0x1"])
def test_a_number_of_keys_that_servers_read_in_two_ways_is_refused_as_by_one_server(
    pair: Pair, numkeys: bytes
) -> None:
    # While looking for the keys a node takes "1.5" for 1, and says MOVED; then it refuses it.
    requests = [
        Request((*words, numkeys, tag + b"key", b"LEFT"))
        for tag in TAGS
        for words in ((b"EVAL", b"return 1"), (b"LMPOP",), (b"SINTERCARD",), (b"FCALL", b"echo"))
    ]

    pair.compare_afresh(requests, with_data=True, resp=2)
