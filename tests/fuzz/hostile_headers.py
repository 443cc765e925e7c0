"""PROXY protocol headers by lot: right, nearly right, and wrong."""

from __future__ import annotations

from hostile_wire import LINE_ENDS, NUMBERS, changed
from lots import Lots

from proxy.dataplane.proxy_header import crc32c

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ADDRESSES = [
    b"192.0.2.7", b"0.0.0.0", b"255.255.255.255", b"2001:db8::7", b"::", b"::ffff:192.0.2.7",
    b"ffff:" * 7 + b"ffff", b"fe80::1%eth0", b"192.0.02.7", b"1.2.3", b"", b"localhost", b"\xb2",
    b"1.2.3.4.5", b"::1::", b"*1",
]  # fmt: skip
PORTS = [b"0", b"1", b"6379", b"65535", b"65536", b"01", b"+1", b"1_0", b" 1", b"\xc2\xb2", b""]
KINDS = [0x21, 0x21, 0x21, 0x20, 0x11, 0x22, 0x00]
FAMILIES = [0x11, 0x21, 0x31, 0x00, 0x12, 0x22, 0x41, 0xFF]
BLOCKS = {0x11: 12, 0x21: 36, 0x31: 216}
CHECKSUM = 0x03


def hostile_header(lots: Lots) -> bytes:
    """Return what a connection may begin with where a header is wanted."""
    kind = lots.below(16)
    if kind == 15:
        return lots.take(lots.below(120))
    header = _line(lots) if kind < 7 else _binary(lots)
    return changed(lots, header) if kind in (6, 13, 14) else header


def _line(lots: Lots) -> bytes:
    if lots.rarely():
        return b"PROXY UNKNOWN" + lots.choice([b"", b" ", b" x" * lots.below(60)]) + b"\r\n"
    family = lots.choice([b"TCP4", b"TCP6", b"UDP4", b"tcp4"]) if lots.rarely() else b"TCP4"
    usual = ADDRESSES[:3]
    if lots.flag():
        family, usual = b"TCP6", ADDRESSES[3:7]
    ends = [lots.choice(ADDRESSES if lots.rarely() else usual) for _ in range(2)]
    ports = [lots.choice(PORTS + NUMBERS if lots.rarely() else PORTS[:4]) for _ in range(2)]
    end = lots.choice(LINE_ENDS) if lots.rarely() else b"\r\n"
    return b" ".join([b"PROXY", family, *ends, *ports]) + end


def _binary(lots: Lots) -> bytes:
    kind = lots.choice(KINDS) if lots.rarely() else 0x21
    family = lots.choice(FAMILIES) if lots.rarely() else lots.choice(FAMILIES[:4])
    block = lots.take(BLOCKS.get(family, 0)).ljust(BLOCKS.get(family, 0), b"\0")
    body = block + b"".join(_tlv(lots) for _ in range(lots.below(4)))
    if lots.rarely():
        body = body[: lots.below(len(body) + 1)]
    length = lots.below(65536) if lots.rarely() else len(body)
    header = SIGNATURE + bytes([kind, family]) + length.to_bytes(2, "big") + body
    if lots.below(4) or length != len(body):
        return header
    longer = SIGNATURE + header[12:14] + (length + 7).to_bytes(2, "big") + body
    longer += bytes([CHECKSUM, 0, 4]) + bytes(4)
    checksum = crc32c(longer) ^ (lots.byte() if lots.rarely() else 0)
    return longer[:-4] + checksum.to_bytes(4, "big")


def _tlv(lots: Lots) -> bytes:
    if lots.rarely():
        return bytes([lots.byte()]) + lots.below(65536).to_bytes(2, "big") + lots.take(4)
    value = lots.take(lots.below(12)) * (lots.below(400) if lots.rarely() else 1)
    return bytes([lots.choice([1, 2, 4, 5, 0x20, 0xEE])]) + len(value).to_bytes(2, "big") + value
