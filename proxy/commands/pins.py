"""Pins: keys that an application must have together live in one slot without its knowing.

Strategy: a key that begins with a pin's prefix is stored with the pin's hash tag
before it, ``bull:q:1`` as ``{bull}bull:q:1``; of several prefixes that fit, the
longest wins. Nothing is remembered: a *stored* name says by itself how it is
*shown*, because no tag has a brace in it.

A client's key that looks like a stored name, and that no prefix fits, is that key:
``{bull}bull:q:1`` and ``bull:q:1`` are then two names of one. With an empty prefix
there is no such key, for it fits them all.

Patterns match shown names. A server matches stored ones, so it is asked with a
pattern that leaves out none of them, and what it finds is matched again here.

Cost: one ``startswith`` a pin and name; nothing without pins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.cluster.slots import hash_tag
from proxy.commands.glob import EVERY_KEY
from proxy.errors import ProxyError

_WILDCARD = re.compile(rb"[*?\[\\]")
# Also as a pattern, in which the database may be a wildcard.
_EVENTS = re.compile(rb"(__keyspace@[^:]*__:)(.*)", re.DOTALL)
_KEY_EVENTS = re.compile(rb"__keyevent@\d+__:")
_WRITTEN_NAME = re.compile(rb"\{([^{}]+)\}")


class PinError(ProxyError):
    """These pins cannot be; ``allowed`` says what can."""

    def __init__(self, given: str, allowed: str) -> None:
        super().__init__(f"{given}; allowed: {allowed}")
        self.given = given
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Pin:
    """Keys that begin with ``prefix`` live in the slot of ``tag``."""

    prefix: bytes
    """Empty: all keys that no other pin fits."""
    tag: bytes

    @property
    def mark(self) -> bytes:
        """What stands before the key in its stored name."""
        return b"{%b}" % self.tag


class PinTable:
    """All pins of a proxy.

    Raises:
        PinError: A prefix comes twice, or a tag cannot be a hash tag.
    """

    def __init__(self, pins: Iterable[Pin]) -> None:
        self.pins = tuple(sorted(pins, key=lambda pin: (-len(pin.prefix), pin.prefix)))
        """The longest prefix first."""
        marks = {pin.mark for pin in self.pins}
        self._marks = tuple(marks | {_escape(mark) for mark in marks})
        self._prefixes_by_tag: dict[bytes, list[bytes]] = {}
        seen: set[bytes] = set()
        for pin in self.pins:
            _check(pin)
            if pin.prefix in seen:
                raise PinError(f"the prefix {pin.prefix!r} twice", "each prefix once")
            seen.add(pin.prefix)
            self._prefixes_by_tag.setdefault(pin.tag, []).append(pin.prefix)

    def __bool__(self) -> bool:
        return bool(self.pins)

    # ---- names ------------------------------------------------------------------

    def find(self, key: bytes) -> Pin | None:
        """Return the pin of a client's key, or None."""
        for pin in self.pins:
            if key.startswith(pin.prefix):
                return pin
        return None

    def store(self, key: bytes) -> bytes:
        """Return the name under which a client's key is stored."""
        pin = self.find(key)
        return key if pin is None else pin.mark + key

    def show(self, stored: bytes) -> bytes:
        """Return the name by which clients know what is stored as ``stored``."""
        if not stored.startswith(b"{"):
            return stored
        tag, closing, key = stored[1:].partition(b"}")
        if not closing:
            return stored
        pin = self.find(key)
        return key if pin is not None and pin.tag == tag else stored

    def show_all(self, text: bytes) -> bytes:
        """Return a text (an error, an entry of a log) with every stored name as it is shown."""

        def show_one(found: re.Match[bytes]) -> bytes:
            prefixes = self._prefixes_by_tag.get(found[1], ())
            rest = text[found.end() :]
            return b"" if any(rest.startswith(prefix) for prefix in prefixes) else found[0]

        return _WRITTEN_NAME.sub(show_one, text)

    def may_name(self, data: bytes) -> bool:
        """Return whether a stored name may be anywhere in ``data``."""
        return any(mark in data for mark in self._marks)

    # ---- prefixes and patterns --------------------------------------------------------

    def store_prefix(self, prefix: bytes) -> list[bytes]:
        """Return what the stored names of all keys that begin with ``prefix`` begin with."""
        found = [self.store(prefix)]
        found += [
            pin.mark + pin.prefix
            for pin in self.pins
            if pin.prefix.startswith(prefix) and pin.prefix != prefix
        ]
        # Of two that overlap, the shorter says it all; servers refuse to be given both.
        return [
            each
            for each in dict.fromkeys(found)
            if not any(each.startswith(other) and each != other for other in found)
        ]

    def store_pattern(self, pattern: bytes) -> bytes:
        """Return a pattern that the stored names of all keys that match ``pattern`` match.

        Other names may match it too: what comes back has to be shown and matched again.
        """
        wildcard = _WILDCARD.search(pattern)
        head = pattern if wildcard is None else pattern[: wildcard.start()]
        marks = {self._mark(head)}
        if wildcard is not None:
            marks |= {pin.mark for pin in self.pins if pin.prefix.startswith(head)}
        return _escape(marks.pop()) + pattern if len(marks) == 1 else EVERY_KEY

    def _mark(self, key: bytes) -> bytes:
        pin = self.find(key)
        return b"" if pin is None else pin.mark

    def store_sort_pattern(self, pattern: bytes) -> bytes:
        """Return BY's or GET's pattern of SORT: a name in which the element replaces the star."""
        head, star, _ = pattern.partition(b"*")
        # Without a star it names no key: ``nosort``, or ``#`` for the element itself.
        return self._mark(head) + pattern if star else pattern

    # ---- keyspace events ----------------------------------------------------------------

    def store_channel(self, channel: bytes) -> bytes:
        """Return the server's name for a channel: another one only for ``__keyspace@0__:key``."""
        found = _EVENTS.fullmatch(channel)
        return channel if found is None else found[1] + self.store(found[2])

    def store_channel_pattern(self, pattern: bytes) -> bytes:
        """Return the server's pattern for PSUBSCRIBE.

        Only a pattern for keyspace events whose key begins literally with a prefix is
        another one at the server. One that reaches the keys by a wildcard matches
        stored names as it is.
        """
        found = _EVENTS.fullmatch(pattern)
        if found is None:
            return pattern
        wildcard = _WILDCARD.search(found[2])
        head = found[2] if wildcard is None else found[2][: wildcard.start()]
        return found[1] + _escape(self._mark(head)) + found[2]

    def show_channel(self, channel: bytes) -> bytes:
        """Return the client's name of a channel, or its pattern."""
        found = _EVENTS.fullmatch(channel)
        if found is None:
            return channel
        return found[1] + self.show(_unescape_mark(found[2]))

    def show_message(self, channel: bytes, payload: bytes) -> bytes:
        """Return a message as clients read it: a ``__keyevent`` message is a key's name."""
        return self.show(payload) if _KEY_EVENTS.match(channel) else payload


def _check(pin: Pin) -> None:
    if not pin.tag or b"{" in pin.tag or b"}" in pin.tag:
        raise PinError(f"the tag {pin.tag!r}", "a word without braces, such as 'bull'")
    if pin.mark in pin.prefix and hash_tag(pin.prefix) == pin.tag:
        raise PinError(
            f"the prefix {pin.prefix!r} with the tag {pin.tag!r}",
            "a prefix without this hash tag; with it, its keys are in one slot already",
        )


def _escape(text: bytes) -> bytes:
    return _WILDCARD.sub(rb"\\\g<0>", text)


def _unescape_mark(name: bytes) -> bytes:
    """Undo ``_escape`` in the hash tag that a pattern begins with."""
    if not name.startswith(b"{"):
        return name
    mark, closing, rest = name.partition(b"}")
    return re.sub(rb"\\(.)", rb"\1", mark) + closing + rest
