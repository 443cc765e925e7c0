"""Frames we write: exactly these bytes, and hiredis reads them back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.resp import encode
from proxy.resp.decode import decode


@pytest.mark.parametrize(
    ("args", "wire"),
    [
        ((b"GET", b"foo"), b"*2\r\n$3\r\nGET\r\n$3\r\nfoo\r\n"),
        (("SET", b"\r\n\x00", ""), b"*3\r\n$3\r\nSET\r\n$3\r\n\r\n\x00\r\n$0\r\n\r\n"),
        (("EXPIRE", "k", -5), b"*3\r\n$6\r\nEXPIRE\r\n$1\r\nk\r\n$2\r\n-5\r\n"),
        (("GET", "käse"), b"*2\r\n$3\r\nGET\r\n$5\r\nk\xc3\xa4se\r\n"),
    ],
    ids=["bytes", "any bytes and nothing", "a number", "text is UTF-8"],
)
def test_a_command_is_an_array_of_bulk_strings(
    args: tuple[bytes | str | int, ...], wire: bytes
) -> None:
    assert encode.encode_command(*args) == wire


FRAMES = {
    "simple string": (encode.simple(b"OK"), b"+OK\r\n"),
    "error": (encode.error(b"ERR no"), b"-ERR no\r\n"),
    "integer": (encode.integer(-7), b":-7\r\n"),
    "bulk string": (encode.bulk(b"a\r\nb"), b"$4\r\na\r\nb\r\n"),
    "empty bulk string": (encode.bulk(b""), b"$0\r\n\r\n"),
    "no string, RESP2": (encode.bulk(None), b"$-1\r\n"),
    "no string, RESP3": (encode.bulk(None, 3), b"_\r\n"),
    "null, RESP2": (encode.null(2), b"$-1\r\n"),
    "null, RESP3": (encode.null(3), b"_\r\n"),
    "null array, RESP2": (encode.null_array(2), b"*-1\r\n"),
    "null array, RESP3": (encode.null_array(3), b"_\r\n"),
    "array": (encode.array([b":1\r\n", b"$1\r\nx\r\n"]), b"*2\r\n:1\r\n$1\r\nx\r\n"),
    "empty array": (encode.array([]), b"*0\r\n"),
    "map, RESP2": (encode.map_frame([(b"+a\r\n", b":1\r\n")], 2), b"*2\r\n+a\r\n:1\r\n"),
    "map, RESP3": (encode.map_frame([(b"+a\r\n", b":1\r\n")], 3), b"%1\r\n+a\r\n:1\r\n"),
    "text, RESP2": (encode.verbatim(b"a:1", 2), b"$3\r\na:1\r\n"),
    "text, RESP3": (encode.verbatim(b"a:1", 3), b"=7\r\ntxt:a:1\r\n"),
}


@pytest.mark.parametrize(("frame", "wire"), FRAMES.values(), ids=FRAMES.keys())
def test_a_frame_is_written_as_a_server_writes_it(frame: bytes, wire: bytes) -> None:
    assert frame == wire


@given(st.binary())
def test_no_data_quoted_in_an_error_can_end_it_early(data: bytes) -> None:
    frame = encode.error(b"ERR bad: " + data)

    assert frame.endswith(b"\r\n")
    assert b"\r" not in frame[:-2]
    assert b"\n" not in frame[:-2]


@given(st.lists(st.binary()))
def test_what_is_encoded_as_an_array_is_decoded_as_it_was(items: list[bytes]) -> None:
    assert decode(encode.array([encode.bulk(item) for item in items])) == items
