"""The words of blocking commands: their timeouts, their form for fewer keys, what gives back.

Strategy: pure functions over the client's own arguments. A form is rewritten from
those arguments and never rebuilt from what was understood of them, so whatever a
server would say to them it says to the rewritten form too. What does not parse is
left alone: the server has the right words for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.dataplane.frames import split_array
from proxy.errors import BackendProtocolError
from proxy.resp.decode import decode
from proxy.resp.encode import array, bulk, null_array
from proxy.sessions.arguments import parse_integer

FOR_EVER = 0.0
LEAST_S = 0.001  # the shortest rest of a timeout: 0 would mean for ever
# More milliseconds than this are out of range for a server; 292 million years.
MOST_S = (2**63 - 1) / 1000

STREAMS = frozenset({b"xread", b"xreadgroup"})
MOVES = frozenset({b"blmove", b"brpoplpush"})
# Which command tells how many elements a key has, without changing it.
COUNTS = {
    b"blpop": b"LLEN",
    b"brpop": b"LLEN",
    b"blmpop": b"LLEN",
    b"bzpopmin": b"ZCARD",
    b"bzpopmax": b"ZCARD",
    b"bzmpop": b"ZCARD",
}
POPS = frozenset(COUNTS)
# What takes the same element at once.
_AT_ONCE = {
    b"blpop": b"LPOP",
    b"brpop": b"RPOP",
    b"blmpop": b"LMPOP",
    b"bzpopmin": b"ZPOPMIN",
    b"bzpopmax": b"ZPOPMAX",
    b"bzmpop": b"ZMPOP",
}
NOTHING = frozenset({b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"*0\r\n"})
# BLMPOP timeout numkeys key [key ...] LEFT|RIGHT [COUNT count]
_COUNTED = frozenset({b"blmpop", b"bzmpop"})
_PLAIN_SECONDS = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class StreamWords:
    """Where the words of XREAD and XREADGROUP stand among the arguments."""

    block: int | None
    """Index of the milliseconds; None: it does not block."""
    first_key: int
    count: int
    """How many streams."""


def nothing(resp: int) -> bytes:
    """Return what a server says at the end of the time, of whatever command."""
    return null_array(resp)


# ---- timeouts -----------------------------------------------------------------------


def timeout_place(name: bytes, args: Sequence[bytes]) -> int | None:
    """Return the index of the timeout among ``args``; None: there is none, or no streams."""
    if name in STREAMS:
        words = parse_streams(args)
        return None if words is None else words.block
    return 1 if name in _COUNTED else len(args) - 1


def timeout_s(name: bytes, args: Sequence[bytes]) -> float | None:
    """Return how long the client asked to wait; ``FOR_EVER`` is 0, None: a server refuses it.

    Seconds are rounded up to milliseconds, as servers do.
    """
    place = timeout_place(name, args)
    if place is None:
        return None
    if name in STREAMS:
        milliseconds = parse_integer(args[place])
    else:
        seconds = _parse_seconds(args[place])
        milliseconds = None if seconds is None else math.ceil(seconds * 1000)
    if milliseconds is None or milliseconds < 0:
        return None
    return milliseconds / 1000


def _parse_seconds(text: bytes) -> float | None:
    """Read what C's strtold reads: also exponents and hexadecimal digits."""
    try:
        word = text.decode("ascii")
        if word != word.strip() or "_" in word:
            return None
        seconds = float.fromhex(word) if "x" in word.lower() else float(word)
    except (UnicodeDecodeError, ValueError, OverflowError):
        return None
    return seconds if abs(seconds) < MOST_S else None


def with_timeout(name: bytes, args: Sequence[bytes], seconds: float) -> list[bytes]:
    """Return the command with the rest of its time.

    Args:
        seconds: What is left; never becomes 0. ``FOR_EVER`` stays.
    """
    place = timeout_place(name, args)
    changed = list(args)
    if place is not None:
        milliseconds = 0 if seconds == FOR_EVER else max(1, math.ceil(seconds * 1000))
        changed[place] = (
            b"%d" % milliseconds
            if name in STREAMS
            else b"%d.%03d" % divmod(milliseconds, 1000)
            if milliseconds
            else b"0"
        )
    return changed


# ---- pops: fewer keys, and the way back ------------------------------------------------


def is_plain(name: bytes, args: Sequence[bytes]) -> bool:
    """Return whether no server can have anything against these arguments of a pop.

    Anything unusual is not plain, even if a server takes it: it is then asked first.
    """
    if name not in _COUNTED:
        return _PLAIN_SECONDS.fullmatch(args[-1]) is not None
    if _PLAIN_SECONDS.fullmatch(args[1]) is None:
        return False
    sides = (b"LEFT", b"RIGHT") if name == b"blmpop" else (b"MIN", b"MAX")
    match [word.upper() for word in args[3 + int(args[2]) :]]:
        case [side]:
            return side in sides
        case [side, b"COUNT", count]:
            return side in sides and (parse_integer(count) or 0) > 0
        case _:
            return False


def first_key(name: bytes, args: Sequence[bytes]) -> bytes:
    """Return the first key of a pop."""
    return args[3] if name in _COUNTED else args[1]


def moving_at_once(name: bytes, args: Sequence[bytes]) -> list[bytes]:
    """Return the move that a server does at once."""
    return [b"LMOVE" if name == b"blmove" else b"RPOPLPUSH", *args[1:-1]]


def without_blocking(name: bytes, args: Sequence[bytes], key: bytes) -> list[bytes]:
    """Return the pop that a server does at once, for one of the keys."""
    if name in _COUNTED:
        return [_AT_ONCE[name], b"1", key, *args[3 + int(args[2]) :]]
    return [_AT_ONCE[name], key]


