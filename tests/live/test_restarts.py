"""Twenty restarts under load, by SIGUSR2: no request fails, and nobody is disconnected."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
import redis
from admin_client import DEADLINE_S, administered
from engine_here import ON_ONE_ENGINE
from successors import line_of

from proxy.embedded import EmbeddedCluster, wait_for
from proxy.resp.decode import ReplyReader
from proxy.resp.encode import encode_command

# No server sees any of this.
pytestmark = [pytest.mark.live, pytest.mark.takes(35), ON_ONE_ENGINE]

RESTARTS = 20
PIPELINE = 40
PACE_S = 0.002  # between what each client sends: the successor needs the processor, too


class Load(threading.Thread):
    """A client that never tries again: whatever fails is a failed request."""

    def __init__(self, port: int, name: str, is_over: threading.Event) -> None:
        super().__init__(name=name)
        self.acknowledged = 0
        self.key = f"count:{name}"
        self.problem: str = ""
        self._port = port
        self._is_over = is_over

    def run(self) -> None:
        try:
            self._work()
        except Exception as problem:  # noqa: BLE001  whatever it is, it is a failed request
            self.problem = repr(problem)

    def _work(self) -> None:
        raise NotImplementedError


class RedisPy(Load):
    """One connection for as long as it lasts, whose name and id must last, too."""

    def _work(self) -> None:
        with redis.Redis(
            port=self._port,
            retry=None,
            single_connection_client=True,
            client_name=self.name,
            protocol=3,
            socket_timeout=DEADLINE_S,
        ) as client:
            number = client.client_id()
            while not self._is_over.wait(PACE_S):
                assert client.incr(self.key) == self.acknowledged + 1
                self.acknowledged += 1
                with client.pipeline() as block:
                    block.set(f"{{{self.key}}}:copy", self.acknowledged)
                    block.get(f"{{{self.key}}}:copy")
                    assert block.execute()[1] == b"%d" % self.acknowledged
                info = client.client_info()
                assert (info["id"], info["name"], info["resp"]) == (number, self.name, "3")


class Pipelining(Load):
    """Has requests on their way all the time, cut anywhere."""

    def _work(self) -> None:
        frame = encode_command("INCR", self.key)
        with socket.create_connection(("127.0.0.1", self._port), DEADLINE_S) as stream:
            reader = ReplyReader()
            on_their_way, rest, sent = 0, b"", 0
            while on_their_way or not self._is_over.wait(PACE_S):
                if not self._is_over.is_set():
                    frames = rest + frame * (PIPELINE - on_their_way)
                    on_their_way = PIPELINE
                    cut = len(frames) - sent % len(frame)
                    stream.sendall(frames[:cut])
                    rest, sent = frames[cut:], sent + 1
                elif rest:
                    stream.sendall(rest)
                    rest = b""
                data = stream.recv(1 << 16)
                assert data, "closed by the proxy"
                for reply in reader.feed(data):
                    self.acknowledged += 1
                    on_their_way -= 1
                    assert reply == self.acknowledged


class Newcomer(Load):
    """Connects anew for each request."""

    def _work(self) -> None:
        while not self._is_over.wait(PACE_S):
            with socket.create_connection(("127.0.0.1", self._port), DEADLINE_S) as stream:
                stream.sendall(encode_command("INCR", self.key))
                assert stream.recv(100) == b":%d\r\n" % (self.acknowledged + 1)
                self.acknowledged += 1


@contextmanager
def load_of(port: int) -> Iterator[Sequence[Load]]:
    """Run the load meanwhile; no request of it may fail."""
    is_over = threading.Event()
    kinds: list[type[Load]] = [RedisPy, RedisPy, RedisPy, Pipelining, Pipelining, Newcomer]
    clients = [kind(port, f"{kind.__name__}{i}", is_over) for i, kind in enumerate(kinds)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        is_over.set()
        for client in clients:
            client.join()
    assert [client.problem for client in clients] == [""] * len(clients)


def test_no_request_fails_in_twenty_restarts(cluster: EmbeddedCluster) -> None:
    with administered(cluster.addresses) as admin, line_of(admin) as line:
        with load_of(admin.proxy.port) as clients:
            for _ in range(RESTARTS):
                before = [client.acknowledged for client in clients]
                line.hand_over()
                wait_for(
                    lambda before=before: all(
                        client.problem or client.acknowledged > count
                        for client, count in zip(clients, before, strict=True)
                    ),
                    DEADLINE_S,
                    "every client to go on",
                )
        with redis.Redis(port=admin.proxy.port) as client:
            counted = [int(client.get(each.key)) for each in clients]

        assert counted == [client.acknowledged for client in clients]
        assert line.codes == [0] * RESTARTS
        assert not line.said("[warning")
