"""A client that is nothing but a socket: it sends bytes and reads exact bytes."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import trio
from fake_node import PATIENCE_S

from proxy.dataplane.frames import ReplyStream
from proxy.resp.encode import encode_command


class RawClient:
    """One connection to the proxy."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain
        self._stream = trio.SocketStream(trio.socket.from_stdlib_socket(plain))
        self._pending = bytearray()

    @classmethod
    async def connect(
        cls, port: int, *, host: str = "127.0.0.1", receive_buffer_bytes: int = 0
    ) -> RawClient:
        """Connect; a small receive buffer makes a slow reader of it."""
        plain = socket.socket()
        plain.setblocking(False)
        if receive_buffer_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        client = cls(plain)
        try:
            await client._stream.socket.connect((host, port))
        except BaseException:
            plain.close()
            raise
        return client

    async def send(self, *frames: bytes) -> None:
        """Send bytes, in one piece if the kernel takes them."""
        await self._stream.send_all(b"".join(frames))

    async def ask(self, *args: bytes | str | int) -> None:
        """Send one command, and do not wait."""
        await self.send(encode_command(*args))

    async def call(self, *args: bytes | str | int) -> bytes:
        """Send one command and return its whole reply."""
        await self.ask(*args)
        return await self.read_reply()

    async def read_reply(self) -> bytes:
        """Return the next whole reply, as the bytes it came in."""
        return (await self.read_replies(1))[0]

    async def read_replies(self, count: int) -> list[bytes]:
        """Return the next so many replies."""
        cutter = ReplyStream()
        replies: list[bytes] = []
        unread = bytes(self._pending)
        with trio.fail_after(PATIENCE_S):
            while True:
                replies += cutter.feed(unread)
                if len(replies) >= count:
                    break
                unread = bytes(await self._stream.receive_some(65536))
                assert unread, f"closed after {replies[-3:]!r}"
                self._pending += unread
        del self._pending[: sum(len(reply) for reply in replies[:count])]
        return replies[:count]

    async def read_bytes(self, length: int) -> bytes:
        """Return the next so many bytes; fewer if the proxy closes the connection."""
        with trio.fail_after(PATIENCE_S):
            while len(self._pending) < length:
                data = await self._stream.receive_some(65536)
                if not data:
                    break
                self._pending += data
        found = bytes(self._pending[:length])
        del self._pending[:length]
        return found

    async def expect(self, *frames: bytes) -> None:
        """Read exactly these bytes; fail at the first that differs."""
        wanted = b"".join(frames)
        while wanted:
            got = await self.read_bytes(1) + self._pending[: len(wanted) - 1]
            assert wanted.startswith(got or b"the end"), f"{got[:400]!r}, not {wanted[:400]!r}"
            del self._pending[: len(got) - 1]
            wanted = wanted[len(got) :]

    async def expect_end(self) -> None:
        """Read that the proxy has closed the connection, and nothing before."""
        try:
            rest = await self.read_bytes(1 << 30)
        except trio.BrokenResourceError:
            rest = bytes(self._pending)
        assert rest == b"", f"got {rest[:400]!r} before the end"

    @property
    def has_replies(self) -> bool:
        """Whether anything has come that was not read."""
        if not self._pending:
            try:
                self._pending += self._plain.recv(65536)
            except BlockingIOError:
                return False
        return bool(self._pending)

    def take(self) -> bytes:
        """Return everything that has come and was not read.

        Raises:
            ConnectionError: The connection was reset.
        """
        with suppress(BlockingIOError):
            while data := self._plain.recv(65536):
                self._pending += data
        found = bytes(self._pending)
        self._pending.clear()
        return found

    async def finish_sending(self) -> None:
        """Close the sending side only, as ``nc`` does at the end of its input."""
        await self._stream.send_eof()

    async def close(self) -> None:
        """Leave."""
        await self._stream.aclose()

    def vanish(self) -> None:
        """Be gone at once, as a killed process: RST."""
        if self._plain.fileno() < 0:
            return
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()
