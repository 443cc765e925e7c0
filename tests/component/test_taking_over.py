"""What a successor makes of what it inherits; the older process is played here."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial

import pytest
import trio
from scripted_cluster import FakeCluster
from served import Served, until

from proxy.app import Proxy
from proxy.cluster.addresses import Address
from proxy.config import Settings
from proxy.errors import ConfigError
from proxy.life.handover_wire import PROTOCOL, HandoverFailed, Wire
from proxy.life.predecessor import VARIABLE, Predecessor

GONE_S = 12345.5
LAST_WORDS: dict[str, object] = {
    "next_client_id": 77,
    "taken_over_s": GONE_S,
    "gone": ["127.0.0.1", 7001],
    "pause": None,
}
GREETING: dict[str, object] = {"protocol": PROTOCOL, "listeners": 0, "beside": 0, "made_here": 0}


@contextmanager
def listeners(count: int) -> Iterator[list[socket.socket]]:
    """Return sockets as the older process has them."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


async def play(wire: Wire, words: dict[str, object]) -> None:
    """Step back as soon as the successor is ready, and have no clients."""
    await wire.expect("ready")
    await wire.say("go", LAST_WORDS | words)
    await wire.expect("serving")
    await wire.say("end")


@asynccontextmanager
async def taking_over(
    cluster: FakeCluster,
    sockets: list[socket.socket],
    *,
    beside: int,
    for_clients: int,
    **words: object,
) -> AsyncIterator[Proxy]:
    """Run a successor without admin port and without TLS.

    Args:
        words: What the older process says last, where it is not ``LAST_WORDS``.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wire = Wire(ours)
    hello = {"protocol": PROTOCOL, "listeners": for_clients, "beside": beside, "made_here": 0}
    await wire.say("hello", hello, [each.fileno() for each in sockets])
    before = await Predecessor.find({VARIABLE: str(theirs.detach())})
    assert before is not None
    settings = Settings.model_validate(
        {
            "admin": {"enabled": False},
            "cluster": {"seeds": tuple(str(node.address) for node in cluster.nodes)},
        }
    )
    proxy = Proxy(settings, predecessor=before)
    serving = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play, wire, words)
        nursery.start_soon(partial(proxy.run, on_listening=lambda port: serving.set()))
        await serving.wait()
        try:
            yield proxy
        finally:
            await until(lambda: not proxy.engine.clients)
            nursery.cancel_scope.cancel()
    wire.close()


def is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    "changes",
    [
        {"listeners": 9},
        {"listeners": -1},
        {"beside": 2},
        {"made_here": 1 << 64},
        {"protocol": PROTOCOL + 1},
        {"protocol": None},
    ],
    ids=str,
)
async def test_a_greeting_that_does_not_fit_its_sockets_is_refused(
    changes: dict[str, object],
) -> None:
    gc.collect()  # what earlier tests have left open must not be closed in the middle
    hello = GREETING | {"listeners": 1} | changes
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with listeners(1) as sockets, closing(Wire(ours)) as wire:
        before = len(os.listdir("/proc/self/fd"))
        await wire.say("hello", hello, [each.fileno() for each in sockets])

        with pytest.raises(ConfigError, match="handover that has failed"):
            await Predecessor.find({VARIABLE: str(theirs.detach())})

        assert len(os.listdir("/proc/self/fd")) == before - 1  # the wire's end, and nothing else


@pytest.mark.parametrize("kind", ["client", "end", "nonsense"])
async def test_no_descriptor_that_came_along_is_left_over(served: Served, kind: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near, far = socket.socketpair()
    near.setblocking(False)
    with closing(Wire(ours)) as wire, near:
        await wire.say("hello", GREETING)
        found = await Predecessor.find({VARIABLE: str(theirs.detach())})
        assert found is not None
        with far:
            await wire.say(kind, {}, [far.fileno(), far.fileno()])

        await found.take_clients(served.proxy.arrivals)

        assert near.recv(1) == b""  # nobody has the other end any more


async def test_a_message_that_is_none_ends_a_handover() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with closing(Wire(theirs)) as wire, ours:
        for packet in (b"[" * 20_000, b"null", b"{}", b"\xff"):
            ours.send(packet)
            with pytest.raises(HandoverFailed, match="a message that is none"):
                await wire.hear()


async def test_a_port_for_tls_is_never_one_without(cluster: FakeCluster) -> None:
    with listeners(3) as sockets:
        plain, tls, admin = [each.getsockname() for each in sockets]

        async with taking_over(cluster, sockets, beside=1, for_clients=2) as proxy:
            for each in sockets:
                each.close()  # as the older process does at its end

            assert proxy.port == plain[1]
            assert not is_refused(plain)
            assert is_refused(tls)
            assert is_refused(admin)


async def test_what_the_older_process_knew_of_failovers_is_known(cluster: FakeCluster) -> None:
    with listeners(1) as sockets:
        async with taking_over(cluster, sockets, beside=0, for_clients=1) as proxy:
            successions = proxy.blocking.successions

            assert successions.last == (GONE_S, Address("127.0.0.1", 7001))
            assert successions.since(GONE_S - 1) == Address("127.0.0.1", 7001)
            assert proxy.engine.next_client_id == 77


@pytest.mark.parametrize("only_writes", [False, True])
async def test_a_pause_of_the_older_process_goes_on(
    cluster: FakeCluster, only_writes: bool
) -> None:
    with listeners(1) as sockets:
        async with taking_over(
            cluster, sockets, beside=0, for_clients=1, pause=[60.5, only_writes]
        ) as proxy:
            rest = proxy.desk.pause.rest

            assert rest is not None
            assert 0 < rest[0] <= 60.5
            assert rest[1] == only_writes


@pytest.mark.parametrize(
    "pause", [None, [], [60.5], [float("nan"), True], [float("inf"), True], ["60", True]], ids=str
)
async def test_nobody_is_held_back_by_what_is_no_pause(cluster: FakeCluster, pause: object) -> None:
    with listeners(1) as sockets:
        async with taking_over(cluster, sockets, beside=0, for_clients=1, pause=pause) as proxy:
            assert proxy.desk.pause.rest is None
