r"""Match keys against a pattern of KEYS and SCAN, as the servers do.

Strategy: the servers match nearly every key themselves; the proxy does it only
for the keys of a slot that is just being moved, and for the patterns of
PSUBSCRIBE. The pattern becomes a regular expression over bytes, because that runs
in C. Each stretch after a ``*`` is an atomic group: it is matched at its first
place and never tried again, so that no pattern makes the match slower than key
length times pattern length.

The rules are those of ``stringmatchlen`` in the servers, odd ones included:
``[]a]`` is an empty class and matches nothing, a class without its ``]``
ends with the pattern, ``[z-a]`` is turned round, bytes from 128 on are
negative in ranges (on x86), and only an empty pattern matches an empty key.

Cost: about 0.2 us a key, 75 us to compile a short pattern (CPython 3.11, CI
machine).
"""

from __future__ import annotations

import re
from collections.abc import Callable

EVERY_KEY = b"*"

_ANY = b"."
_STAR = b"*"
_NEVER = b"(?!)"
_WILDCARDS = frozenset(b"*?[\\")


def compile_glob(pattern: bytes) -> Callable[[bytes], bool]:
    """Return a function that says whether a key matches ``pattern``.

    Source: ``stringmatchlen`` of Redis 7.0 and Valkey 9.1; compared with the
    servers' own KEYS in tests/live/test_scan.py.
    """
    if pattern == EVERY_KEY:
        return lambda _key: True
    if not pattern:
        return lambda key: not key
    matches = re.compile(_expression(_tokens(pattern)), re.DOTALL).fullmatch
    return lambda key: bool(key) and matches(key) is not None


def key_like(pattern: bytes) -> bytes | None:
    """Return a key with the slot of all keys that match, or None if they may have many slots.

    That is so if nothing before the end of the first hash tag is a wildcard:
    ``{user:1}*`` matches keys of one slot only, ``user:{*`` does not. An
    escape counts as a wildcard, as it does in the servers.
    """
    opening = pattern.find(b"{")
    closing = pattern.find(b"}", opening + 1) if opening >= 0 else -1
    fixed = pattern[: closing + 1] if closing > opening + 1 else pattern
    return None if _WILDCARDS.intersection(fixed) else fixed


def may_match_beginning(pattern: bytes, beginning: bytes) -> bool:
    """Return whether any text that begins so may match ``pattern``.

    True also in the few cases where only the rest of the pattern rules it out.
    """
    tokens = _tokens(pattern)
    places = {0}
    for at in range(len(beginning)):
        following: set[int] = set()
        for place in _past_stars(tokens, places):
            if place < len(tokens) and tokens[place] == _STAR:
                following.add(place)
            elif place < len(tokens) and re.match(tokens[place], beginning[at : at + 1], re.DOTALL):
                following.add(place + 1)
        places = following
    return bool(places)


def _past_stars(tokens: list[bytes], places: set[int]) -> set[int]:
    """Return these places in a pattern, and those that a star lets skip to."""
    beyond = {place + 1 for place in places if tokens[place : place + 1] == [_STAR]}
    return places | beyond  # two stars never stand side by side


def _tokens(pattern: bytes) -> list[bytes]:
    """Return one regular expression for each byte of the key, and ``*`` for any number of them."""
    tokens: list[bytes] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            if tokens[-1:] != [_STAR]:
                tokens.append(_STAR)
        elif byte == b"?":
            tokens.append(_ANY)
        elif byte == b"[":
            token, at = _class(pattern, at + 1)
            tokens.append(token)
        else:
            if byte == b"\\" and at + 1 < len(pattern):
                at += 1
                byte = pattern[at : at + 1]
            tokens.append(re.escape(byte))
        at += 1
    return tokens


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Read what follows a ``[``; return its expression and the index of its last byte."""
    is_negated = pattern[at : at + 1] == b"^"
    if is_negated:
        at += 1
    members: set[int] = set()
    while at < len(pattern) and pattern[at] != ord("]"):
        if pattern[at] == ord("\\") and at + 1 < len(pattern):
            at += 1
            members.add(pattern[at])
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            first, last = sorted((_signed(pattern[at]), _signed(pattern[at + 2])))
            members.update(byte % 256 for byte in range(first, last + 1))
            at += 2
        else:
            members.add(pattern[at])
        at += 1
    if is_negated:
        members = set(range(256)) - members
    if not members:
        return _NEVER, at
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in sorted(members)), at


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _expression(tokens: list[bytes]) -> bytes:
    """Return the whole expression, with no way to backtrack into an earlier stretch."""
    stretches: list[bytes] = [b""]
    for token in tokens:
        if token == _STAR:
            stretches.append(b"")
        else:
            stretches[-1] += token
    first, *rest = stretches
    if not rest:
        return first
    *middle, last = rest
    # The last stretch must end where the key ends, so its star tries every place.
    return first + b"".join(b"(?>.*?%b)" % stretch for stretch in middle) + b".*" + last
