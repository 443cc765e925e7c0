"""Turn stored names back into shown ones, wherever a reply or a push names a key.

Strategy: one table says which replies name keys, and where in them; every other
reply of a server travels as it is. While pins exist, only the commands of this
table are kept from the hot road (``dataplane.tables.CommandTable``); the rest of
their traffic never comes here. Errors may name a key anywhere.

Cost: the reply is taken apart as far as the names lie, about 1 us a name; nothing
without pins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

from proxy.commands.glob import compile_glob
from proxy.commands.pins import PinTable
from proxy.commands.scan_cursor import parse_options
from proxy.dataplane.frames import split_array, split_frames
from proxy.resp.encode import array, bulk

Show = Callable[[PinTable, Sequence[bytes], bytes], bytes]
"""(pins, the client's own request, whole reply frame) to what the client gets."""

_AGGREGATES = b"*~%>|"
_ERRORS = b"-!"
_MESSAGES = frozenset({b"message", b"pmessage", b"smessage"})


def _line_end(frame: bytes) -> int:
    return frame.index(b"\r\n") + 2


def _again(frame: bytes, items: Sequence[bytes]) -> bytes:
    """Return an aggregate with other elements, as many as it had."""
    return frame[: _line_end(frame)] + b"".join(items)


def _items(frame: bytes) -> list[bytes] | None:
    """Return the elements of an aggregate; None of anything else, and of null."""
    return split_array(frame) if frame[:1] in _AGGREGATES else None


def _text(frame: bytes) -> bytes | None:
    """Return the bytes of a bulk string, or None if the frame is something else."""
    return frame[_line_end(frame) : -2] if frame[:1] == b"$" and frame[1:2] != b"-" else None


def _show_name(pins: PinTable, frame: bytes) -> bytes:
    text = _text(frame)
    return frame if text is None else bulk(pins.show(text))


def _is_it(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``$ key``."""
    return _show_name(pins, frame)


def _is_first(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``[key, ...]``."""
    items = _items(frame)
    if not items:
        return frame
    return _again(frame, [_show_name(pins, items[0]), *items[1:]])


def _is_each(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``[key, key, ...]``."""
    items = _items(frame)
    return frame if items is None else _again(frame, [_show_name(pins, item) for item in items])


def _is_stream(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``[[key, entries], ...]``, or with RESP3 a map from key to entries."""
    items = _items(frame)
    if items is None:
        return frame
    if frame[:1] == b"%":
        turns = zip(items, cycle((True, False)), strict=False)
        return _again(frame, [_show_name(pins, each) if named else each for each, named in turns])
    return _again(frame, [_is_first(pins, (), item) for item in items])


def _is_anywhere(pins: PinTable, args: Sequence[bytes], frame: bytes) -> bytes:
    """Whatever bulk string is a stored name: an entry of a log, a prefix of TRACKINGINFO."""
    items = _items(frame)
    if items is None:
        shown = _show_name(pins, frame)
        return _show_channel(pins, frame) if shown == frame else shown
    return _again(frame, [_is_anywhere(pins, args, item) for item in items])


def _is_match(pins: PinTable, pattern: bytes, frame: bytes) -> bytes:
    """Show keys, and leave out those that only their stored name made match."""
    matches = compile_glob(pattern)
    items = _items(frame)
    if items is None:
        return frame
    shown = [pins.show(text) for text in map(_text, items) if text is not None]
    return array([bulk(name) for name in shown if matches(name)])


def _is_keys(pins: PinTable, args: Sequence[bytes], frame: bytes) -> bytes:
    return _is_match(pins, args[1], frame)


def _is_page(pins: PinTable, args: Sequence[bytes], frame: bytes) -> bytes:
    """``[cursor, [key, ...]]``."""
    items = _items(frame)
    options = parse_options(list(args[2:]))
    if items is None or options is None:
        return frame
    return _again(frame, [items[0], _is_match(pins, options.pattern, items[1])])


def _is_channel_each(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``[channel, number or channel, ...]``."""
    items = _items(frame)
    return frame if items is None else _again(frame, [_show_channel(pins, item) for item in items])


def _show_channel(pins: PinTable, frame: bytes) -> bytes:
    text = _text(frame)
    return frame if text is None else bulk(pins.show_channel(text))


def _is_confirmed(pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    """``[subscribe, channel, count]``, once for each channel."""
    return show_pushes(pins, frame)


def _only_errors(_pins: PinTable, _args: Sequence[bytes], frame: bytes) -> bytes:
    return frame


NAMING: dict[bytes, Show] = {
    # One line a command. Popped from one of several keys: which
    b"blpop": _is_first,
    b"brpop": _is_first,
    b"bzpopmin": _is_first,
    b"bzpopmax": _is_first,
    b"lmpop": _is_first,
    b"blmpop": _is_first,
    b"zmpop": _is_first,
    b"bzmpop": _is_first,
    # Read from one of several streams: which; NOGROUP names the stream too
    b"xread": _is_stream,
    b"xreadgroup": _is_stream,
    # Asked for names
    b"keys": _is_keys,
    b"scan": _is_page,
    b"randomkey": _is_it,
    b"cluster|getkeysinslot": _is_each,
    b"pubsub|channels": _is_channel_each,
    b"pubsub|numsub": _is_channel_each,
    # Confirm what was subscribed to: keys' events
    b"subscribe": _is_confirmed,
    b"unsubscribe": _is_confirmed,
    b"psubscribe": _is_confirmed,
    b"punsubscribe": _is_confirmed,
    # Tell what others asked for
    b"slowlog|get": _is_anywhere,
    b"commandlog|get": _is_anywhere,
    b"acl|log": _is_anywhere,
    b"client|trackinginfo": _is_anywhere,
    # Their errors name the stream: NOGROUP
    b"xautoclaim": _only_errors,
    b"xclaim": _only_errors,
    b"xgroup|createconsumer": _only_errors,
    b"xgroup|delconsumer": _only_errors,
    b"xgroup|setid": _only_errors,
    b"xinfo|consumers": _only_errors,
    b"xpending": _only_errors,
}
"""Commands whose replies name keys, and how to turn the names back."""

_FILTERS = (_is_keys, _is_page)  # a name may have to be left out, whatever it is


def show_error(pins: PinTable, frame: bytes) -> bytes:
    """Return an error with the keys in it by their shown names."""
    if frame[:1] == b"-":
        return pins.show_all(frame)
    text = pins.show_all(frame[_line_end(frame) : -2])
    return b"!%d\r\n%b\r\n" % (len(text), text)


def show_reply(pins: PinTable, name: bytes, args: Sequence[bytes], frame: bytes) -> bytes:
    """Return the reply to a command as its client may see it.

    Args:
        pins: The pins in use.
        name: The command's row, ``b"client|trackinginfo"`` for a subcommand.
        args: The request in the client's own words.
        frame: One whole reply, or nothing.
    """
    show = NAMING.get(name)
    if show in _FILTERS and frame[:1] in _AGGREGATES:
        return show(pins, args, frame)
    if not pins.may_name(frame):
        return frame
    if frame[:1] in _ERRORS:
        return show_error(pins, frame)
    return frame if show is None else show(pins, args, frame)


def show_transaction(
    pins: PinTable, queue: Sequence[tuple[bytes, Sequence[bytes]]], frame: bytes
) -> bytes:
    """Return the reply to EXEC.

    Args:
        pins: The pins in use.
        queue: Name and words of each request that was queued, in order.
        frame: One element for each of them, or null, or an error.
    """
    items = _items(frame)
    if items is None or len(items) != len(queue):
        return show_reply(pins, b"exec", (), frame)
    shown = [
        show_reply(pins, name, args, item) for (name, args), item in zip(queue, items, strict=True)
    ]
    return _again(frame, shown)


def show_pushes(pins: PinTable, frames: bytes) -> bytes:
    """Return messages, confirmations of subscriptions and invalidations by shown names.

    Args:
        pins: The pins in use.
        frames: Pushes, or with RESP2 the arrays that stand for them, one behind the other.
    """
    if not pins.may_name(frames):
        return frames
    return b"".join(_show_push(pins, frame) for frame in split_frames(frames))


def _show_push(pins: PinTable, frame: bytes) -> bytes:
    items = _items(frame)
    kind = _text(items[0]) if items else None
    if not items or kind is None:
        return frame
    if kind == b"invalidate":
        return _again(frame, [items[0], *(_show_keys(pins, item) for item in items[1:])])
    *names, last = items[1:]
    if kind in _MESSAGES:
        last = _show_payload(pins, _text(names[-1]) or b"", last)
    return _again(frame, [items[0], *(_show_channel(pins, name) for name in names), last])


def _show_payload(pins: PinTable, channel: bytes, frame: bytes) -> bytes:
    if channel == b"__redis__:invalidate":
        return _show_keys(pins, frame)
    text = _text(frame)
    return frame if text is None else bulk(pins.show_message(channel, text))


def _show_keys(pins: PinTable, frame: bytes) -> bytes:
    """Show each of an invalidation's keys; null means all keys."""
    return _is_each(pins, (), frame)
