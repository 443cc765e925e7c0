"""Target: the frame scanners. One verdict however the bytes are cut, and hiredis's boundaries."""

from __future__ import annotations

import contextlib

import hiredis
from hostile_wire import hostile_reply, hostile_request
from lots import Lots
from plain_requests import read_requests

from proxy.dataplane.frames import ReplyStream, RequestStream, split_array
from proxy.errors import BackendProtocolError, ClientProtocolError, ProxyError

Verdict = tuple[list[object], str]


def scan(stream: RequestStream | ReplyStream, pieces: list[bytes]) -> Verdict:
    """Return what came out before the first error, and that error's words."""
    found: list[object] = []
    for piece in pieces:
        try:
            found += stream.feed(piece)
        except (ClientProtocolError, BackendProtocolError) as problem:
            return found, str(problem)
    return found, ""


def scan_requests(data: bytes) -> None:
    """Cut a client's bytes anywhere: the requests are what the plainest reading finds."""
    lots = Lots(data)
    wire = b"".join(hostile_request(lots, b"a") for _ in range(1 + lots.below(3))) + lots.take(40)
    limits = {"argument_limit": 64, "argument_limit_bytes": 5000, "inline_limit_bytes": 200}
    pieces = lots.cut(wire)

    requests, fault = scan(RequestStream(**limits), pieces)
    plain, plain_fault = read_requests(wire, arguments=64, argument_bytes=5000, inline_bytes=200)

    assert fault == plain_fault, (fault, plain_fault)
    if not fault:  # a feed that ends with an error keeps back the requests before it
        assert requests == [
            [args[0].rstrip(b"\r\n")] if is_line else args for is_line, args in plain
        ]


def scan_replies(data: bytes) -> None:
    """Cut a server's bytes in two ways; what comes out is what went in."""
    lots = Lots(data)
    wire = b"".join(hostile_reply(lots) for _ in range(1 + lots.below(3))) + lots.take(40)
    pieces = lots.cut(wire)

    frames, fault = scan(ReplyStream(), [wire])
    in_pieces = scan(ReplyStream(), pieces)

    assert fault == in_pieces[1], (fault, in_pieces)
    if not fault:
        assert frames == in_pieces[0]
        assert wire.startswith(b"".join(frames))
        for frame in frames:
            _compare_with_hiredis(frame)


def _compare_with_hiredis(frame: bytes) -> None:
    with contextlib.suppress(ProxyError):
        split_array(frame)
    reader = hiredis.Reader(notEnoughData=reader_is_hungry)
    reader.feed(frame)
    try:
        value = reader.gets()
    except (hiredis.ProtocolError, TypeError, ValueError):
        return  # it looks at the values, too
    assert value is not reader_is_hungry, frame


reader_is_hungry = object()
