"""What a client's bytes ask for, read in the plainest way: held against the compiled scanner.

Strategy: the rules of ``frames.pyx`` from its words, over the whole stream at once, with no
position kept and no thought of speed.
"""

from __future__ import annotations

import re

NUMBER = re.compile(rb"-?[1-9][0-9]{0,17}|0")
HEADER_LIMIT = 32


class Unfinished(Exception):
    """The rest has not come yet."""


class Broken(Exception):
    """It is no request; the argument is the fault."""


def read_requests(
    wire: bytes, *, arguments: int, argument_bytes: int, inline_bytes: int
) -> tuple[list[tuple[bool, list[bytes]]], str]:
    """Return (is it a line, its arguments or the line) of each request, and the last fault."""
    found: list[tuple[bool, list[bytes]]] = []
    while wire:
        try:
            if wire[:1] == b"*":
                args, length = _read_array(wire, arguments, argument_bytes)
            else:
                args, length = _read_line(wire, inline_bytes)
        except Unfinished:
            break
        except Broken as fault:
            return found, str(fault)
        if args:
            found.append((wire[:1] != b"*", args))
        wire = wire[length:]
    return found, ""


def _read_line(wire: bytes, limit: int) -> tuple[list[bytes], int]:
    end = wire.find(b"\n")
    if end < 0:
        if len(wire) > limit:
            raise Broken("LINE_TOO_LONG")
        raise Unfinished
    if end + 1 > limit:
        raise Broken("LINE_TOO_LONG")
    line = wire[: end + 1]
    return ([] if line in (b"\n", b"\r\n") else [line]), end + 1


def _read_array(wire: bytes, arguments: int, argument_bytes: int) -> tuple[list[bytes], int]:
    count, at = _number(wire, 0, "BAD_COUNT", "HEADER_TOO_LONG")
    if count is None:
        raise Broken("BAD_COUNT")
    if count > arguments:
        raise Broken("TOO_MANY_ARGUMENTS")
    args = []
    for _ in range(count):
        if at >= len(wire):
            raise Unfinished
        if wire[at : at + 1] != b"$":
            raise Broken("NOT_A_BULK")
        length, at = _number(wire, at, "BAD_LENGTH", "LENGTH_TOO_LONG")
        if length is None or length < 0:
            raise Broken("BAD_LENGTH")
        if length > argument_bytes:
            raise Broken("ARGUMENT_TOO_LONG")
        if at + length + 2 > len(wire):
            raise Unfinished
        if wire[at + length : at + length + 2] != b"\r\n":
            raise Broken("BAD_LINE_END")
        args.append(wire[at : at + length])
        at += length + 2
    return args, at


def _number(wire: bytes, at: int, bad: str, too_long: str) -> tuple[int | None, int]:
    """Return the number behind the sign at ``at``, and where the next thing begins."""
    end = wire.find(b"\n", at)
    if end < 0:
        if len(wire) - at > HEADER_LIMIT:
            raise Broken(too_long)
        raise Unfinished
    if end - at > HEADER_LIMIT:
        raise Broken(too_long)
    if end - at < 2 or wire[end - 1 : end] != b"\r":
        raise Broken(bad)
    text = wire[at + 1 : end - 1]
    return (int(text) if NUMBER.fullmatch(text) else None), end + 1
