r"""Read what MONITOR writes: one line for each command that a server ran.

``1339518083.107412 [0 127.0.0.1:60866] "set" "user:1" "caf\xc3\xa9\n"``

Strategy: the exact inverse of what servers write. An argument stands in double quotes;
``\\ \" \n \r \t \a \b`` and ``\xHH`` are the only escapes, so any bytes come back as they
were. The source in brackets is an address, ``unix:/path``, or ``lua`` for what a script
did. Lines are taken as redis-cli prints them and as they come over the wire (``+``, CR).

A line may be as long as a value. No more of it than ``LINE_LIMIT_BYTES`` is kept: keys
stand before values nearly always, and what was cut off is told.

Cost: about 4 us a line (CPython 3.11, CI machine).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.advise.printing import printable

LINE_LIMIT_BYTES = 1024 * 1024  # chosen: thousands of keys, and small against any machine

_HEAD = re.compile(rb"\+?([0-9]{1,12})\.([0-9]{6}) \[([0-9]{1,10}) (.*?)\] (?=\")", re.DOTALL)
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\(?:[\\"nrtab]|x[0-9a-fA-F]{2}))*+)("?)', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
# What is left of an escape when a line is cut in the middle of it.
_BROKEN_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\(?:x[0-9a-fA-F]?)?\Z")
_SCRIPT = b"lua"


@dataclass(frozen=True, slots=True)
class Line:
    """One command that a server ran."""

    time_us: int
    """Microseconds since 1970, by the server's clock."""
    database: int
    address: str
    """``host:port`` or ``unix:path`` of the client; empty for a command of a script."""
    is_script: bool
    args: tuple[bytes, ...]
    """The command with its name; at least one."""
    is_cut: bool = False
    """The line was too long: the last argument, and any that followed, are not all there."""


def parse_line(line: bytes, *, is_cut: bool = False) -> Line | None:
    """Return what a line of MONITOR says.

    Args:
        line: Without its line end.
        is_cut: Only the beginning of the line was kept.

    Returns:
        None if it is no such line. Any exception out of this function is a bug.

    Source: ``replicationFeedMonitors`` and ``sdscatrepr`` of Redis 7.0; compared with
    MONITOR of both engines in tests/live/test_advise.py.
    """
    head = _HEAD.match(line)
    if head is None:
        return None
    seconds, micros, database, source = head.groups()
    args = _arguments(line, head.end(), is_cut=is_cut)
    if not args:
        return None
    is_script = source == _SCRIPT
    return Line(
        time_us=int(seconds) * 1_000_000 + int(micros),
        database=int(database),
        address="" if is_script else printable(source),
        is_script=is_script,
        args=tuple(args),
        is_cut=is_cut,
    )


def _arguments(line: bytes, start: int, *, is_cut: bool) -> list[bytes] | None:
    """Return the arguments from ``start`` on; None if that is not what they are."""
    if not is_cut and b"\\" not in line:
        # Without an escape no argument has a quote in it, so each quote is a border.
        if not line.endswith(b'"') or len(line) < start + 2:
            return None
        args = line[start + 1 : -1].split(b'" "')
        return None if any(b'"' in arg for arg in args) else args
    if is_cut:
        line = _BROKEN_ESCAPE.sub(rb"\1", line)
    args = []
    at = start
    while at < len(line):
        found = _ARGUMENT.match(line, at)
        if found is None or not (found[2] or is_cut):
            return None
        args.append(_ESCAPE.sub(_unescaped, found[1]) if b"\\" in found[1] else found[1])
        at = found.end()
        if at < len(line):
            if line[at : at + 1] != b" " or not found[2]:
                return None
            at += 1
            if at == len(line) and not is_cut:
                return None
    return args


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes.fromhex(escape[1].decode("ascii"))
    return _CONTROLS.get(escape[2], escape[2])


class LineCutter:
    """Cuts a stream of bytes into lines, and keeps no more than the beginning of a long one.

    Args:
        limit_bytes: How much of a line is kept.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._begun = bytearray()
        self._is_cut = False
        self._is_lost = False

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Return the lines that are whole now: (line without its end, whether it was cut)."""
        if self._is_lost:
            _, newline, data = data.partition(b"\n")
            self._is_lost = not newline
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self._take())
        self._add(rest)
        return lines

    def end(self) -> list[tuple[bytes, bool]]:
        """Return the last line, if the stream ended without a line end."""
        return [self._take()] if self._begun else []

    def drop(self) -> None:
        """Forget the line that has begun, and what comes up to the next line end."""
        self._take()
        self._is_lost = True

    def _add(self, piece: bytes) -> None:
        room = self._limit_bytes - len(self._begun)
        self._begun += piece[: max(room, 0)]
        # A CR more than the limit is the line's end, not a part of it.
        self._is_cut = self._is_cut or len(piece.removesuffix(b"\r")) > room

    def _take(self) -> tuple[bytes, bool]:
        line = bytes(self._begun).removesuffix(b"\r")
        is_cut, self._is_cut = self._is_cut, False
        self._begun.clear()
        return line, is_cut
