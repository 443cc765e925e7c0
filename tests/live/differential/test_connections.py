"""What belongs to a connection: reply modes, its end, and bytes that are no RESP.

The whole streams of answers are compared, because there is not one answer to each
request.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.effort import EFFORT
from differential.sides import Pair
from differential.wire import RawConnection
from proxy.cluster.topology import Address
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

# Answered in every reply mode, by all that is before it; QUIT then ends the stream.
ENDING = encode_command("CLIENT", "REPLY", "ON") + encode_command("QUIT")

REPLY_MODES = st.lists(
    st.sampled_from(
        [
            (b"CLIENT", b"REPLY", b"SKIP"),
            (b"CLIENT", b"REPLY", b"OFF"),
            (b"CLIENT", b"REPLY", b"ON"),
            (b"CLIENT", b"REPLY", b"NOSUCH"),
            (b"PING",),
            (b"SET", b"a", b"1"),
            (b"INCR", b"a"),
            (b"GET", b"a"),
            (b"MGET", b"a", b"b", b"c"),
            (b"DBSIZE",),
            (b"SET", b"a"),
            (b"NOSUCH",),
            (b"HELLO", b"abc"),
            (b"RESET",),
        ]
    ),
    max_size=20,
)

# Not here: the limits that are settings, and GET "a"b, which Valkey 9.1 takes and Redis does not.
BROKEN = [
    b"*1\r\n$abc\r\n",
    b"*1\r\n:4\r\n",
    b"*1\r\n$-1\r\n",
    b"*abc\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1\r\n$536870913\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b'GET "a\r\n',
    b"GET 'a\r\n",
]
WITHOUT_END = [70_000 * b"a", b"*" + 70_000 * b"1", b"*1\r\n$" + 70_000 * b"1"]
HARMLESS = [
    b"+PING\r\n",
    b":1\r\n",
    b"$4\r\nPING\r\n",
    b"\r\n",
    b"\n\n",
    b"   \r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*-5\r\n",
    b"PING\n",
    b"  PING  \r\n",
    b"PING\thi\r\n",
    b"ping 'it\\'s' \r\n",
    b'ECHO "\\x41\\n\\r\\t\\b\\a\\\\\\"\\q"\r\n',
    b"ECHO ''\r\n",
    b'ECHO ""\r\n',
    b"ECHO \xfe\r\n",
    b"ECHO " + 60_000 * b"e" + b"\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"*1\r\n$20\r\n" + 20 * b"\xff" + b"\r\n",
]


def whole_answer(address: Address, data: bytes, cuts: list[int]) -> bytes:
    """Return all that comes back until the connection ends."""
    with RawConnection(address) as connection:
        connection.send(data, cuts)
        return connection.receive_rest()


@EFFORT
@given(words=REPLY_MODES, cuts=st.lists(st.integers(0, 1 << 16), max_size=5))
def test_the_same_replies_are_left_out(
    pair: Pair, words: list[tuple[bytes, ...]], cuts: list[int]
) -> None:
    pair.start_afresh()
    data = b"".join(encode_command(*request) for request in words) + ENDING

    expected, got = (whole_answer(address, data, cuts) for address in (pair.server, pair.proxy))

    assert got == expected, data


@pytest.mark.parametrize("broken", BROKEN, ids=lambda data: repr(data[:24]))
def test_what_is_no_request_gets_the_same_error_and_ends_the_connection(
    pair: Pair, broken: bytes
) -> None:
    pair.start_afresh()
    data = encode_command("SET", "a", "1") + broken + encode_command("GET", "a")

    expected, got = (whole_answer(address, data, []) for address in (pair.server, pair.proxy))

    assert got == expected


@pytest.mark.parametrize("endless", WITHOUT_END, ids=lambda data: repr(data[:8]))
def test_a_line_without_end_gets_the_same_error_and_ends_the_connection(
    pair: Pair, endless: bytes
) -> None:
    expected, got = (whole_answer(address, endless, []) for address in (pair.server, pair.proxy))

    assert got == expected


@EFFORT
@given(
    lines=st.lists(st.sampled_from(HARMLESS), max_size=8),
    cuts=st.lists(st.integers(0, 1 << 17), max_size=8),
)
def test_odd_but_lawful_bytes_get_the_same_answers(
    pair: Pair, lines: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(lines) + ENDING

    expected, got = (whole_answer(address, data, cuts) for address in (pair.server, pair.proxy))

    assert got == expected, data


@pytest.mark.parametrize("quit_words", [("QUIT",), ("QUIT", "now"), ("quit",)])
def test_quit_is_answered_after_all_before_it_and_ends_the_connection(
    pair: Pair, quit_words: tuple[str, ...]
) -> None:
    pair.start_afresh(with_data=True)
    data = (
        encode_command("MGET", "{a}string1", "{b}string1", "{c}string1")
        + encode_command("DBSIZE")
        + encode_command(*quit_words)
        + encode_command("PING")
    )

    expected, got = (whole_answer(address, data, []) for address in (pair.server, pair.proxy))

    assert got == expected
