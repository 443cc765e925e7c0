"""TLS over a socket in trio, for what the data plane does not do, or until it takes both.

Strategy: trio has such a stream, but it keeps the parts to itself that the data plane needs;
what a handshake and a few questions need is short. One task may read while another writes.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import trio

from proxy.tls.sides import Wrapped

RECEIVE_BYTES = 64 * 1024

T = TypeVar("T")


class SecureStream:
    """A stream with TLS, whose errors are those of ``ssl`` and trio.

    Attributes:
        socket: What it goes over.
        wrapped: Its TLS, for whoever goes on with it.
    """

    def __init__(self, stream: trio.SocketStream, wrapped: Wrapped) -> None:
        self.socket = stream.socket
        self.wrapped = wrapped
        self._stream = stream
        self._sending = trio.Lock()
        self._tls, self._incoming, self._outgoing = wrapped

    async def shake_hands(self) -> None:
        """Complete the handshake.

        Raises:
            ssl.SSLError: It failed, or the other side ended the connection.
            trio.BrokenResourceError: The connection broke.
        """
        await self._step(self._tls.do_handshake)

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        await self._flush()

    async def receive_some(self, limit_bytes: int) -> bytes:
        """Return bytes; none at the end."""
        try:
            return await self._step(lambda: self._tls.read(limit_bytes))
        except ssl.SSLEOFError:
            return b""

    def part(self) -> None:
        """Tell the other side that nothing more comes, if there is room for it; never waits."""
        with suppress(ssl.SSLError, OSError):
            self._tls.unwrap()
        with suppress(OSError):
            os.write(self.socket.fileno(), self._outgoing.read())

    def last_words(self) -> ssl.SSLError | None:
        """Return the alert that has come before the connection broke, if one has; never waits.

        A server that does not like our certificate says so and closes; what we were sending
        meanwhile breaks the connection before its words are read.
        """
        with suppress(OSError):
            self._incoming.write(os.read(self.socket.fileno(), RECEIVE_BYTES))
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError as problem:
            return problem
        return None

    async def _step(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
            except ssl.SSLError:
                with suppress(trio.BrokenResourceError):
                    await self._flush()  # tell the other side why
                raise
            else:
                await self._flush()
                return result
            received = await self._stream.receive_some(RECEIVE_BYTES)
            if received:
                self._incoming.write(received)
            else:
                self._incoming.write_eof()

    async def _flush(self) -> None:
        # Whoever reads may have something to write, too: one of them at a time.
        async with self._sending:
            if self._outgoing.pending:
                await self._stream.send_all(self._outgoing.read())
