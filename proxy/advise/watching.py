"""Watch a server with MONITOR, for a time or until it is enough.

Strategy: one connection asks first what commands there are and what the clients are
called, then becomes a MONITOR. One task reads all that comes into a backlog, another one
analyses it. A server keeps what a slow reader has not read, without a limit by default,
so reading goes on whatever happens: if the backlog is full, what comes is thrown away and
the analysis is told that something is missing.

Cost to the server: each command is written once more, as text, to this connection. Redis's
documentation says that one MONITOR can halve a busy server's throughput.
"""

from __future__ import annotations

import signal
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from math import inf
from types import FrameType

import hiredis
import trio

from proxy.advise.analysis import Analysis
from proxy.advise.printing import printable
from proxy.cluster.addresses import Address
from proxy.control.connection import Credentials, NodeConnection
from proxy.control.secure_stream import SecureStream
from proxy.errors import BackendProtocolError, BackendUnavailable, ProxyError
from proxy.resp.decode import Value
from proxy.tls.sides import NodeTls

CONNECT_TIMEOUT_S = 5.0  # chosen: a person waits
QUESTION_TIMEOUT_S = 10.0  # COMMAND of a busy server; chosen
BACKLOG_LIMIT_BYTES = 64 * 1024 * 1024  # chosen: some seconds of a busy server
RECEIVE_BYTES = 64 * 1024
FIRST_LINE_LIMIT = 1024  # of an error: no longer than this
PROGRESS_INTERVAL_S = 0.2
# At the end: a pause so long means that the server has no more to send; but a busy one always has.
LAST_PAUSE_S = 0.05
LAST_S = 0.5

Stream = trio.SocketStream | SecureStream

_MONITOR = b"*1\r\n$7\r\nMONITOR\r\n"


class CannotAnalyse(ProxyError):
    """There is nothing to report on; the message says why."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a server says before it is watched."""

    commands: Value
    """The reply to COMMAND; an error if the user may not ask."""
    names: dict[str, str] = field(default_factory=dict)
    """Address of a client to its name, of those that are connected now and have one."""
    notes: tuple[str, ...] = ()


async def ask_server(address: Address, credentials: Credentials, tls: NodeTls) -> Introduction:
    """Ask a server what it is, without watching it.

    Raises:
        CannotAnalyse: It cannot be reached, or does not let us in.
    """
    connection = await _open(address, credentials, tls)
    async with connection:
        return await _introduce(connection, address)


async def watch_server(
    address: Address,
    credentials: Credentials,
    tls: NodeTls,
    *,
    seconds: float | None,
    begin: Callable[[Introduction], Analysis],
    show: Callable[[Analysis, float], None],
) -> tuple[Analysis, tuple[str, ...], bool]:
    """Analyse what a server does from now on.

    Args:
        seconds: For how long; None: until SIGINT or SIGTERM.
        begin: Makes the analysis, once the server has said what it is.
        show: Called now and then with the analysis and the seconds gone.

    Returns:
        The analysis, to be ended by the caller; notes; whether a signal ended it.

    Raises:
        CannotAnalyse: As ``ask_server``; or the user may not use MONITOR.
    """
    with _until_signal() as stop:
        with stop.scope:
            connection = await _open(address, credentials, tls)
            async with connection:
                introduction = await _introduce(connection, address)
                stream = connection.release()
        if stop.was_asked:
            raise CannotAnalyse("interrupted before there was anything to analyse")
        with closing(stream.socket):
            with trio.move_on_after(QUESTION_TIMEOUT_S) as patience:
                rest = await _begin_monitor(stream, address)
            if patience.cancelled_caught:
                raise CannotAnalyse(f"{address} did not answer MONITOR")
            watch = _Watch(stream, begin(introduction), rest)
            await watch.run(stop, seconds, show)
    notes = list(introduction.notes)
    if watch.has_ended:
        notes.append(f"{address} closed the connection before the time was over")
    return watch.analysis, tuple(notes), stop.was_asked