def taken_by(name: bytes, key: bytes, frame: bytes) -> bytes | None:
    """Return the blocking pop's reply, made of the reply of the pop at once.

    None: there was nothing. An error stays as it is.
    """
    if frame[:1] == b"-" or name in _COUNTED:
        return None if frame in NOTHING else frame
    if frame in NOTHING:
        return None
    if COUNTS[name] == b"LLEN":
        return array([bulk(key), frame])
    parts = split_array(frame)
    return array([bulk(key), *parts]) if parts else None


def for_one_key(name: bytes, args: Sequence[bytes], key: bytes) -> list[bytes]:
    """Return the same blocking pop with one key in the place of all, so often."""
    if name in _COUNTED:
        count = int(args[2])
        return [*args[:3], *[key] * count, *args[3 + count :]]
    return [args[0], *[key] * (len(args) - 2), args[-1]]


def giving_back(name: bytes, args: Sequence[bytes], frame: bytes) -> list[bytes] | None:
    """Return the command that puts what a pop took back to the end it was taken from.

    None: nothing was taken, or nothing has to be given back. What BLMOVE moved is
    where the client wanted it, and what XREADGROUP delivered is pending in its group.

    Raises:
        BackendProtocolError: It is no reply to such a pop.
    """
    try:
        return _giving_back(name, args, frame)
    except (IndexError, ValueError):
        raise BackendProtocolError("NO_POP") from None


def _giving_back(name: bytes, args: Sequence[bytes], frame: bytes) -> list[bytes] | None:
    parts = split_array(frame) if frame[:1] == b"*" and name in POPS else None
    if not parts:
        return None
    key = _text(parts[0])
    side = _side(name, args)
    if COUNTS[name] == b"ZCARD":
        # NX: whoever has added the member meanwhile knows its score better.
        return [b"ZADD", key, b"NX", *_scores_and_members(name, parts)]
    taken = (
        [_text(parts[1])] if name != b"blmpop" else list(map(_text, split_array(parts[1]) or ()))
    )
    return [b"LPUSH" if side == b"LEFT" else b"RPUSH", key, *reversed(taken)]


def _side(name: bytes, args: Sequence[bytes]) -> bytes:
    if name == b"blmpop":
        return args[3 + int(args[2])].upper()
    return b"LEFT" if name == b"blpop" else b"RIGHT"


def _scores_and_members(name: bytes, parts: list[bytes]) -> list[bytes]:
    """Return score, member, score, member ... with the scores as the server wrote them."""
    if name != b"bzmpop":
        return [_text(parts[2]), _text(parts[1])]
    pairs = (split_array(pair) or [] for pair in split_array(parts[1]) or ())
    return [word for member, score in pairs for word in (_text(score), _text(member))]


def _text(frame: bytes) -> bytes:
    """Return what a bulk string holds, or the digits of a RESP3 double as they were written."""
    if frame[:1] == b",":
        return frame[1:-2]
    value = decode(frame)
    if not isinstance(value, bytes):
        raise BackendProtocolError("NOT_A_STRING")
    return value


# ---- streams ------------------------------------------------------------------------


def parse_streams(args: Sequence[bytes]) -> StreamWords | None:
    """Return where the words of XREAD or XREADGROUP are; None: a server refuses them."""
    block = None
    at = 1
    while at < len(args):
        match args[at].upper():
            case b"STREAMS":
                left = len(args) - at - 1
                if left == 0 or left % 2:
                    return None
                return StreamWords(block, at + 1, left // 2)
            case b"BLOCK":
                block = at + 1
                at += 2
            case b"COUNT":
                at += 2
            case b"GROUP":
                at += 3
            case b"NOACK":
                at += 1
            case _:
                return None
    return None


def only_streams(
    args: Sequence[bytes], words: StreamWords, chosen: Sequence[int], *, blocking: bool
) -> list[bytes]:
    """Return the same read for some of its streams.

    Args:
        chosen: Which of them, counted from 0.
        blocking: With BLOCK, else without.
    """
    head = list(args[: words.first_key])
    if not blocking and words.block is not None:
        head = _without_block(head)
    keys = args[words.first_key : words.first_key + words.count]
    ids = args[words.first_key + words.count :]
    return [*head, *(keys[i] for i in chosen), *(ids[i] for i in chosen)]


def _without_block(head: list[bytes]) -> list[bytes]:
    """Drop every BLOCK option, and nothing that is another option's argument."""
    kept: list[bytes] = []
    at = 0
    while at < len(head):
        word = head[at].upper()
        width = 3 if word == b"GROUP" else 2 if word in (b"BLOCK", b"COUNT") else 1
        if word != b"BLOCK" or at == 0:
            kept += head[at : at + width]
        at += width
    return kept


def with_ids(args: Sequence[bytes], words: StreamWords, known: dict[int, bytes]) -> list[bytes]:
    """Return the read with some of its ids replaced: ``$`` by what it meant when it was sent."""
    changed = list(args)
    for stream, entry_id in known.items():
        changed[words.first_key + words.count + stream] = entry_id
    return changed


def newest_streams(name: bytes, args: Sequence[bytes], words: StreamWords) -> list[int]:
    """Return which streams are read from ``$``: from what is newest when the read begins."""
    if name != b"xread":
        return []
    ids = args[words.first_key + words.count :]
    return [stream for stream, entry_id in enumerate(ids) if entry_id == b"$"]


def last_id(frame: bytes) -> bytes | None:
    """Return the id in a reply to ``XREVRANGE key + - COUNT 1``; None: an error, no answer."""
    entries = split_array(frame) if frame[:1] == b"*" else None
    if entries is None:
        return None
    entry = split_array(entries[0]) if entries else None
    return _text(entry[0]) if entry else b"0-0"
