"""Raw frames over one socket: what was sent and what came back, byte for byte.

Strategy: a scanner of its own, in plain Python, so that a mistake in the data
plane's scanner cannot hide itself here. A reply is kept as the bytes it came in;
it is parsed into ``Frame`` only where two replies differ and a tolerance has to
look inside.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from proxy.cluster.topology import Address

READ_BYTES = 1 << 16
TIMEOUT_S = 5.0  # chosen: nothing here takes a tenth of it, and a hang should fail the test
# Hypothesis repeats a failing dialogue a hundred times to make it short.
IMPATIENT_TIMEOUT_S = 0.5

AGGREGATES = b"*~%>|"
LENGTHS = b"$=!"


class NoReply(Exception):
    """The other side closed the connection, or was silent for too long."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One RESP value: its type byte, and what it holds."""

    kind: bytes
    text: bytes = b""
    """Of everything but aggregates: the payload."""
    items: tuple[Frame, ...] | None = None
    """Of aggregates (a map's names and values alternate); None: not one, or null."""


def parse_frame(data: bytes | bytearray, start: int = 0) -> tuple[Frame, int] | None:
    """Return the value that begins at ``start`` and where it ends; None: not all there yet.

    Raises:
        ValueError: These bytes are no RESP.
    """
    line_end = data.find(b"\r\n", start)
    if line_end < 0:
        return None
    kind, head, at = bytes(data[start : start + 1]), bytes(data[start + 1 : line_end]), line_end + 2
    if kind in AGGREGATES:
        count = int(head) * (2 if kind in b"%|" else 1)
        if count < 0:
            return Frame(kind), at
        items = []
        for _ in range(count):
            found = parse_frame(data, at)
            if found is None:
                return None
            items.append(found[0])
            at = found[1]
        return Frame(kind, items=tuple(items)), at
    if kind in LENGTHS:
        length = int(head)
        if length < 0:
            return Frame(kind, b"(null)"), at
        if len(data) < at + length + 2:
            return None
        if data[at + length : at + length + 2] != b"\r\n":
            raise ValueError(f"no line end after {length} bytes: {bytes(data[start:][:80])!r}")
        return Frame(kind, bytes(data[at : at + length])), at + length + 2
    if kind not in b"+-:_,#(":
        raise ValueError(f"no RESP type: {bytes(data[start:][:80])!r}")
    return Frame(kind, head), at


def parse_whole(data: bytes) -> Frame:
    """Return the one value that ``data`` is."""
    found = parse_frame(data)
    assert found is not None
    assert found[1] == len(data), f"more than one frame: {data!r:.200}"
    return found[0]


class RawConnection:
    """One client connection that knows nothing of commands."""

    timeout_s = TIMEOUT_S
    """Of all connections: shorter once one of them has been silent."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection((address.host, address.port), self.timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = bytearray()

    def send(self, data: bytes, cuts: Iterable[int] = ()) -> None:
        """Send ``data``, in pieces that end at ``cuts`` (taken modulo its length)."""
        at = 0
        for end in [*sorted({cut % len(data) for cut in cuts}), len(data)] if data else []:
            self._socket.sendall(data[at:end])
            at = end

    def receive(self) -> bytes:
        """Return the bytes of the next whole reply.

        Raises:
            NoReply: There will be none; what came instead is in the message.
        """
        while True:
            found = parse_frame(self._input)
            if found is not None:
                frame = bytes(self._input[: found[1]])
                del self._input[: found[1]]
                return frame
            data = self._read()
            if not data:
                raise NoReply(f"closed, after the bytes {bytes(self._input)!r:.200}")
            self._input += data

    @property
    def has_frame(self) -> bool:
        """Whether a whole reply has been read and not been returned yet."""
        return parse_frame(self._input) is not None

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive_rest(self) -> bytes:
        """Return everything up to the end of the connection."""
        while data := self._read():
            self._input += data
        rest = bytes(self._input)
        self._input.clear()
        return rest

    def say(self, request: bytes) -> bytes:
        """Send one request and return its reply."""
        self.send(request)
        return self.receive()

    def _read(self) -> bytes:
        try:
            return self._socket.recv(READ_BYTES)
        except TimeoutError:
            RawConnection.timeout_s = IMPATIENT_TIMEOUT_S
            raise NoReply(f"silent, after the bytes {bytes(self._input)!r:.200}") from None
        except ConnectionResetError:
            return b""

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
