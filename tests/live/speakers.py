"""Clients that hear what they have not asked for, and dialogues between several of them.

Strategy: a dialogue is held with a standalone server first. How many frames each client
gets after each line is then known, so that the proxy's clients can be read without
guessing how long to wait; only at the end is there a pause to see that nothing is left.
"""

from __future__ import annotations

import re
import socket
import time
from types import TracebackType
from typing import Self

from differential.wire import parse_frame

from proxy.resp.encode import encode_command
from proxy.resp.inline import split_inline

DEADLINE_S = 20.0
QUIET_S = 0.05  # chosen
# How long a request is waited for that may get no answer at all, as after CLIENT REPLY OFF.
SILENCE_S = 1.0  # chosen


class Speaker:
    """One connection; gives whole frames as the bytes they came in."""

    def __init__(self, port: int, *, resp: int = 2, receive_buffer_bytes: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.connect(("127.0.0.1", port))
        self.resp = resp
        self._input = bytearray()
        if resp == 3:
            self.ask("HELLO", 3)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, *args: bytes | str | int) -> None:
        """Send one command."""
        self.socket.sendall(encode_command(*args))

    def ask(self, *args: bytes | str | int) -> bytes:
        """Send one command and return the next frame."""
        self.send(*args)
        return self.read()

    def read(self, within_s: float = DEADLINE_S) -> bytes:
        """Return the next frame.

        Raises:
            TimeoutError: None has come in time.
            ConnectionResetError: The connection was closed.
        """
        deadline = time.monotonic() + within_s
        while True:
            found = parse_frame(self._input)
            if found is not None:
                frame = bytes(self._input[: found[1]])
                del self._input[: found[1]]
                return frame
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionResetError(f"closed after {bytes(self._input)!r:.200}")
            self._input += data

    def read_many(self, count: int) -> list[bytes]:
        """Return so many frames; what is missing is told by its reason."""
        frames: list[bytes] = []
        while len(frames) < count:
            try:
                frames.append(self.read())
            except (TimeoutError, ConnectionResetError) as problem:
                return [*frames, repr(type(problem)).encode()]
        return frames

    def read_until_quiet(self, quiet_s: float = QUIET_S) -> list[bytes]:
        """Return every frame that comes before there is a pause, and how it ended."""
        frames: list[bytes] = []
        while True:
            try:
                frames.append(self.read(quiet_s))
            except TimeoutError:
                return frames
            except ConnectionResetError as problem:
                return [*frames, repr(type(problem)).encode()]

    def read_some(self) -> list[bytes]:
        """Return the next frame, if one comes before long."""
        try:
            return [self.read(SILENCE_S)]
        except TimeoutError:
            return []
        except ConnectionResetError as problem:
            return [repr(type(problem)).encode()]

    def vanish(self) -> None:
        """Be gone without a goodbye."""
        self.socket.close()


def message(word: str, *words: bytes, resp: int = 2) -> bytes:
    """Return the frame of a message."""
    head = b">%d\r\n" if resp == 3 else b"*%d\r\n"
    body = b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in (word.encode(), *words))
    return head % (len(words) + 1) + body


def normal(frame: bytes) -> bytes:
    """Return a frame without what belongs to one connection or one moment."""
    frame = re.sub(rb"\+\d+\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\]", rb"+TIME [\1 PEER]", frame)
    if b"proto\r\n" in frame:
        return frame[:1]
    if b"id=" in frame:
        return b" ".join(re.findall(rb"\b(?:flags|sub|psub|ssub|cmd|resp)=\S+", frame))
    return frame


def dialogue(port: int, text: str, *, resp: int, like: list[dict[str, list[bytes]]] | None = None):
    """Hold a dialogue; return for each line what each client got, by its name.

    Args:
        text: A line for each request: the client's name, then its words as for redis-cli.
        like: What the other side has answered: so many frames are awaited.
    """
    clients: dict[str, Speaker] = {}
    heard: list[dict[str, list[bytes]]] = []
    for line in text.strip().splitlines():
        name, _, said = line.strip().partition(" ")
        if name not in clients:
            clients[name] = Speaker(port, resp=resp)
        words = split_inline(said.encode())
        assert words
        clients[name].send(*words)
        at = len(heard)
        heard.append({})
        told: dict[str, list[bytes]] = {}
        if like is None:
            told[name] = clients[name].read_some()
            _let_server_write(port)
        for each, client in clients.items():
            if like is None:
                frames = told.get(each, []) + client.read_until_quiet(0.005)
            else:
                frames = client.read_many(len(like[at].get(each, [])))
            if frames:
                heard[at][each] = _ordered([normal(frame) for frame in frames])
    for each, client in clients.items():
        rest = client.read_until_quiet()
        if rest and b"ConnectionReset" not in rest[0]:
            heard.append({each: [normal(frame) for frame in rest]})
        client.vanish()
    return heard


def _let_server_write(port: int) -> None:
    """Wait until a server has written what it had to say to anybody.

    It writes to all in the same turn of its loop. No monitor is shown this command.
    """
    with Speaker(port) as other:
        for _ in range(2):
            other.ask("CONFIG", "GET", "port")


def _ordered(frames: list[bytes]) -> list[bytes]:
    """Return frames in an order to compare: one PUBLISH may come by a channel and by patterns.

    Servers tell patterns in no particular order, and the proxy hears each from its home.
    """
    return sorted(frames) if all(b"message\r\n" in frame for frame in frames) else frames
