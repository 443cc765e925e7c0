"""A proxy with a door of every kind, and guests that stay until they are sent away."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from admin_client import DEADLINE_S, Admin, administered
from papers import Papers, to_clients

from proxy.embedded import EmbeddedCluster, wait_for
from proxy.resp.encode import encode_command


class Guest:
    """A client that sends commands and reads what comes, to the end."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream

    def send(self, *words: str) -> None:
        self.stream.sendall(encode_command(*words))

    def read(self, expected: bytes) -> None:
        """Read so many bytes, which have to be these."""
        got = b""
        while len(got) < len(expected) and (data := self.stream.recv(len(expected) - len(got))):
            got += data
        assert got == expected

    def ask(self, *words: str, answer: bytes = b"+OK\r\n") -> None:
        self.send(*words)
        self.read(answer)

    def rest(self) -> bytes:
        """Return all that comes until the connection ends in good order.

        Raises:
            OSError: It was reset, or over TLS cut off without a word.
        """
        got = b""
        while data := self.stream.recv(65536):
            got += data
        return got


class Party:
    """A proxy with every kind of door, its guests, and what it says of itself."""

    def __init__(self, admin: Admin, path: Path, tls_port: int, papers: Papers) -> None:
        self.admin, self.path, self._tls_port, self._papers = admin, path, tls_port, papers
        self._guests = ExitStack()

    def come(self) -> Guest:
        address = ("127.0.0.1", self.admin.proxy.port)
        stream = socket.create_connection(address, DEADLINE_S)
        return Guest(self._guests.enter_context(stream))

    def come_halfway(self) -> Guest:
        """Connect to the port for TLS, and say nothing."""
        address = ("127.0.0.1", self._tls_port)
        return Guest(self._guests.enter_context(socket.create_connection(address, DEADLINE_S)))

    def come_by_tls(self) -> Guest:
        context = self._papers.trusting()
        stream = socket.create_connection(("127.0.0.1", self._tls_port), DEADLINE_S)
        wrapped = context.wrap_socket(
            stream, server_hostname="localhost", suppress_ragged_eofs=False
        )
        return Guest(self._guests.enter_context(wrapped))

    def come_by_path(self) -> Guest:
        stream = self._guests.enter_context(socket.socket(socket.AF_UNIX))
        stream.settimeout(DEADLINE_S)
        stream.connect(str(self.path))
        return Guest(stream)

    def refusals(self) -> list[str]:
        """Return what happens to those who come now."""
        doors: list[Callable[[], Guest]] = [self.come, self.come_by_tls, self.come_by_path]
        found = []
        for door in doors:
            try:
                door().ask("PING", answer=b"+PONG\r\n")
            except OSError as problem:
                found.append(type(problem).__name__)
            else:
                found.append("served")
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and see that the end has begun and nobody is let in any more."""
        os.kill(self.admin.proxy.pid, number)
        wait_for(lambda: "draining" in missing(self.admin), DEADLINE_S, "the drain")
        wait_for(lambda: not self.path.exists(), DEADLINE_S, "the end of the doors")

    def leave(self) -> None:
        self._guests.close()


def missing(admin: Admin) -> str:
    return " ".join(admin.ask("/readyz").json["missing"])


@contextmanager
def party(cluster: EmbeddedCluster, directory: Path, **settings: str) -> Iterator[Party]:
    papers = Papers(directory / "papers")
    path = directory / "slotway.sock"
    given = to_clients(papers.issue("proxy")) | {"tls.mode": "beside", "tls.port": "0"}
    given |= {"listen.unix_socket": str(path)}
    given |= {f"listen.{key}": value for key, value in settings.items()}
    with administered(cluster.addresses, given) as admin:
        (tls_port,) = wait_for(
            lambda: re.findall(r"tls://[^:]+:(\d+)", admin.proxy.log.read_text()),
            DEADLINE_S,
            "the line that tells the ports",
        )
        running = Party(admin, path, int(tls_port), papers)
        try:
            yield running
        finally:
            running.leave()
