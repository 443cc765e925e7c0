"""What a PROXY protocol header says, read in the plainest way: held against ``proxy_header.py``.

Strategy: from the words of the specification (haproxy.org, doc/proxy-protocol.txt), over all
that has come, with a regular expression and ``struct``; whether more has to come is left to
whoever asks, by asking again with more.
"""

from __future__ import annotations

import re
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6

LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\n]*)?"
    rb"|(TCP[46]) ([^ \n]+) ([^ \n]+) (0|[1-9][0-9]*) (0|[1-9][0-9]*))\r\n"
)
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_LINE, LONGEST = 107, 4096

Ends = tuple[tuple[str, int], tuple[str, int]] | None


def read_header(wire: bytes) -> tuple[int, Ends] | None:
    """Return length and both ends of a whole header of TCP; None: it is none, or another kind."""
    if wire.startswith(SIGNATURE):
        return _read_binary(wire)
    found = LINE.match(wire[:LONGEST_LINE])
    if found is None:
        return None
    family, source, destination, from_port, to_port = found.groups()
    if family is None:
        return found.end(), None
    read = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        hosts = [_shown(read(host.decode("ascii"))) for host in (source, destination)]
    except ValueError:
        return None
    ports = [int(from_port), int(to_port)]
    if max(ports) > 65535 or b"%" in source + destination:
        return None
    return found.end(), ((hosts[0], ports[0]), (hosts[1], ports[1]))


def _read_binary(wire: bytes) -> tuple[int, Ends] | None:
    if len(wire) < 16:
        return None
    kind, family, length = struct.unpack("!BBH", wire[12:16])
    block = wire[16 : 16 + length]
    if len(block) < length or 16 + length > LONGEST:
        return None
    if kind == 0x20 or (kind == 0x21 and family == 0):
        return 16 + length, None
    layout = {0x11: "!4s4sHH", 0x21: "!16s16sHH"}.get(family)
    if kind != 0x21 or layout is None or length < struct.calcsize(layout):
        return None
    source, destination, from_port, to_port = struct.unpack_from(layout, block)
    read = IPv4Address if family == 0x11 else IPv6Address
    ends = (_shown(read(source)), from_port), (_shown(read(destination)), to_port)
    return 16 + length, ends


def _shown(address: IPv4Address | IPv6Address) -> str:
    """Return the text of the kernel, in which some IPv6 addresses end as IPv4 ones."""
    return socket.inet_ntop(AF_INET if address.version == 4 else AF_INET6, address.packed)
