"""The PROXY protocol: who a connection is from, in the words of whoever passes it on.

Strategy: pure. The bytes that have come so far in, what they say out; each verdict falls
with the first byte that allows it, so a client that begins with something else is not
waited for. Both versions, whichever comes. What is not about addresses (TLVs) is skipped,
except the checksum, which the specification has checked where it is understood.

Source: the PROXY protocol, versions 1 & 2 (haproxy.org, doc/proxy-protocol.txt).

Cost: 10 us a connection (CPython 3.11, CI machine), 20 us more with a checksum.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from proxy.errors import ProxyError

# Version 1 never is longer, says the specification.
V1_LIMIT_BYTES = 107
# Addresses take 216 bytes at most; the rest is for TLVs, which a certificate makes long. Chosen.
V2_LIMIT_BYTES = 4096
LIMIT_BYTES = V2_LIMIT_BYTES

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = len(_V2) + 4
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX_STREAM: 216}
_CHECKSUM = 0x03


class BadHeaderError(ProxyError):
    """What a connection begins with is no PROXY protocol header; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """One end of a connection.

    Attributes:
        host: An IP address, in its usual text; a path of a Unix socket has ``port`` None.
    """

    host: str
    port: int | None

    def __str__(self) -> str:
        if ":" in self.host and self.port is not None:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port or 0}"


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header.

    Attributes:
        length: How many bytes it takes; what comes behind them is the client's.
        source: Where the client is; None: as the connection itself says, because whoever
            passes it on knows nothing better, or has made it for a purpose of its own.
        destination: Where it connected to; None with ``source``.
    """

    length: int
    source: Place | None = None
    destination: Place | None = None


def parse_header(data: bytes) -> Header | None:
    """Return the header that ``data`` begins with; None: that cannot be told yet.

    Raises:
        BadHeaderError: It begins with none. Any other exception out of this function is a
            bug.
    """
    if data.startswith(_V1):
        return _parse_v1(data)
    if data.startswith(_V2):
        return _parse_v2(data)
    if _V1.startswith(data) or _V2.startswith(data):
        return None
    raise BadHeaderError("it begins with something else")


# ---- version 1: a line ------------------------------------------------------------------


def _parse_v1(data: bytes) -> Header | None:
    end = data.find(b"\n", 0, V1_LIMIT_BYTES)
    if end < 0:
        if len(data) >= V1_LIMIT_BYTES:
            raise BadHeaderError(f"no end of line within {V1_LIMIT_BYTES} bytes")
        return None
    if data[end - 1] != ord("\r"):
        raise BadHeaderError("a line that does not end in CR LF")
    words = data[: end - 1].split(b" ")
    match words[1:]:
        case [b"UNKNOWN", *_]:
            return Header(end + 1)
        case [b"TCP4" | b"TCP6" as family, source, destination, from_port, to_port]:
            return Header(
                end + 1,
                Place(_ip(source, family), _port(from_port)),
                Place(_ip(destination, family), _port(to_port)),
            )
        case _:
            raise BadHeaderError("a line of another form than: PROXY TCP4 from to port port")


def _ip(word: bytes, family: bytes) -> str:
    try:
        text = word.decode("ascii")
        if "%" in text:  # a zone means something only where it comes from
            raise ValueError
        if family == b"TCP4":
            return str(IPv4Address(text))
        # The text of the kernel, as for version 2 and for whoever connects without a header.
        return socket.inet_ntop(socket.AF_INET6, IPv6Address(text).packed)
    except ValueError:
        raise BadHeaderError(f"an address that is none of {family.decode()}") from None


def _port(word: bytes) -> int:
    # int() would take signs, spaces and underscores.
    if not word.isdigit() or len(word) > len("65535") or (word[:1] == b"0" and word != b"0"):
        raise BadHeaderError("a port that is no number")
    port = int(word)
    if port > 65535:
        raise BadHeaderError("a port above 65535")
    return port


# ---- version 2: binary ------------------------------------------------------------------


def _parse_v2(data: bytes) -> Header | None:
    kind = data[len(_V2) : len(_V2) + 1]
    if kind and kind[0] not in (_LOCAL, _PROXY):
        raise BadHeaderError(f"version and command {kind[0]:#04x}")
    if len(data) < _V2_FIXED:
        return None
    family = data[_V2_FIXED - 3]
    length = _V2_FIXED + int.from_bytes(data[_V2_FIXED - 2 : _V2_FIXED], "big")
    if length > V2_LIMIT_BYTES:
        raise BadHeaderError(f"{length} bytes, of which {V2_LIMIT_BYTES} are allowed")
    if kind[0] == _LOCAL:  # whatever else it says counts for nothing
        return Header(length) if len(data) >= length else None
    if family not in _ADDRESS_BYTES:
        raise BadHeaderError(f"family and transport {family:#04x}")
    tlvs = _V2_FIXED + _ADDRESS_BYTES[family]
    if length < tlvs:
        raise BadHeaderError("a length too short for its addresses")
    if len(data) < length:
        return None
    if family != _UNSPECIFIED:
        _check(data[:length], tlvs)
    return Header(length, *_places(family, data[_V2_FIXED:tlvs]))


def _places(family: int, block: bytes) -> tuple[Place | None, Place | None]:
    """Return source and destination."""
    if family == _UNSPECIFIED:
        return None, None
    if family == _UNIX_STREAM:
        return _unix(block[:108]), _unix(block[108:])
    half = (len(block) - 4) // 2
    kind = socket.AF_INET if family == _TCP4 else socket.AF_INET6
    return (
        Place(socket.inet_ntop(kind, block[:half]), int.from_bytes(block[-4:-2], "big")),
        Place(socket.inet_ntop(kind, block[half:-4]), int.from_bytes(block[-2:], "big")),
    )


def _unix(path: bytes) -> Place:
    # It goes into lists and logs: whatever it is, it is one word there.
    text = path.partition(b"\0")[0].decode("ascii", "backslashreplace")
    return Place("".join(c if c.isprintable() and c != " " else "?" for c in text), None)


def _check(header: bytes, at: int) -> None:
    """Walk through the TLVs, and compare the checksum if there is one."""
    while at < len(header):
        value = at + 3
        end = value + int.from_bytes(header[at + 1 : value], "big")
        if end > len(header) or value > len(header):
            raise BadHeaderError("a TLV that is longer than the header")
        if header[at] == _CHECKSUM:
            if end - value != 4:
                raise BadHeaderError("a checksum that is not of 4 bytes")
            without = header[:value] + bytes(4) + header[end:]
            if crc32c(without) != int.from_bytes(header[value:end], "big"):
                raise BadHeaderError("a checksum that is wrong")
        at = end


def _table() -> list[int]:
    """Return CRC-32C of each byte, reflected; Castagnoli's polynomial."""
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
