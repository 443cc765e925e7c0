"""Write RESP frames: requests to servers, and the replies the proxy makes itself.

Strategy: functions from values to ``bytes``, no state. Whatever contains other
frames (array, map) takes them already encoded, so a frame that came from a
server can be put inside one of ours without being decoded.

``resp`` is the protocol version the reader of the frame speaks: 2 or 3. Types
that RESP2 lacks become what a Redis server sends a RESP2 client instead.

Cost: each function builds its frame with one ``join`` or one ``%``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def encode_command(*args: bytes | str | int) -> bytes:
    """Return the request frame of one command: an array of bulk strings.

    Args:
        args: The command's name and arguments. ``str`` is written as UTF-8
            and is meant for words of this code; data is ``bytes``.
    """
    pieces = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else str(arg).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(pieces)


def simple(text: bytes) -> bytes:
    """Return a simple string. ``text`` must have no CR or LF: it is a word of ours like OK."""
    return b"+%b\r\n" % text


def error(text: bytes) -> bytes:
    """Return an error. CR and LF in ``text`` become spaces, so that data quoted in it is safe.

    Args:
        text: Begins with the error code: ``b"ERR no such thing"``.
    """
    return b"-%b\r\n" % text.replace(b"\r", b" ").replace(b"\n", b" ")


def integer(number: int) -> bytes:
    """Return an integer."""
    return b":%d\r\n" % number


def bulk(data: bytes | None, resp: int = 2) -> bytes:
    """Return a bulk string, or null for None."""
    if data is None:
        return null(resp)
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(frames: Sequence[bytes]) -> bytes:
    """Return an array of frames that are already encoded."""
    return b"*%d\r\n%b" % (len(frames), b"".join(frames))


def map_frame(pairs: Iterable[tuple[bytes, bytes]], resp: int) -> bytes:
    """Return a map of already encoded keys and values; for RESP2 the flat array k, v, k, v."""
    items = list(pairs)
    body = b"".join(key + value for key, value in items)
    if resp == 2:
        return b"*%d\r\n%b" % (2 * len(items), body)
    return b"%%%d\r\n%b" % (len(items), body)


def null(resp: int) -> bytes:
    """Return the null that stands for a missing string."""
    return b"$-1\r\n" if resp == 2 else b"_\r\n"


def null_array(resp: int) -> bytes:
    """Return the null that stands for a missing array. RESP3 has only one null."""
    return b"*-1\r\n" if resp == 2 else b"_\r\n"


def verbatim(text: bytes, resp: int) -> bytes:
    """Return text meant for people, as INFO and CLIENT LIST send it; for RESP2 a bulk string."""
    if resp == 2:
        return bulk(text)
    return b"=%d\r\ntxt:%b\r\n" % (len(text) + 4, text)


def c_text(argument: bytes, limit: int | None = None) -> bytes:
    """Return what C's ``%s`` prints of ``argument``: nothing from the first zero byte on.

    Args:
        argument: Any bytes.
        limit: At most so many bytes, as ``%.128s``; None: all.
    """
    return argument.partition(b"\0")[0][:limit]
