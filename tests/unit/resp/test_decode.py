"""Replies as values: whole frames, streams cut anywhere, and bytes that are no replies."""

from __future__ import annotations

import hiredis
import pytest

from proxy.errors import BackendProtocolError
from proxy.resp.decode import ReplyReader, bulk_of, decode, error_code, error_text, integer_of

VALUES = {
    "simple string": (b"+OK\r\n", b"OK"),
    "integer": (b":-12\r\n", -12),
    "bulk string": (b"$4\r\na\r\nb\r\n", b"a\r\nb"),
    "null, RESP2": (b"$-1\r\n", None),
    "null array": (b"*-1\r\n", None),
    "null, RESP3": (b"_\r\n", None),
    "false is a value too": (b"#f\r\n", False),
    "double": (b",1.5\r\n", 1.5),
    "nested": (b"*2\r\n*1\r\n:1\r\n$0\r\n\r\n", [[1], b""]),
    "map": (b"%1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n", {b"mode": b"cluster"}),
    "set": (b"~2\r\n+a\r\n+b\r\n", [b"a", b"b"]),
    "verbatim string": (b"=7\r\ntxt:abc\r\n", b"abc"),
}


@pytest.mark.parametrize(("wire", "value"), VALUES.values(), ids=VALUES.keys())
def test_one_frame_is_one_value(wire: bytes, value: object) -> None:
    assert decode(wire) == value


@pytest.mark.parametrize(("wire", "value"), VALUES.values(), ids=VALUES.keys())
def test_a_stream_may_be_cut_after_every_byte(wire: bytes, value: object) -> None:
    reader = ReplyReader()
    stream = wire * 2

    values = [found for at in range(len(stream)) for found in reader.feed(stream[at : at + 1])]

    assert values == [value, value]


def test_an_error_reply_is_a_value_and_is_not_raised() -> None:
    value = decode(b"*2\r\n-MOVED 5 10.0.0.1:7000\r\n+OK\r\n")

    assert isinstance(value, list)
    assert isinstance(value[0], hiredis.ReplyError)
    assert error_text(value[0]) == b"MOVED 5 10.0.0.1:7000"


def test_several_replies_in_one_piece_come_out_in_order() -> None:
    assert ReplyReader().feed(b":1\r\n:2\r\n$3\r\nab") == [1, 2]


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"+OK",
        b"$5\r\nab\r\n",
        b"*2\r\n:1\r\n",
        b"+OK\r\n+OK\r\n",
        b"+OK\r\n*1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"%1\r\n*1\r\n:1\r\n:2\r\n",
    ],
)
def test_what_is_not_exactly_one_reply_is_the_servers_fault(wire: bytes) -> None:
    with pytest.raises(BackendProtocolError):
        decode(wire)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"-MOVED 5 10.0.0.1:7000\r\n", b"MOVED"),
        (b"-NOSCRIPT\r\n", b"NOSCRIPT"),
        (b"-\r\n", b""),
        (b"+OK\r\n", None),
        (b"$6\r\n-ERR x\r\n", None),
    ],
)
def test_the_code_of_an_error_is_read_from_its_frame(frame: bytes, code: bytes | None) -> None:
    assert error_code(frame) == code


def test_a_number_and_a_string_are_read_from_their_frames() -> None:
    assert integer_of(b":-5\r\n") == -5
    assert bulk_of(b"$5\r\na\r\nb\xff\r\n") == b"a\r\nb\xff"


@pytest.mark.parametrize(
    "frame",
    [
        b":\r\n", b":x\r\n", b"+5\r\n", b"$1\r\n5\r\n", b"_\r\n", b":" + b"9" * 5000 + b"\r\n",
        b"|1\r\n+a\r\n:1\r\n:5\r\n",
    ],
)  # fmt: skip
def test_what_is_no_number_is_the_servers_fault(frame: bytes) -> None:
    with pytest.raises(BackendProtocolError, match="not an integer"):
        integer_of(frame)


@pytest.mark.parametrize("frame", [b"$-1\r\n", b"+a\r\n", b":1\r\n", b"_\r\n", b"*0\r\n"])
def test_what_is_no_string_is_the_servers_fault(frame: bytes) -> None:
    with pytest.raises(BackendProtocolError, match="not a bulk string"):
        bulk_of(frame)
