"""Refusals: what each error line says, and which lines are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.addresses import Address
from proxy.cluster.redirects import (
    Ask,
    ClusterDown,
    Loading,
    MasterDown,
    Moved,
    ReadOnly,
    Refusal,
    TryAgain,
    parse_refusal,
)

ASKED = Address("10.0.0.5", 7000)

REFUSALS: dict[bytes, Refusal] = {
    b"MOVED 3999 127.0.0.1:6381": Moved(3999, Address("127.0.0.1", 6381)),
    b"MOVED 0 redis-1.example:6379": Moved(0, Address("redis-1.example", 6379)),
    b"MOVED 16383 ::1:6379": Moved(16383, Address("::1", 6379)),
    b"MOVED 3999 :6381": Moved(3999, Address("10.0.0.5", 6381)),
    b"MOVED 3999 ?:6381": Moved(3999, Address("10.0.0.5", 6381)),
    b"ASK 3999 127.0.0.1:6381": Ask(3999, Address("127.0.0.1", 6381)),
    b"TRYAGAIN Multiple keys request during rehashing of slot": TryAgain(),
    b"LOADING Redis is loading the dataset in memory": Loading(),
    b"CLUSTERDOWN Hash slot not served": ClusterDown(),
    b"CLUSTERDOWN The cluster is down": ClusterDown(),
    b"READONLY You can't write against a read only replica.": ReadOnly(),
    b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": (
        MasterDown()
    ),
}


@pytest.mark.parametrize(("line", "refusal"), REFUSALS.items())
def test_a_refusal_is_read(line: bytes, refusal: Refusal) -> None:
    assert parse_refusal(b"-%b\r\n" % line, ASKED) == refusal


@pytest.mark.parametrize(
    "line",
    [
        b"ERR no such key",
        b"WRONGTYPE Operation against a key holding the wrong kind of value",
        b"MOVEDX 1 h:1",
        b"moved 1 h:1",
        b"MOVED",
        b"MOVED 1",
        b"MOVED 16384 h:1",
        b"MOVED -1 h:1",
        b"MOVED x h:1",
        b"MOVED 1 h:0",
        b"MOVED 1 h",
        b"ASK 1 \xff:1",
        b"",
    ],
)
def test_any_other_error_is_for_the_client(line: bytes) -> None:
    assert parse_refusal(b"-%b\r\n" % line, ASKED) is None


def test_what_a_script_ran_into_is_no_refusal_of_the_script() -> None:
    line = (
        b"-READONLY You can't write against a read only replica. script: "
        b"0e2d9b6a5d8d5d1bfa7b2d4b1f0d3ddd25e9ee8c, on @user_script:1.\r\n"
    )

    assert parse_refusal(line, ASKED) is None


@given(st.sampled_from([b"-MOVED ", b"-ASK ", b"-", b""]), st.binary())
def test_no_bytes_make_it_raise(start: bytes, rest: bytes) -> None:
    parse_refusal(start + rest, ASKED)
