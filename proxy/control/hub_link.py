"""One connection of the hub to one node: SUBSCRIBE out, messages in, PUBLISH in between.

Strategy: in RESP3 a node confirms a subscription by a push, and refuses it by an
error in place of a reply. So this connection has a queue of its own of what every
answer belongs to, pushes and replies alike: they come in the order asked. What the
engine counts as owed (a PING closes each block) only keeps its queue moving.

PUBLISH of the clients goes the same way as the subscriptions. So the order in which a
subscriber sees its own message and its own reply is the server's, and how much of a
PUBLISH's count is our own doing is known exactly.

Cost: one connection for each node that has a topic, and for each account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from proxy.cluster.addresses import Address
from proxy.control.connection import Credentials
from proxy.control.subscriptions import Kind, channel_matcher
from proxy.dataplane.engine import Engine
from proxy.dataplane.lane import Pipeline
from proxy.errors import BackendUnavailable
from proxy.resp.encode import encode_command

log = structlog.get_logger()

# Names of one write: a block is one frame to the engine, and is copied.
NAMES_PER_BLOCK = 500

PING = encode_command("PING")

PublishDone = Callable[["bytes | BackendUnavailable"], object]

_SUBSCRIBED = {kind.subscribe: kind for kind in Kind}
_UNSUBSCRIBED = {kind.unsubscribe: kind for kind in Kind}
_MESSAGES = {kind.message: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Name:
    """What can be subscribed to."""

    kind: Kind
    text: bytes


@dataclass(eq=False, slots=True)
class _Publish:
    """A PUBLISH on its way."""

    on_done: PublishDone
    is_done: bool = False

    def finish(self, reply: bytes | BackendUnavailable) -> None:
        if not self.is_done:
            self.is_done = True
            self.on_done(reply)


@dataclass(frozen=True, slots=True)
class _Ask:
    """A SUBSCRIBE or UNSUBSCRIBE on its way."""

    name: Name
    is_end: bool
    turn: int


_Owed = _Publish | _Ask | None  # None: a PING


class Listener(Protocol):
    """The hub, as a link sees it. All of these are called inside a tick of the engine."""

    def confirmed(self, link: HubLink, name: Name) -> None:
        """Note that a name is subscribed there."""

    def unsubscribed(self, link: HubLink, name: Name) -> None:
        """Note that a name is no longer subscribed there, as was asked."""

    def evicted(self, link: HubLink, name: Name) -> None:
        """Note that the node has ended a subscription by itself: its slot has moved."""

    def refused(self, link: HubLink, name: Name, line: bytes) -> None:
        """Note that the node will not subscribe a name, and what it says."""

    def lost(self, link: HubLink) -> None:
        """Note that nothing is subscribed there any more."""

    def message(self, link: HubLink, name: Name, channel: bytes, frame: bytes) -> None:
        """Take a message, which came because of ``name``."""


class HubLink:
    """What one account has subscribed at one node.

    Attributes:
        address: The node's.
        account: Whose rights the connection has.
        names: What was asked for on the connection that is in use or will be, and when.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        pipeline: Pipeline,
        address: Address,
        account: Credentials | None,
        hub: Listener,
    ) -> None:
        self.address = address
        self.account = account
        self.names: dict[Name, int] = {}
        self.pipeline = pipeline
        self._turn = 0  # tells one SUBSCRIBE of a name from a later one
        self._matchers: dict[bytes, Callable[[bytes], bool]] = {}
        self._engine = engine
        self._hub = hub
        self._owed: deque[_Owed] = deque()
        self._open: list[_Publish] = []  # without a reply when the connection was lost
        pipeline.on_push = self._take
        pipeline.on_lost = self._connection_lost
        pipeline.is_stream = True

    @property
    def owes(self) -> bool:
        """Whether the node has not answered everything yet."""
        return bool(self._owed)

    # ---- out ----------------------------------------------------------------------

    def subscribe(self, names: Iterable[Name]) -> None:
        """Ask for names; each will be confirmed, refused or lost."""
        wanted = list(names)
        self._turn += 1
        for name in wanted:
            self.names[name] = self._turn
            if name.kind is Kind.PATTERN:
                self._matchers[name.text] = channel_matcher(name.text)
        self._ask(wanted, is_end=False)

    def unsubscribe(self, names: Iterable[Name]) -> None:
        """Ask for an end of names."""
        unwanted = list(names)
        for name in unwanted:
            self._forget(name)
        self._ask(unwanted, is_end=True)

    def ping(self) -> None:
        """Give the node an occasion to show that it lives."""
        self._owed.append(None)
        self._engine.submit(self.pipeline, PING, self._take_reply)

    def publish(self, args: Iterable[bytes], on_done: PublishDone) -> None:
        """Send a client's PUBLISH or SPUBLISH.

        Args:
            on_done: Called once, inside a tick.
        """
        publish = _Publish(on_done)

        def take(reply: bytes | BackendUnavailable) -> None:
            if isinstance(reply, BackendUnavailable):
                publish.finish(reply)
            self._take_reply(reply)

        self._owed.append(publish)
        self._engine.submit(self.pipeline, encode_command(*args), take)

    def own_receivers(self, kind: Kind, channel: bytes) -> int:
        """Return how often this connection gets a message that is published here now."""
        own = int(Name(kind, channel) in self.names)
        if kind is Kind.CHANNEL:
            own += sum(matches(channel) for matches in self._matchers.values())
        return own

    def has(self, name: Name) -> bool:
        """Return whether the node counts this connection for a name, as far as is known."""
        return name in self.names or any(
            isinstance(owed, _Ask) and owed.is_end and owed.name == name for owed in self._owed
        )

    def patterns(self) -> set[bytes]:
        """Return the patterns for which the node counts this connection."""
        ending = {owed.name for owed in self._owed if isinstance(owed, _Ask) and owed.is_end}
        return {name.text for name in {*self.names, *ending} if name.kind is Kind.PATTERN}

    def _ask(self, names: list[Name], *, is_end: bool) -> None:
        for first in range(0, len(names), NAMES_PER_BLOCK):
            block = names[first : first + NAMES_PER_BLOCK]
            self._owed.extend(_Ask(name, is_end, self._turn) for name in block)
            self._owed.append(None)
            # One command for each name: a refusal then says which it means, and
            # shard channels of several slots would be refused together.
            frames = [
                encode_command(name.kind.unsubscribe if is_end else name.kind.subscribe, name.text)
                for name in block
            ]
            self._engine.submit(self.pipeline, b"".join([*frames, PING]), self._take_reply)

    def _forget(self, name: Name) -> None:
        self.names.pop(name, None)
        if name.kind is Kind.PATTERN:
            self._matchers.pop(name.text, None)

    # ---- in -----------------------------------------------------------------------

    def _take_reply(self, reply: bytes | BackendUnavailable) -> None:
        if isinstance(reply, BackendUnavailable):
            self._lose()
        elif self.pipeline.is_connected:
            self._take(reply)
        else:
            self._take_refusal(reply)

    def _take_refusal(self, line: bytes) -> None:
        """Pass on why there will be no connection: the account is not let in."""
        owed, self._owed = self._owed, deque()
        names, self.names, self._matchers = self.names, {}, {}
        for each in owed:
            if isinstance(each, _Publish):
                each.finish(line)
        for name in names:
            self._hub.refused(self, name, line)

    def _take(self, frame: bytes) -> None:
        try:
            self._dispatch(frame)
        except Exception:  # a bug met by one message must not end the data plane
            log.exception("bug in the hub", node=str(self.address), frame_bytes=len(frame))
            self._engine.drop(self.pipeline)

    def _dispatch(self, frame: bytes) -> None:
        if frame.startswith(b">"):
            self._take_push(frame)
        elif self._owed:
            self._take_answer(self._owed.popleft(), frame)

    def _take_answer(self, owed: _Owed, frame: bytes) -> None:
        match owed:
            case _Publish():
                owed.finish(frame)
            case _Ask(name, True, _):
                self._hub.unsubscribed(self, name)
            case _Ask(name, False, turn) if self.names.get(name) == turn:
                self._forget(name)
                self._hub.refused(self, name, frame)

    def _take_push(self, frame: bytes) -> None:
        word, at = read_bulk(frame, frame.find(b"\n") + 1)
        text, at = read_bulk(frame, at)
        kind = _MESSAGES.get(word)
        if kind is not None:
            channel = text
            if kind is Kind.PATTERN:
                channel, _ = read_bulk(frame, at)
            self._hub.message(self, Name(kind, text), channel, frame)
        elif word in _SUBSCRIBED:
            name = Name(_SUBSCRIBED[word], text)
            ask = self._pop_ask(name, is_end=False)
            if ask is not None and self.names.get(name) == ask.turn:
                self._hub.confirmed(self, name)
        elif word in _UNSUBSCRIBED:
            name = Name(_UNSUBSCRIBED[word], text)
            if self._pop_ask(name, is_end=True) is not None:
                self._hub.unsubscribed(self, name)
            elif name in self.names:
                self._forget(name)
                self._hub.evicted(self, name)

    def _pop_ask(self, name: Name, *, is_end: bool) -> _Ask | None:
        """Return what this push answers; None if nobody asked for it."""
        ask = self._owed[0] if self._owed else None
        if isinstance(ask, _Ask) and ask.name == name and ask.is_end == is_end:
            self._owed.popleft()
            return ask
        return None

    def _lose(self) -> None:
        """Start again from nothing: the connection is gone, or was never made."""
        owed, self._owed = self._owed, deque()
        self._open = [each for each in self._open if not each.is_done]
        self._open += [each for each in owed if isinstance(each, _Publish)]
        had_names = bool(self.names)
        self.names = {}
        self._matchers = {}
        if had_names:
            self._hub.lost(self)

    def _connection_lost(self) -> None:
        """Note that everything the engine knows to be unanswered has been told so.

        After a refusal it took a PING's answer for that to a PUBLISH; such a one is
        still open.
        """
        self._lose()
        left, self._open = self._open, []
        for publish in left:
            publish.finish(BackendUnavailable("connection lost", sent=True))


def read_bulk(frame: bytes, at: int) -> tuple[bytes, int]:
    """Return the bulk string that begins at ``at``, and where the next element begins.

    Empty for what is no bulk string, or not there.
    """
    line_end = frame.find(b"\r\n", at)
    if line_end < 0 or frame[at : at + 1] != b"$" or frame[at + 1 : at + 2] == b"-":
        return b"", line_end + 2 if line_end >= 0 else len(frame)
    length = int(frame[at + 1 : line_end])
    start = line_end + 2
    return frame[start : start + length], start + length + 2
