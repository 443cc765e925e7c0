"""Several reply frames to one."""

from __future__ import annotations

import pytest

from proxy.commands.spec import Merge
from proxy.control.merges import (
    CannotMerge,
    join_arrays,
    merge_frames,
    running_or_first,
    sum_by_name,
    union,
)

MERGES = {
    "sum": (Merge.SUM, [b":1\r\n", b":20\r\n", b":0\r\n"], b":21\r\n"),
    "smallest": (Merge.MIN, [b":3\r\n", b":-2\r\n"], b":-2\r\n"),
    "largest": (Merge.MAX, [b":3\r\n", b":-2\r\n"], b":3\r\n"),
    "and": (Merge.AND, [b":1\r\n", b":0\r\n"], b":0\r\n"),
    "or": (Merge.OR, [b":1\r\n", b":0\r\n"], b":1\r\n"),
    "and, by place": (
        Merge.AND,
        [b"*3\r\n:1\r\n:1\r\n:0\r\n", b"*3\r\n:1\r\n:0\r\n:0\r\n"],
        b"*3\r\n:1\r\n:0\r\n:0\r\n",
    ),
    "sum, by place": (Merge.SUM, [b"*1\r\n:1\r\n", b"*1\r\n:2\r\n"], b"*1\r\n:3\r\n"),
    "the first, as it is": (Merge.ALL_OK, [b"+OK\r\n", b"$2\r\nOK\r\n"], b"+OK\r\n"),
    "arrays": (
        Merge.ARRAY,
        [b"*1\r\n$1\r\na\r\n", b"*0\r\n", b"*2\r\n*1\r\n:1\r\n$-1\r\n"],
        b"*3\r\n$1\r\na\r\n*1\r\n:1\r\n$-1\r\n",
    ),
    "RESP3 sets": (Merge.ARRAY, [b"~1\r\n_\r\n", b"~1\r\n#t\r\n"], b"~2\r\n_\r\n#t\r\n"),
}


@pytest.mark.parametrize(("merge", "frames", "expected"), MERGES.values(), ids=MERGES.keys())
def test_replies_become_one(merge: Merge, frames: list[bytes], expected: bytes) -> None:
    assert merge_frames(merge, frames) == expected


STRANGERS = {
    "a sum of texts": (Merge.SUM, [b"$1\r\n1\r\n", b":1\r\n"]),
    "a sum of booleans": (Merge.SUM, [b"#t\r\n", b":1\r\n"]),
    "rows of different lengths": (Merge.AND, [b"*1\r\n:1\r\n", b"*2\r\n:1\r\n:1\r\n"]),
    "rows of texts": (Merge.AND, [b"*1\r\n$1\r\n1\r\n", b"*1\r\n:1\r\n"]),
    "an array and a set": (Merge.ARRAY, [b"*0\r\n", b"~0\r\n"]),
    "a null array": (Merge.ARRAY, [b"*-1\r\n", b"*0\r\n"]),
    "maps": (Merge.ARRAY, [b"%0\r\n", b"%0\r\n"]),
    "what has its own code": (Merge.SPECIAL, [b":1\r\n"]),
}


@pytest.mark.parametrize(("merge", "frames"), STRANGERS.values(), ids=STRANGERS.keys())
def test_what_does_not_fit_is_not_guessed(merge: Merge, frames: list[bytes]) -> None:
    with pytest.raises(CannotMerge):
        merge_frames(merge, frames)


def test_elements_of_arrays_are_not_looked_at() -> None:
    # hiredis would refuse this body.
    assert join_arrays([b"*1\r\n?!\r\n", b"*1\r\n?!\r\n"]) == b"*2\r\n?!\r\n?!\r\n"


def test_a_channel_with_subscribers_on_two_nodes_comes_once() -> None:
    frames = [b"*2\r\n$1\r\nb\r\n$1\r\na\r\n", b"*2\r\n$1\r\na\r\n$1\r\nc\r\n"]

    assert union(frames) == b"*3\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n"


def test_subscribers_are_added_up_by_channel() -> None:
    frames = [
        b"*4\r\n$1\r\na\r\n:1\r\n$1\r\na\r\n:1\r\n",
        b"*4\r\n$1\r\na\r\n:2\r\n$1\r\na\r\n:2\r\n",
    ]

    assert sum_by_name(frames) == b"*4\r\n$1\r\na\r\n:3\r\n$1\r\na\r\n:3\r\n"


def test_subscribers_of_different_channels_are_not_added_up() -> None:
    with pytest.raises(CannotMerge):
        sum_by_name([b"*2\r\n$1\r\na\r\n:1\r\n", b"*2\r\n$1\r\nb\r\n:1\r\n"])


RUNNING = {
    "RESP2": (
        b"*4\r\n$14\r\nrunning_script\r\n$-1\r\n$7\r\nengines\r\n*0\r\n",
        b"*4\r\n$14\r\nrunning_script\r\n*2\r\n$4\r\nname\r\n$1\r\nf\r\n$7\r\nengines\r\n*0\r\n",
    ),
    "RESP3": (
        b"%2\r\n$14\r\nrunning_script\r\n_\r\n$7\r\nengines\r\n%0\r\n",
        b"%2\r\n$14\r\nrunning_script\r\n%1\r\n$4\r\nname\r\n$1\r\nf\r\n$7\r\nengines\r\n%0\r\n",
    ),
}


@pytest.mark.parametrize(("idle", "busy"), RUNNING.values(), ids=RUNNING.keys())
def test_the_server_that_runs_a_function_tells_of_it(idle: bytes, busy: bytes) -> None:
    assert running_or_first([idle, busy, idle]) == busy
    assert running_or_first([idle, idle]) == idle
