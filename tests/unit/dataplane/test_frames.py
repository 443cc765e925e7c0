"""Requests and replies are cut out of a stream, however the stream itself is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dataplane.frames import ReplyStream, RequestStream
from proxy.errors import BackendProtocolError, ClientProtocolError
from proxy.resp.encode import encode_command


class Stream(Protocol):
    """What both streams have."""

    def feed(self, data: bytes) -> list[object]:
        """Return what became whole."""


def feed_all(stream: Stream, pieces: list[bytes]) -> tuple[list[object], str]:
    """Return what came out before the first error, and that error's words."""
    found: list[object] = []
    for piece in pieces:
        try:
            found += stream.feed(piece)
        except (ClientProtocolError, BackendProtocolError) as problem:
            return found, str(problem)
    return found, ""


def feed_every_way(new_stream: Callable[[], Stream], wire: bytes, frames: list[object]) -> None:
    """Feed whole, each cut in two, byte by byte, three in a row, and with a trailing half."""
    assert new_stream().feed(wire) == frames, "whole"
    for at in range(len(wire) + 1):
        assert feed_all(new_stream(), [wire[:at], wire[at:]]) == (frames, ""), f"cut at {at}"
    assert feed_all(new_stream(), single_bytes(wire)) == (frames, ""), "byte by byte"
    assert new_stream().feed(wire * 3) == frames * 3, "three in a row"
    for at in range(1, len(wire)):
        stream = new_stream()
        assert stream.feed(wire + wire[:at]) == frames, f"trailing {at} bytes"
        assert stream.feed(wire[at:]) == frames, f"the rest after {at} bytes"


def single_bytes(wire: bytes) -> list[bytes]:
    """Return the bytes one by one."""
    return [wire[at : at + 1] for at in range(len(wire))]


def cut(wire: bytes, places: list[int]) -> list[bytes]:
    """Return the pieces between the places (taken modulo the length)."""
    edges = sorted({0, len(wire), *(place % (len(wire) + 1) for place in places)})
    return [wire[start:end] for start, end in pairwise(edges)]


# ---- replies --------------------------------------------------------------------

WHOLE_REPLIES = {
    "simple string": b"+OK\r\n",
    "empty simple string": b"+\r\n",
    "error": b"-MOVED 3999 127.0.0.1:6381\r\n",
    "integer": b":-42\r\n",
    "bulk string": b"$5\r\nhello\r\n",
    "bulk string of line ends": b"$6\r\n\r\n+\r\n$\r\n",
    "empty bulk string": b"$0\r\n\r\n",
    "null bulk string": b"$-1\r\n",
    "array": b"*3\r\n:1\r\n$1\r\na\r\n+b\r\n",
    "empty array": b"*0\r\n",
    "null array": b"*-1\r\n",
    "nested arrays": b"*2\r\n*2\r\n*0\r\n*1\r\n$-1\r\n*-1\r\n",
    "null": b"_\r\n",
    "boolean": b"#t\r\n",
    "double": b",-1.5e+10\r\n",
    "infinite double": b",inf\r\n",
    "big number": b"(3492890328409238509324850943850943825024385\r\n",
    "bulk error": b"!21\r\nSYNTAX invalid syntax\r\n",
    "verbatim string": b"=15\r\ntxt:Some string\r\n",
    "map": b"%2\r\n+first\r\n:1\r\n$6\r\nsecond\r\n*1\r\n_\r\n",
    "empty map": b"%0\r\n",
    "set": b"~2\r\n+orange\r\n#f\r\n",
    "push": b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nfoo\r\n",
    "attribute before a value": b"|1\r\n+ttl\r\n:3600\r\n$3\r\nbar\r\n",
    "attribute inside an array": b"*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n",
    "attribute of an attribute's value": b"|1\r\n+a\r\n|1\r\n+b\r\n:1\r\n:2\r\n+v\r\n",
    "map in a set in a map": b"%1\r\n~1\r\n%1\r\n+k\r\n+v\r\n>1\r\n_\r\n",
    "aggregates to a depth of 20": b"*1\r\n" * 20 + b":1\r\n",
}


@pytest.mark.parametrize("wire", WHOLE_REPLIES.values(), ids=WHOLE_REPLIES.keys())
def test_a_reply_comes_out_as_it_went_in(wire: bytes) -> None:
    feed_every_way(ReplyStream, wire, [wire])


def test_replies_in_a_row_come_out_one_by_one() -> None:
    wires = list(WHOLE_REPLIES.values())

    assert ReplyStream().feed(b"".join(wires)) == wires


