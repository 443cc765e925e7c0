"""Where the elements of a push begin and end, and when a lost connection is made again."""

from __future__ import annotations

import pytest
import trio

from proxy.control.hub_link import read_bulk
from proxy.control.trouble import Trouble

FRAME = b">3\r\n$7\r\nmessage\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\n"


def test_bulk_strings_are_read_one_after_another() -> None:
    word, at = read_bulk(FRAME, 4)
    channel, at = read_bulk(FRAME, at)
    payload, end = read_bulk(FRAME, at)

    assert (word, channel, payload) == (b"message", b"", b"\r\n\r\n")
    assert end == len(FRAME)


@pytest.mark.parametrize("other", [b"$-1\r\n", b"_\r\n", b"*1\r\n", b":5\r\n", b"", b"$"])
def test_what_is_no_bulk_string_is_read_as_nothing(other: bytes) -> None:
    text, end = read_bulk(b">1\r\n" + other, 4)

    assert text == b""
    assert end == 4 + len(other)


async def test_a_first_failure_is_tried_again_at_once_and_later_ones_after_a_while(
    autojump_clock: object,
) -> None:
    trouble = Trouble()
    waits = [trouble.note() - trio.current_time() for _ in range(8)]
    await trio.sleep(10)
    later = trouble.note() - trio.current_time()

    assert waits[0] == 0
    assert waits[1:] == sorted(waits[1:])
    assert 0 < waits[1] < waits[-1] <= 0.11
    assert later == 0
