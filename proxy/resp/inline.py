r"""Split an inline command: a line typed into telnet instead of a RESP frame.

Strategy: the rules of Redis's ``sdssplitargs``, with a regular expression for
each of the three ways a byte can stand: bare, in double quotes (with escapes),
in single quotes (only ``\'`` is one).

Cost: 1 us for ``GET key``, about 1 us more for each quoted argument; the
expressions never go back, so that a long line costs its length and no more.
"""

from __future__ import annotations

import re

# C's isspace(); but a bare word only ends at blank, tab, CR and LF.
_BLANKS = re.compile(rb"[ \t\n\v\f\r]*")
_BARE = re.compile(rb"[^ \t\n\r\"']*")
# The closing quote must be followed by a blank or by nothing at all.
_QUOTED = {
    ord('"'): re.compile(rb'"((?:[^"\\]|\\.)*+)"(?=[ \t\n\v\f\r]|\Z)', re.DOTALL),
    ord("'"): re.compile(rb"'((?:\\'|[^'])*+)'(?=[ \t\n\v\f\r]|\Z)"),
}
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes] | None:
    """Return the arguments of one inline command.

    Args:
        line: What stands before the line end; the line end itself does no
            harm. A NUL byte ends it early, as it ends a string in C.

    Returns:
        The arguments, none for a blank line; None if a quote is not closed,
        or is closed in the middle of a word.

    Any exception out of this function is a bug.

    Source: ``sdssplitargs`` of Redis 7.0. Valkey 9.1 also takes ``"a"b``.
    """
    line = line.partition(b"\0")[0]
    words: list[bytes] = []
    at = _end(_BLANKS, line, 0)
    while at < len(line):
        start = at
        at = _end(_BARE, line, start)
        word = line[start:at]
        if at < len(line) and line[at] in _QUOTED:
            # A quote may open inside a bare word; closing it ends the word.
            quoted = _QUOTED[line[at]].match(line, at)
            if quoted is None:
                return None
            inner = quoted[1]
            if line[at] == ord('"'):
                word += _ESCAPE.sub(_unescaped, inner)
            else:
                word += inner.replace(b"\\'", b"'")
            at = quoted.end()
        words.append(word)
        at = _end(_BLANKS, line, at)
    return words


def _end(pattern: re.Pattern[bytes], line: bytes, at: int) -> int:
    """Return where ``pattern`` ends that matches at ``at``, be it nothing."""
    match = pattern.match(line, at)
    return at if match is None else match.end()


def _unescaped(escape: re.Match[bytes]) -> bytes:
    if escape[1]:
        return bytes.fromhex(escape[1].decode("ascii"))
    return _CONTROLS.get(escape[2], escape[2])
