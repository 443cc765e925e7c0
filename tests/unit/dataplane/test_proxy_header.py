"""PROXY protocol headers, as haproxy writes them and as nobody should."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dataplane.proxy_header import (
    V1_LIMIT_BYTES,
    V2_LIMIT_BYTES,
    BadHeaderError,
    Header,
    Place,
    crc32c,
    parse_header,
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
BEHIND = b"*1\r\n$4\r\nPING\r\n"

IPV4 = st.ip_addresses(v=4)
IPV6 = st.ip_addresses(v=6)
PORT = st.integers(0, 65535)


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2, "big") + block


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


TCP4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + b"\xd9\x03" + b"\x18\xeb"
TCP6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + b"\xd9\x03\x18\xeb"
)
UNIX = b"/run/app.sock".ljust(108, b"\0") + b"/run/haproxy.sock".ljust(108, b"\0")


def with_checksum(header: bytes) -> bytes:
    """Return a version 2 header, one TLV longer."""
    length = int.from_bytes(header[14:16], "big") + 7
    longer = header[:14] + length.to_bytes(2, "big") + header[16:] + tlv(0x03, bytes(4))
    return longer[:-4] + crc32c(longer).to_bytes(4, "big")


FROM4, TO4 = Place("192.0.2.7", 55555), Place("198.51.100.1", 6379)
FROM6, TO6 = Place("2001:db8::7", 55555), Place("2001:db8::1", 6379)
WHOLE = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 55555 6379\r\n", FROM4, TO4),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 55555 6379\r\n", FROM6, TO6),
    "v1 longest": (
        b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n",
        Place("ffff:" * 7 + "ffff", 65535),
        Place("ffff:" * 7 + "ffff", 65535),
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, None),
    "v1 unknown with addresses": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None, None),
    "v2 TCP4": (v2(PROXY, 0x11, TCP4), FROM4, TO4),
    "v2 TCP6": (v2(PROXY, 0x21, TCP6), FROM6, TO6),
    "v2 unix": (
        v2(PROXY, 0x31, UNIX),
        Place("/run/app.sock", None),
        Place("/run/haproxy.sock", None),
    ),
    "v2 local": (v2(LOCAL, 0x00, b""), None, None),
    "v2 local with addresses": (v2(LOCAL, 0x11, TCP4), None, None),
    "v2 unspecified": (v2(PROXY, 0x00, b"whatever"), None, None),
    "v2 TLVs": (v2(PROXY, 0x11, TCP4 + tlv(0x02, b"name") + tlv(0xEA, b"vpce")), FROM4, TO4),
    "v2 checksum": (with_checksum(v2(PROXY, 0x11, TCP4 + tlv(0x05, b"id"))), FROM4, TO4),
    "v2 longest": (
        v2(PROXY, 0x11, TCP4 + tlv(0xEE, bytes(V2_LIMIT_BYTES - 16 - 12 - 3))),
        FROM4,
        TO4,
    ),
}

BAD = {
    "RESP": (b"*", "something else"),
    "inline": (b"PING\r\n", "something else"),
    "TLS": (b"\x16\x03\x01", "something else"),
    "v1 lower case": (b"proxy TCP4", "something else"),
    "v1 too long": (b"PROXY UNKNOWN" + b" " * (V1_LIMIT_BYTES - 13), "within 107 bytes"),
    "v1 only LF": (b"PROXY UNKNOWN\n", "CR LF"),
    "v1 UDP": (b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n", "another form"),
    "v1 no words": (b"PROXY \r\n", "another form"),
    "v1 two spaces": (b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n", "another form"),
    "v1 a word more": (b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n", "another form"),
    "v1 other family": (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "none of TCP4"),
    "v1 a name": (b"PROXY TCP4 localhost 198.51.100.1 1 2\r\n", "none of TCP4"),
    "v1 a zone": (b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n", "none of TCP6"),
    "v1 leading zeros": (b"PROXY TCP4 192.0.02.7 198.51.100.1 1 2\r\n", "none of TCP4"),
    "v1 not ASCII": (b"PROXY TCP4 192.0.2.\xb2 198.51.100.1 1 2\r\n", "none of TCP4"),
    "v1 port with a sign": (b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n", "no number"),
    "v1 port with a zero": (b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n", "no number"),
    "v1 port too high": (b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n", "above 65535"),
    "v2 version 1": (SIGNATURE + b"\x11", "0x11"),
    "v2 command 2": (SIGNATURE + b"\x22", "0x22"),
    "v2 datagrams": (v2(PROXY, 0x12, TCP4), "0x12"),
    "v2 too short": (v2(PROXY, 0x11, TCP4[:-1]), "too short"),
    "v2 too long": (v2(PROXY, 0x11, bytes(V2_LIMIT_BYTES - 15)), "4097 bytes"),
    "v2 half a TLV": (v2(PROXY, 0x11, TCP4 + b"\x02"), "TLV"),
    "v2 a TLV too long": (v2(PROXY, 0x11, TCP4 + tlv(0x02, b"name")[:-1]), "TLV"),
    "v2 wrong checksum": (v2(PROXY, 0x11, TCP4 + tlv(0x03, b"abcd")), "wrong"),
    "v2 short checksum": (v2(PROXY, 0x11, TCP4 + tlv(0x03, b"abc")), "4 bytes"),
}


@pytest.mark.parametrize(("wire", "source", "destination"), WHOLE.values(), ids=WHOLE.keys())
def test_a_header_is_found_at_its_last_byte_and_not_before(
    wire: bytes, source: Place | None, destination: Place | None
) -> None:
    for length in range(len(wire)):
        assert parse_header(wire[:length]) is None

    assert parse_header(wire) == Header(len(wire), source, destination)
    assert parse_header(wire + BEHIND) == Header(len(wire), source, destination)


@pytest.mark.parametrize(("wire", "why"), BAD.values(), ids=BAD.keys())
def test_what_is_no_header_is_refused_with_the_reason(wire: bytes, why: str) -> None:
    with pytest.raises(BadHeaderError, match=why):
        parse_header(wire)


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


@given(st.integers(16, 16 + len(TCP4) - 1), st.integers(0, 7))
def test_no_bit_of_an_address_may_turn_under_a_checksum(place: int, bit: int) -> None:
    wire = bytearray(with_checksum(v2(PROXY, 0x11, TCP4 + tlv(0x05, b"id"))))
    wire[place] ^= 1 << bit

    with pytest.raises(BadHeaderError, match="wrong"):
        parse_header(bytes(wire))


@given(st.one_of(st.tuples(IPV4, IPV4), st.tuples(IPV6, IPV6)), PORT, PORT)
@example((IPv6Address("::ffff:192.0.2.7"), IPv6Address("::150.0.0.55")), 1, 2)
def test_both_versions_say_the_same(
    ends: tuple[object, object], source: int, destination: int
) -> None:
    kind = "TCP4" if "." in str(ends[0]) and ":" not in str(ends[0]) else "TCP6"
    line = f"PROXY {kind} {ends[0]} {ends[1]} {source} {destination}\r\n".encode()
    packed = b"".join(end.packed for end in ends)  # type: ignore[attr-defined]
    ports = source.to_bytes(2, "big") + destination.to_bytes(2, "big")
    binary = v2(PROXY, 0x11 if kind == "TCP4" else 0x21, packed + ports)

    first, second = parse_header(line), parse_header(binary)

    assert first is not None
    assert second is not None
    assert (first.source.port, first.destination.port) == (source, destination)
    assert (second.source.port, second.destination.port) == (source, destination)
    assert (first.source, first.destination) == (second.source, second.destination)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda rest: b"PROXY " + rest),
        st.binary(max_size=300).map(lambda rest: SIGNATURE + rest),
        st.binary(max_size=300).map(lambda rest: SIGNATURE + b"\x21\x11\x00\x20" + rest),
    )
)
def test_any_bytes_get_one_verdict_however_they_are_cut(data: bytes) -> None:
    def verdict(length: int) -> object:
        try:
            return parse_header(data[:length])
        except BadHeaderError as problem:
            return str(problem)

    verdicts = [verdict(length) for length in range(len(data) + 1)]

    decided = next((at for at, found in enumerate(verdicts) if found is not None), len(data))
    assert all(found is None for found in verdicts[:decided])
    # A header stays the header that it is; a refusal may find a second reason, no way back.
    for found in verdicts[decided + 1 :]:
        assert type(found) is type(verdicts[decided])
        assert isinstance(found, str) or found == verdicts[decided]


@pytest.mark.parametrize(
    "path", [b"/run/a b\r\n+OK", b"\x1b[2J/run", b"/run/\xff\xfe"], ids=["lines", "escape", "bytes"]
)
def test_a_path_is_one_harmless_word(path: bytes) -> None:
    header = parse_header(v2(PROXY, 0x31, path.ljust(108, b"\0") + bytes(108)))

    assert header is not None
    assert str(header.source).isprintable()
    assert " " not in str(header.source)


def test_places_are_written_as_redis_writes_them() -> None:
    assert str(FROM4) == "192.0.2.7:55555"
    assert str(FROM6) == "[2001:db8::7]:55555"
    assert str(Place("/run/app.sock", None)) == "/run/app.sock:0"
