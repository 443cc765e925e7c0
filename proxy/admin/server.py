"""Serve HTTP for people and monitoring, beside the data plane and never in its way.

Strategy: hypercorn speaks HTTP on each connection; the connections themselves are kept
here, for what it leaves open: there are only so many at a time, one that moves no byte
is closed, and none outlives the server, not even while it does not take its answer.
Whatever goes wrong on one of them is a line in the log.

Cost: a task for each connection, and 100 ms at start for hypercorn and starlette. While a
request is answered, the data plane makes way after every tick (``_Haste``).
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ConnectionState, Scope
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from proxy.control.secure_stream import SecureStream
from proxy.tls.failures import openssl_words
from proxy.tls.sides import Wrapped

log = structlog.get_logger()

# A page, some scrapers and probes; browsers open six. Chosen.
MAX_CONNECTIONS = 64
# A connection on which nothing moves is closed after so long. Scrapers come every 15 to 60 s
# and connect anew if they have to. Chosen.
QUIET_S = 20.0
# The same for one whose client has said all it had to say, and at most waits for its answer.
ENDED_S = 0.2
HEAD_LIMIT_BYTES = 16 * 1024
SEND_BYTES = 64 * 1024
# How long to hurry after something has moved, and for an answer at most. Chosen: what takes
# longer waits for its client.
HASTE_S = 0.005
ANSWER_HASTE_S = 0.05
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
NO_ROOM_PAUSE_S = 1.0


async def serve(
    app: ASGIApp,
    listeners: Sequence[socket.socket],
    hurry: Callable[[], None],
    guard: Callable[[], Wrapped] | None,
) -> None:
    """Serve until cancelled; the listeners are closed at the end.

    Args:
        app: An ASGI application, which gets no lifespan events.
        hurry: Has the data plane make way for the other tasks at once, this time.
        guard: Wraps each connection in TLS; None: they are without.
    """
    config = _make_config()
    context = WorkerContext(None)
    places = trio.Semaphore(MAX_CONNECTIONS)
    haste = _Haste(hurry)
    open_now: set[_Connection] = set()

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        haste.begin(ANSWER_HASTE_S)
        try:
            # Starlette has other names for the same.
            await app(scope, receive, send)  # type: ignore[arg-type]
        finally:
            haste.end()

    wrapped = wrap_app(answer, config.wsgi_max_body_size, "asgi")

    async def attend(stream: trio.SocketStream) -> None:
        connection = _Connection(stream if guard is None else SecureStream(stream, guard()), haste)
        open_now.add(connection)
        try:
            with connection.lifetime:
                await connection.secure()
                # The type asked for is that of TLS; without it, this is all it uses.
                await TCPServer(wrapped, config, context, ConnectionState({}), connection)  # type: ignore[arg-type]
        except ssl.SSLError as problem:
            log.info("admin port, TLS handshake failed", problem=openssl_words(problem))
        except trio.BrokenResourceError:
            pass
        except Exception:  # a bug met by one connection must not end the proxy
            log.exception("bug in the admin port")
        finally:
            open_now.discard(connection)
            connection.close()
            places.release()

    async def accept(listener: trio.SocketListener) -> None:
        while True:
            await places.acquire()
            try:
                stream = await listener.accept()
            except OSError as problem:
                places.release()
                if problem.errno in NO_ROOM:  # the data plane may need the next descriptor
                    log.warning("admin port cannot accept", problem=str(problem))
                    await trio.sleep(NO_ROOM_PAUSE_S)
                continue
            except BaseException:
                places.release()
                raise
            nursery.start_soon(attend, stream)

    try:
        async with trio.open_nursery() as nursery:
            try:
                nursery.start_soon(haste.run)
                for listener in listeners:
                    nursery.start_soon(
                        accept, trio.SocketListener(trio.socket.from_stdlib_socket(listener))
                    )
                await trio.sleep_forever()
            finally:
                # hypercorn shields what it sends from being cancelled.
                for connection in open_now:
                    connection.close()
    finally:
        for listener in listeners:
            listener.close()


def _make_config() -> Config:
    config = Config()
    config.logger_class = _Log
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = HEAD_LIMIT_BYTES
    config.h2_max_header_list_size = HEAD_LIMIT_BYTES
    config.h2_max_concurrent_streams = 8
    config.keep_alive_timeout = QUIET_S
    config.websocket_max_message_size = HEAD_LIMIT_BYTES
    return config


class _Haste:
    """Has requests answered in rounds of trio that follow each other.

    While there is traffic each round would wait 5 ms for the data plane (``drive.py``), and a
    request takes about ten of them.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._until = 0.0
        self._begun = trio.Event()

    def begin(self, for_s: float) -> None:
        """Hurry for so long from now on, or longer if that was to be already."""
        self._until = max(self._until, trio.current_time() + for_s)
        self._begun.set()

    def end(self) -> None:
        """Hurry only until the answer is on its way: it has been made."""
        self._until = trio.current_time() + HASTE_S

    async def run(self) -> None:
        """Hurry whenever it is time to, for ever."""
        while True:
            await self._begun.wait()
            while trio.current_time() < self._until:
                self._hurry()
                await trio.lowlevel.checkpoint()
            self._begun = trio.Event()


