"""HTTP by lot, versions 1 and 2: right, nearly right, and wrong."""

from __future__ import annotations

import hpack
from hostile_wire import LINE_ENDS, NUMBERS, changed
from lots import Lots

PATHS = [
    b"/livez",
    b"/readyz",
    b"/metrics",
    b"/",
    b"/page/page.css",
    b"/page/..%2fsite.py",
    b"/topology",
    b"/clients",
    b"/clients?limit=3",
    b"/events?after=-1",
    b"/events?after=%D9%A3",
    b"/explain?q=%22",
    b"/explain?q=GET%20a",
    b"/config",
    b"/drain",
    b"/reload",
    b"/log-level?level=debug",
    b"/nowhere",
    b"//livez",
    b"/livez/",
    b"*",
    b"",
    b"http://localhost/livez",
    b"/%00",
    b"/\xff",
    b"/?\xff=%ff",
    b"/slowlog?limit=99999999999999999999",
    b"/" + b"a" * 3000,
]
METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"", b"G T", b"\x00"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"", b"HTTP/1.1 x"]
HEADERS = [
    (b"Host", b"localhost"),
    (b"Host", b"evil.example"),
    (b"Host", b"[::1]:9"),
    (b"Host", b"\xff"),
    (b"Connection", b"close"),
    (b"Connection", b"upgrade, HTTP2-Settings"),
    (b"Upgrade", b"h2c"),
    (b"HTTP2-Settings", b"AAMAAABkAAQAAP__"),
    (b"HTTP2-Settings", b"!"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Transfer-Encoding", b"chunked"),
    (b"Transfer-Encoding", b"gzip, chunked"),
    (b"Expect", b"100-continue"),
    (b"Authorization", b"Bearer x"),
    (b"Authorization", b"Bearer \xc3\xbc"),
    (b"Authorization", b"Basic"),
    (b"Accept", b"application/openmetrics-text"),
    (b"Accept", b"*/*;q=x"),
    (b"Accept-Encoding", b"gzip"),
    (b"If-None-Match", b'"x"'),
    (b"If-Modified-Since", b"x"),
    (b"Range", b"bytes=0-"),
    (b"Range", b"bytes=,"),
    (b"X", b"y" * 9000),
    (b"X", b"a\x00b"),
    (b"", b""),
    (b"X Y", b"z"),
    (b"Cookie", b"a=b"),
    (b":path", b"/"),
]
CHUNKS = [
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"-1\r\n",
    b"2;x=y\r\nab\r\n",
    b"x\r\n",
]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What RFC 9113, section 6, calls them; the last is none.
KINDS = [*range(10), 0xFE]
HEADERS_FRAME, CONTINUATION = 1, 9
SETTINGS = [
    (1, 0),
    (1, 1 << 31),
    (2, 2),
    (3, 0),
    (4, 1 << 31),
    (5, 0),
    (5, 1 << 24),
    (6, 0),
    (99, 1),
]


def hostile_http(lots: Lots) -> bytes:
    """Return what comes over one connection."""
    if lots.below(16) == 15:
        return lots.take(lots.below(80))
    if lots.below(3) == 0:
        return PREFACE[: None if lots.below(8) else 20] + _frames(lots)
    wire = b"".join(_message(lots) for _ in range(1 + lots.below(3)))
    return changed(lots, wire) if wire and lots.below(4) == 0 else wire


# ---- version 1 -------------------------------------------------------------------------------


def _message(lots: Lots) -> bytes:
    method = lots.choice(METHODS if lots.rarely() else METHODS[:2])
    version = lots.choice(VERSIONS if lots.rarely() else VERSIONS[:2])
    lines = [b" ".join([method, lots.choice(PATHS), version])]
    if not lots.rarely():
        lines.append(b"Host: localhost:1")
    for _ in range(lots.below(4)):
        name, value = lots.choice(HEADERS)
        lines.append(
            name + lots.choice([b": ", b":", b" : ", b""][: 2 if lots.below(8) else 4]) + value
        )
    body = b""
    match lots.below(8):
        case 0:
            body = lots.take(lots.below(20))
            lines.append(b"Content-Length: %d" % len(body))
        case 1:
            lines.append(b"Content-Length: " + lots.choice([*NUMBERS, b"\xb2", b"1, 1", b"1, 2"]))
        case 2:
            lines.append(b"Transfer-Encoding: chunked")
            body = b"".join(lots.choice(CHUNKS) for _ in range(lots.below(5)))
        case _:
            pass
    end = lots.choice(LINE_ENDS) if lots.rarely() else b"\r\n"
    if lots.below(64) == 63:
        lines += [b"X%d: y" % number for number in range(lots.below(3000))]
    return end.join(lines) + end + end + body


# ---- version 2 -------------------------------------------------------------------------------


def _frames(lots: Lots) -> bytes:
    wire = b"" if lots.rarely() else _frame(4, 0, 0, b"")
    packer = hpack.Encoder()
    stream = 1
    for _ in range(lots.below(12)):
        stream = lots.choice([stream, stream + 2, stream + 2, 0, 2, 1, 0x7FFFFFFF])
        match lots.below(10):
            case 0 | 1 | 2 | 3 | 4:
                flags = 0x5 if lots.below(4) else lots.byte()
                wire += _frame(HEADERS_FRAME, flags, stream, _packed(lots, packer))
            case 5:
                body = _frame(CONTINUATION, 0, stream, _packed(lots, packer))
                wire += body * (1 + lots.below(40))
            case 6:
                wire += _frame(0, lots.choice([0, 1, 9]), stream, lots.take(lots.below(20)))
            case 7:
                values = [lots.choice(SETTINGS) for _ in range(lots.below(4))]
                body = b"".join(
                    key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in values
                )
                wire += _frame(4, lots.choice([0, 1]), lots.choice([0, 0, 0, 1]), body)
            case 8:
                window = lots.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF]).to_bytes(4, "big")
                wire += _frame(8, 0, lots.choice([0, stream]), window)
            case _:
                body = lots.take(lots.choice([0, 4, 5, 8, 9]))
                wire += _frame(lots.choice(KINDS), lots.byte(), stream, body) * (1 + lots.below(9))
        stream = min(stream, 0x7FFFFFF0)
    return changed(lots, wire) if wire and lots.rarely() else wire


def _packed(lots: Lots, packer: hpack.Encoder) -> bytes:
    if lots.rarely():
        return lots.take(lots.below(20))
    fields = [
        (b":method", lots.choice(METHODS if lots.rarely() else METHODS[:2])),
        (b":path", lots.choice(PATHS)),
        (b":scheme", b"http"),
        (
            b":authority",
            lots.choice([b"localhost", b"evil", b""]) if lots.rarely() else b"localhost",
        ),
    ]
    for _ in range(lots.below(4)):
        name, value = lots.choice(HEADERS)
        fields.append((name.lower(), value))
    if lots.below(4) == 0:
        fields.append((b"content-length", lots.choice([*NUMBERS, b"\xb2", b"\xc2\xb2"])))
    if lots.rarely():
        del fields[lots.below(len(fields))]
    if lots.rarely():
        fields.insert(lots.below(len(fields) + 1), lots.choice(fields))
    return packer.encode(fields)


def _frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body