class _Stop:
    """Whether a signal has come, and what it ends."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.was_asked = False

    def ask(self) -> None:
        self.was_asked = True
        self.scope.cancel()


@contextmanager
def _until_signal() -> Iterator[_Stop]:
    """Have SIGINT and SIGTERM end a scope instead of the process, from the first moment on."""
    stop = _Stop()
    token = trio.lowlevel.current_trio_token()

    def handle(number: int, frame: FrameType | None) -> None:
        token.run_sync_soon(stop.ask)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _open(address: Address, credentials: Credentials, tls: NodeTls) -> NodeConnection:
    try:
        return await NodeConnection.open(
            address, credentials, tls, connect_timeout_s=CONNECT_TIMEOUT_S
        )
    except (BackendUnavailable, BackendProtocolError) as problem:
        raise _cannot(address, problem) from None


def _cannot(address: Address, problem: BackendUnavailable | BackendProtocolError) -> CannotAnalyse:
    if isinstance(problem, BackendProtocolError):
        return CannotAnalyse(f"{address} is no Redis server, or wants TLS: {problem}")
    return CannotAnalyse(str(problem))


async def _introduce(connection: NodeConnection, address: Address) -> Introduction:
    try:
        with trio.fail_after(QUESTION_TIMEOUT_S):
            ping, commands, clients, info = await connection.ask_all(
                [("PING",), ("COMMAND",), ("CLIENT", "LIST"), ("INFO", "server")]
            )
    except trio.TooSlowError:
        raise CannotAnalyse(f"{address} did not answer within {QUESTION_TIMEOUT_S:g} s") from None
    except (BackendUnavailable, BackendProtocolError) as problem:
        raise _cannot(address, problem) from None
    if isinstance(ping, hiredis.ReplyError) and str(ping).startswith("NOAUTH"):
        raise CannotAnalyse(f"{address} wants a password: {ping}")
    notes = []
    if isinstance(info, bytes) and b"redis_mode:cluster" in info:
        notes.append(f"{address} is a node of a cluster: only its part of the traffic was seen")
    if not isinstance(clients, bytes):
        notes.append("the user may not run CLIENT LIST: names given earlier are not known")
    return Introduction(
        commands, parse_client_list(clients) if isinstance(clients, bytes) else {}, tuple(notes)
    )


def parse_client_list(text: bytes) -> dict[str, str]:
    """Return address and name of all clients in the reply to CLIENT LIST that have a name."""
    names = {}
    for line in text.decode(errors="replace").splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split(" "))
        if fields.get("name") and "addr" in fields:
            names[fields["addr"]] = printable(fields["name"].encode())
    return names


async def _begin_monitor(stream: Stream, address: Address) -> bytes:
    """Send MONITOR, and return what came after its OK."""
    begun = b""
    try:
        await stream.send_all(_MONITOR)
        while b"\n" not in begun and len(begun) < FIRST_LINE_LIMIT:
            data = await stream.receive_some(RECEIVE_BYTES)
            if not data:
                raise CannotAnalyse(f"{address} closed the connection")
            begun += data
    except (trio.BrokenResourceError, ssl.SSLError) as problem:
        raise CannotAnalyse(f"lost the connection to {address}: {problem}") from None
    first, _, rest = begun.partition(b"\n")
    if first.rstrip(b"\r") != b"+OK":
        words = first.rstrip(b"\r").removeprefix(b"-").decode(errors="replace")
        raise CannotAnalyse(f"{address} refused MONITOR: {words}")
    return rest


class _Watch:
    """The tasks that read, analyse, and show how far it is.

    Attributes:
        analysis: What comes of it.
        has_ended: The server closed the connection.
    """

    def __init__(self, stream: Stream, analysis: Analysis, rest: bytes) -> None:
        self._stream = stream
        self.analysis = analysis
        self._backlog: deque[bytes | None] = deque([rest])  # None: something is missing
        self._bytes = len(rest)
        self._news = trio.Event()
        self._is_over = False
        self.has_ended = False

    async def run(
        self, stop: _Stop, seconds: float | None, show: Callable[[Analysis, float], None]
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._show, show)
            async with trio.open_nursery() as work:
                work.start_soon(self._analyse)
                with trio.move_on_after(inf if seconds is None else seconds) as stop.scope:
                    if stop.was_asked:  # while MONITOR was begun
                        stop.scope.cancel()
                    while not self.has_ended:
                        await self._read_once()
                await self._read_what_was_sent()
                self._is_over = True
                self._news.set()
            nursery.cancel_scope.cancel()

    async def _read_once(self) -> None:
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.BrokenResourceError, ssl.SSLError):
            data = b""
        self.has_ended = not data
        if data:
            self._keep(bytes(data))

    async def _read_what_was_sent(self) -> None:
        """Read on until nothing comes: what a server had done before the end belongs to it."""
        with trio.move_on_after(LAST_S):
            while not self.has_ended:
                with trio.move_on_after(LAST_PAUSE_S) as pause:
                    await self._read_once()
                if pause.cancelled_caught:
                    return

    def _keep(self, data: bytes) -> None:
        if self._bytes + len(data) <= BACKLOG_LIMIT_BYTES:
            self._backlog.append(data)
            self._bytes += len(data)
        elif not self._backlog or self._backlog[-1] is not None:
            self._backlog.append(None)
        self._news.set()

    async def _analyse(self) -> None:
        while self._backlog or not self._is_over:
            if not self._backlog:
                self._news = trio.Event()
                await self._news.wait()
                continue
            data = self._backlog.popleft()
            if data is None:
                self.analysis.skip()
            else:
                self._bytes -= len(data)
                self.analysis.feed(data)
            await trio.lowlevel.checkpoint()

    async def _show(self, show: Callable[[Analysis, float], None]) -> None:
        begun = trio.current_time()
        while True:
            show(self.analysis, trio.current_time() - begun)
            await trio.sleep(PROGRESS_INTERVAL_S)