class _Connection:
    """A stream as hypercorn uses it, which ends when nothing moves on it."""

    def __init__(self, stream: trio.SocketStream | SecureStream, haste: _Haste) -> None:
        self.socket = stream.socket
        self.lifetime = trio.CancelScope()
        self._stream = stream
        self._haste = haste
        self._quiet_s = QUIET_S
        self._note_motion()

    async def secure(self) -> None:
        if isinstance(self._stream, SecureStream):
            await self._stream.shake_hands()

    async def receive_some(self, limit_bytes: int) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(limit_bytes))
        except ssl.SSLError as problem:
            raise trio.BrokenResourceError from problem
        if not data:
            # hypercorn would keep the connection as if the client could still send a request.
            self._quiet_s = ENDED_S
        self._note_motion()
        return data

    async def send_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            with trio.move_on_after(QUIET_S) as scope:
                await self._send(rest[:SEND_BYTES])
            if scope.cancelled_caught:
                self.close()
                raise trio.BrokenResourceError("the client does not take its answer")
            rest = rest[SEND_BYTES:]
            self._note_motion()

    async def _send(self, data: memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except ssl.SSLError as problem:
            raise trio.BrokenResourceError from problem

    async def send_eof(self) -> None:
        if isinstance(self._stream, SecureStream):
            self._stream.part()
        # trio's own gives way to other tasks half way, and hypercorn's next send would meet it.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self.close()
        self.lifetime.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()

    def close(self) -> None:
        """Close it at once, also while another task waits for it."""
        self.socket.close()

    def _note_motion(self) -> None:
        self.lifetime.deadline = trio.current_time() + self._quiet_s
        self._haste.begin(HASTE_S)


class _Log(Logger):
    """hypercorn's own words, as lines of our log; those about every start and end left out."""

    def __init__(self, config: Config) -> None:
        """Open nothing: structlog is set up already."""

    async def access(self, request: object, response: object, request_time: float) -> None:
        pass

    async def info(self, message: str, *args: object, **kwargs: object) -> None:
        pass

    async def debug(self, message: str, *args: object, **kwargs: object) -> None:
        pass

    async def warning(self, message: str, *args: object, **kwargs: object) -> None:
        log.warning("admin port", problem=_text(message, args))

    async def error(self, message: str, *args: object, **kwargs: object) -> None:
        log.error("admin port", problem=_text(message, args))

    async def critical(self, message: str, *args: object, **kwargs: object) -> None:
        log.error("admin port", problem=_text(message, args))

    async def exception(self, message: str, *args: object, **kwargs: object) -> None:
        log.exception("bug in the admin port", problem=_text(message, args))

    async def log(self, level: int, message: str, *args: object, **kwargs: object) -> None:
        log.warning("admin port", problem=_text(message, args))


def _text(message: str, args: Sequence[object]) -> str:
    return message % tuple(args) if args else message
