"""What two processes say to each other while one hands its sockets over to the other.

Strategy: one packet a message, over a socket that both got from the older one: JSON, and
beside it the descriptors that it speaks of. The two may be different versions of this
program, so both say which words they know; if those differ, nothing is handed over.

The older one says::

    hello     {protocol, version, listeners, beside, made_here} and the listening sockets: so
              many for clients, of which the last ``beside`` are for TLS beside the others, then
              the admin's; made_here has a bit for each whose path it has made
    go        {next_client_id, taken_over_s, gone}: it accepts nobody any more; and when a
              replica last took the place of which primary, if any has
    client    {record, unread} and its socket; then as many bytes of its record
              (``sessions/moving.py``) and of what was read of it
    end       there are no more

The newer one says ``ready`` {protocol} when it could serve, and ``serving`` when it does.

Source: ``unix(7)``, SOCK_SEQPACKET and SCM_RIGHTS.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from proxy.errors import ProxyError

PROTOCOL = 1
PACKET_BYTES = 64 * 1024
DESCRIPTORS_LIMIT = 64  # in one packet; the kernel takes 253
NUMBER_LIMIT = (1 << 63) - 1
_INT_BYTES = array.array("i").itemsize


class HandoverFailed(ProxyError):
    """The other process has gone, or does not speak as it should."""


@dataclass(slots=True)
class Message:
    """One message, as it came."""

    kind: str
    fields: dict[str, object]
    descriptors: list[int] = field(default_factory=list)

    def number(self, name: str) -> int:
        """Return a field that has to be a whole number, 0 or more and of 63 bits at most.

        Raises:
            HandoverFailed: It is not there, or something else.
        """
        value = self.fields.get(name)
        if not isinstance(value, int) or not 0 <= value <= NUMBER_LIMIT:
            raise HandoverFailed(f"{self.kind} without a number {name}")
        return value

    def close(self) -> None:
        """Close the descriptors that came along."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()


class Wire:
    """One side of the conversation.

    Args:
        end: Its socket; ``close`` closes it.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = trio.socket.from_stdlib_socket(end)

    def close(self) -> None:
        """Hang up; may be called again."""
        self._end.close()

    async def say(
        self, kind: str, fields: dict[str, object] | None = None, descriptors: Sequence[int] = ()
    ) -> None:
        """Say something. The descriptors stay open here, too.

        Raises:
            HandoverFailed: Nobody listens any more.
        """
        words = {"kind": kind, **(fields or {})}
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        await self._send(json.dumps(words).encode(), beside if descriptors else [])

    async def say_bytes(self, data: bytes) -> None:
        """Say bytes, of which the message before has told how many.

        Raises:
            HandoverFailed: Nobody listens any more.
        """
        for start in range(0, len(data), PACKET_BYTES):
            await self._send(data[start : start + PACKET_BYTES], [])

    async def hear(self) -> Message:
        """Return the next message; its descriptors are the caller's.

        Raises:
            HandoverFailed: There is none, or it is not one.
        """
        try:
            data, beside, flags, _ = await self._end.recvmsg(
                PACKET_BYTES, socket.CMSG_SPACE(DESCRIPTORS_LIMIT * _INT_BYTES)
            )
        except OSError as problem:
            raise HandoverFailed(str(problem)) from None
        message = Message("", {})
        for level, kind, content in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % _INT_BYTES])
                message.descriptors += numbers
        try:
            if not data:
                raise HandoverFailed("the other process has gone")
            words = json.loads(data)
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or not isinstance(words, dict):
                raise ValueError
            message.kind, message.fields = str(words.pop("kind")), words
        except (ValueError, KeyError, RecursionError):
            message.close()
            raise HandoverFailed(f"a message that is none: {data[:80]!r}") from None
        except HandoverFailed:
            message.close()
            raise
        return message

    async def expect(self, kind: str, *, brings_sockets: bool = False) -> Message:
        """Return the next message, which has to be of this kind.

        Args:
            brings_sockets: Descriptors come along, which are the caller's; else none may.

        Raises:
            HandoverFailed: It is not.
        """
        message = await self.hear()
        if message.kind != kind or (message.descriptors and not brings_sockets):
            message.close()
            raise HandoverFailed(f"{message.kind} instead of {kind}")
        return message

    async def hear_bytes(self, count: int) -> bytes:
        """Return so many bytes, as ``say_bytes`` has said them.

        Raises:
            HandoverFailed: They end before.
        """
        pieces = bytearray()
        while len(pieces) < count:
            try:
                piece = await self._end.recv(PACKET_BYTES)
            except OSError as problem:
                raise HandoverFailed(str(problem)) from None
            if not piece:
                raise HandoverFailed("the other process has gone")
            pieces += piece
        return bytes(pieces)

    async def _send(self, data: bytes, beside: Sequence[tuple[int, int, array.array[int]]]) -> None:
        try:
            await self._end.sendmsg([data], beside)
        except OSError as problem:
            raise HandoverFailed(str(problem)) from None


def expect_same_protocol(message: Message) -> None:
    """See that the other process knows the same words.

    Raises:
        HandoverFailed: It does not.
    """
    theirs = message.number("protocol")
    if theirs != PROTOCOL:
        raise HandoverFailed(f"it hands over by protocol {theirs}, this version by {PROTOCOL}")