BROKEN_REPLIES = {
    "no type": (b"hello\r\n", "BAD_TYPE"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n", "BAD_TYPE"),
    "an inner value without a type": (b"*2\r\n:1\r\nx\r\n", "BAD_TYPE"),
    "a line that ends in LF alone": (b"+OK\n", "BAD_LENGTH"),
    "nothing but a line end": (b"\r\n", "BAD_TYPE"),
    "a length that is no number": (b"$5x\r\n", "BAD_LENGTH"),
    "no length": (b"$\r\n", "BAD_LENGTH"),
    "a length with a sign": (b"$+5\r\n", "BAD_LENGTH"),
    "a length with a leading zero": (b"$05\r\n", "BAD_LENGTH"),
    "a length below null": (b"$-2\r\n", "BAD_LENGTH"),
    "minus nothing": (b"*-\r\n", "BAD_LENGTH"),
    "minus zero": (b"*-0\r\n", "BAD_LENGTH"),
    "19 digits": (b"$1000000000000000000\r\n", "BAD_LENGTH"),
    "a streamed string": (b"$?\r\n", "BAD_LENGTH"),
    "a streamed array": (b"*?\r\n", "BAD_LENGTH"),
    "a length line without end": (b"$" + b"1" * 32, "HEADER_TOO_LONG"),
}


@pytest.mark.parametrize(("wire", "fault"), BROKEN_REPLIES.values(), ids=BROKEN_REPLIES.keys())
def test_what_is_no_reply_is_refused_however_it_is_cut(wire: bytes, fault: str) -> None:
    for pieces in ([wire], single_bytes(wire), [b"+OK\r\n" + wire[:1], wire[1:]]):
        assert feed_all(ReplyStream(), pieces)[1] == fault


VALUES_LIMIT = 1 << 40  # of frames.pyx


@pytest.mark.parametrize(
    ("at_limit", "over"),
    [
        (b"*%d\r\n" % VALUES_LIMIT, b"*%d\r\n" % (VALUES_LIMIT + 1)),
        (b"%%%d\r\n" % (VALUES_LIMIT // 2), b"%%%d\r\n" % (VALUES_LIMIT // 2 + 1)),
        (b"*2\r\n*%d\r\n" % (VALUES_LIMIT - 1), b"*2\r\n*%d\r\n" % VALUES_LIMIT),
        (b"$%d\r\n" % VALUES_LIMIT, b"$%d\r\n" % (VALUES_LIMIT + 1)),
        (b"$" + b"1" * 31, b"$" + b"1" * 32),
    ],
    ids=["array", "map", "nested", "bulk string", "length line"],
)
def test_a_reply_may_announce_as_much_as_the_limit_and_no_more(
    at_limit: bytes, over: bytes
) -> None:
    assert ReplyStream().feed(at_limit) == []
    with pytest.raises(BackendProtocolError):
        ReplyStream().feed(over)


# ---- requests -------------------------------------------------------------------

WHOLE_REQUESTS = {
    "one argument": (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]),
    "several": (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\na\r\n\r\n", [[b"SET", b"k", b"a\r\n"]]),
    "an empty argument": (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", [[b"ECHO", b""]]),
    "more arguments than there is room for at first": (
        encode_command(*[b"%d" % n for n in range(40)]),
        [[b"%d" % n for n in range(40)]],
    ),
    "inline": (b"GET key\r\n", [[b"GET key"]]),
    "inline, LF alone": (b"GET key\n", [[b"GET key"]]),
    "a blank line": (b"\r\n", []),
    "an empty line": (b"\n", []),
    "an empty array": (b"*0\r\n", []),
    "a null array": (b"*-1\r\n", []),
    "a negative count": (b"*-5\r\n", []),
}


def test_both_kinds_of_request_may_come_by_turns() -> None:
    wire = b"PING\r\n*1\r\n$4\r\nPING\r\n\r\nQUIT\r\n"

    for pieces in ([wire], single_bytes(wire)):
        assert feed_all(RequestStream(), pieces) == ([[b"PING"], [b"PING"], [b"QUIT"]], "")


@pytest.mark.parametrize(("wire", "requests"), WHOLE_REQUESTS.values(), ids=WHOLE_REQUESTS.keys())
def test_a_request_comes_out_as_its_arguments(wire: bytes, requests: list[object]) -> None:
    feed_every_way(RequestStream, wire, requests)


BROKEN_REQUESTS = {
    "a count that is no number": (b"*x\r\n", "BAD_COUNT"),
    "no count": (b"*\r\n", "BAD_COUNT"),
    "a count with a leading zero": (b"*01\r\n", "BAD_COUNT"),
    "a count with a sign": (b"*+1\r\n", "BAD_COUNT"),
    "a count line that ends in LF alone": (b"*1\n", "BAD_COUNT"),
    "a count line without end": (b"*" + b"1" * 32, "HEADER_TOO_LONG"),
    "a count line that ends too late": (b"*" + b"1" * 40 + b"\r\n", "HEADER_TOO_LONG"),
    "an argument that is no bulk string": (b"*1\r\n:1\r\n", "NOT_A_BULK"),
    "an inline command among arguments": (b"*1\r\nPING\r\n", "NOT_A_BULK"),
    "a length that is no number": (b"*1\r\n$x\r\n", "BAD_LENGTH"),
    "a null argument": (b"*1\r\n$-1\r\n", "BAD_LENGTH"),
    "a length line that ends in LF alone": (b"*1\r\n$4\n", "BAD_LENGTH"),
    "a length line without end": (b"*1\r\n$" + b"1" * 32, "LENGTH_TOO_LONG"),
    "an argument longer than it says": (b"*1\r\n$4\r\nPINGS\r\n", "BAD_LINE_END"),
    "an argument that ends in CR alone": (b"*1\r\n$4\r\nPING\r\r\n", "BAD_LINE_END"),
}


@pytest.mark.parametrize(("wire", "fault"), BROKEN_REQUESTS.values(), ids=BROKEN_REQUESTS.keys())
def test_what_is_no_request_is_refused_however_it_is_cut(wire: bytes, fault: str) -> None:
    for pieces in ([wire], single_bytes(wire), [b"PING\r\n" + wire[:1], wire[1:]]):
        assert feed_all(RequestStream(), pieces)[1] == fault


LIMITS = {
    "arguments": (
        {"argument_limit": 3},
        encode_command(b"DEL", b"a", b"b"),
        encode_command(b"DEL", b"a", b"b", b"c"),
        "TOO_MANY_ARGUMENTS",
    ),
    "bytes of an argument": (
        {"argument_limit_bytes": 10},
        encode_command(b"ECHO", b"x" * 10),
        encode_command(b"ECHO", b"x" * 11),
        "ARGUMENT_TOO_LONG",
    ),
    "bytes of an inline command": (
        {"inline_limit_bytes": 10},
        b"GET " + b"k" * 4 + b"\r\n",
        b"GET " + b"k" * 5 + b"\r\n",
        "LINE_TOO_LONG",
    ),
    "bytes of an inline command without end": (
        {"inline_limit_bytes": 10},
        b"k" * 10,
        b"k" * 11,
        "LINE_TOO_LONG",
    ),
    "bytes of a request, the last line end not counted": (
        {"request_limit_bytes": 30},
        b"*2\r\n$4\r\nECHO\r\n$11\r\n" + b"x" * 11 + b"\r\n",
        b"*2\r\n$4\r\nECHO\r\n$12\r\n" + b"x" * 12 + b"\r\n",
        "FRAME_TOO_LONG",
    ),
    "bytes of a count line": (
        {},
        b"*" + b"1" * 31,
        b"*" + b"1" * 32,
        "HEADER_TOO_LONG",
    ),
}


@pytest.mark.parametrize(
    ("limits", "at_limit", "over", "fault"), LIMITS.values(), ids=LIMITS.keys()
)
def test_a_limit_holds_at_n_and_is_named_at_n_plus_1(
    limits: dict[str, int], at_limit: bytes, over: bytes, fault: str
) -> None:
    for cut_up in (lambda wire: [wire], single_bytes):
        assert feed_all(RequestStream(**limits), cut_up(at_limit))[1] == ""
        assert feed_all(RequestStream(**limits), cut_up(over))[1] == fault


def test_a_frame_over_a_limit_is_refused_before_its_bytes_have_come() -> None:
    stream = RequestStream(argument_limit_bytes=1000)

    with pytest.raises(ClientProtocolError, match="ARGUMENT_TOO_LONG"):
        stream.feed(b"*2\r\n$3\r\nGET\r\n$1001\r\n")


# ---- both, generated --------------------------------------------------------------

lines = st.binary(max_size=8).map(lambda text: text.translate(None, b"\r\n"))
short = st.binary(max_size=40)


def aggregate(kind: bytes, children: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return frames of one aggregate type; a map's children come in pairs."""
    width = 2 if kind in b"%|" else 1
    return st.lists(children, max_size=6).map(
        lambda frames: (
            b"%b%d\r\n" % (kind, len(frames) // width)
            + b"".join(frames[: len(frames) // width * width])
        )
    )


leaves = st.one_of(
    st.tuples(st.sampled_from([b"+", b"-", b":", b",", b"#", b"(", b"_"]), lines).map(
        lambda parts: b"%b%b\r\n" % parts
    ),
    st.tuples(st.sampled_from([b"$", b"!", b"="]), short).map(
        lambda parts: b"%b%d\r\n%b\r\n" % (parts[0], len(parts[1]), parts[1])
    ),
    st.sampled_from([b"$-1\r\n", b"*-1\r\n"]),
)
reply_frames = st.recursive(
    leaves,
    lambda children: st.one_of(
        *[aggregate(kind, children) for kind in (b"*", b"~", b">", b"%")],
        st.tuples(aggregate(b"|", children), children).map(b"".join),
    ),
    max_leaves=30,
)
request_args = st.lists(st.binary(max_size=30), min_size=1, max_size=20)
places = st.lists(st.integers(0, 1 << 20), max_size=12)

# Bytes that come near to RESP find more than bytes that do not.
TOKENS = [
    *(bytes([kind]) for kind in b"*$+-:_,#(!=%~>|"),
    *(b"%d" % number for number in (0, 1, 2, 3, 10, 64, 18, 999_999_999_999_999_999, -1, -2)),
    *(b"\r\n", b"\r", b"\n", b"x", b"PING", b" ", b"\x00", b"\xff", b"?", b"-", b"00"),
    *(b"*1\r\n", b"$1\r\n", b"$4\r\nPING\r\n", b"*1\r\n$4\r\nPING\r\n", b"*2\r\n", b"%1\r\n"),
]
garbage = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join),
    st.tuples(reply_frames, st.integers(0, 1 << 16), st.integers(0, 255)).map(
        lambda parts: change_a_byte(*parts)
    ),
)


def change_a_byte(wire: bytes, at: int, byte: int) -> bytes:
    """Return ``wire`` with one byte of it changed."""
    at %= len(wire)
    return wire[:at] + bytes([byte]) + wire[at + 1 :]


@given(st.lists(reply_frames, min_size=1, max_size=4), places)
def test_generated_replies_come_out_whole(frames: list[bytes], places: list[int]) -> None:
    assert feed_all(ReplyStream(), cut(b"".join(frames), places)) == (frames, "")


@given(reply_frames)
def test_a_reply_is_not_whole_before_its_last_byte(frame: bytes) -> None:
    stream = ReplyStream()

    assert stream.feed(frame[:-1]) == []
    assert stream.feed(frame[-1:]) == [frame]


@given(st.lists(request_args, min_size=1, max_size=4), places)
def test_generated_requests_come_out_whole(requests: list[list[bytes]], places: list[int]) -> None:
    wire = b"".join(encode_command(*args) for args in requests)

    assert feed_all(RequestStream(), cut(wire, places)) == (requests, "")


def small_streams() -> Iterator[Callable[[], Stream]]:
    """Return both kinds of stream, and requests with limits that garbage reaches."""
    yield ReplyStream
    yield RequestStream
    yield lambda: RequestStream(
        argument_limit=2, argument_limit_bytes=5, inline_limit_bytes=8, request_limit_bytes=40
    )


@example(b"*" + bytes(32) + b"\n", [])  # the line end is one byte too late, and there
@given(garbage, places)
def test_the_verdict_on_any_bytes_is_the_same_however_they_are_cut(
    wire: bytes, places: list[int]
) -> None:
    for new_stream in small_streams():
        found, fault = feed_all(new_stream(), single_bytes(wire))
        found_in_pieces, fault_in_pieces = feed_all(new_stream(), cut(wire, places))

        assert fault_in_pieces == fault
        if fault:
            # What was whole before the error, in the same piece, is lost with it.
            assert found_in_pieces == found[: len(found_in_pieces)]
        else:
            assert found_in_pieces == found


@given(garbage)
def test_replies_and_what_is_left_are_the_bytes_that_came(wire: bytes) -> None:
    found, _ = feed_all(ReplyStream(), single_bytes(wire))

    assert wire.startswith(b"".join(found))  # type: ignore[arg-type]


def test_a_long_frame_in_small_pieces_is_not_gone_over_again_and_again() -> None:
    # A scan that began anew at each piece would look at 10^10 values, and somebody would notice.
    reply = b"*200000\r\n" + b":1\r\n" * 200_000
    request = encode_command(b"DEL", *[b"k"] * 100_000)
    line = b"x" * 65_000 + b"\n"

    assert feed_all(ReplyStream(), [reply[n : n + 8] for n in range(0, len(reply), 8)]) == (
        [reply],
        "",
    )
    assert len(feed_all(RequestStream(), single_bytes(request))[0]) == 1
    assert feed_all(RequestStream(), single_bytes(line)) == ([[line[:-1]]], "")
