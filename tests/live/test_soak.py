"""Many commands, and nothing left of them: memory, descriptors, requests (law 8).

``SLOTWAY_SOAK_COMMANDS`` says how many; ``make soak`` prints what was measured.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hiredis
import pytest

from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, find_engines, wait_for
from proxy.resp.decode import ReplyReader
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

COMMANDS = int(os.environ.get("SLOTWAY_SOAK_COMMANDS", "1000000"))
STEADY_CLIENTS = 4
BATCH = 100
BATCHES_TO_A_BIG_VALUE = 50
BIG_VALUE = b"x" * (1 << 20)
WARM_UP_SHARE = 0.2

# What the proxy may grow by after the warm-up: glibc gives freed memory back in pieces of its
# own choice. A leak of 16 bytes a command would be 12 MiB in the rest of a million commands.
GROWTH_LIMIT_BYTES = 8 << 20
QUIET_DEADLINE_S = 20.0
ANSWER_DEADLINE_S = 60.0
# Less than listen.drain_s: a request that nobody answers would keep the proxy that long.
END_DEADLINE_S = 5.0


@pytest.fixture(scope="module")
def running() -> Iterator[ProxyProcess]:
    """A proxy before three shards of one engine: the engine hardly matters here."""
    engine = next(iter(find_engines()))
    with (
        EmbeddedCluster(engine, replicas=0) as cluster,
        ProxyProcess(cluster.addresses) as proxy,
    ):
        yield proxy
        assert proxy.tracebacks() == ""


def resident_bytes(proxy: ProxyProcess) -> int:
    pages = int(Path(f"/proc/{proxy.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_descriptors(proxy: ProxyProcess) -> int:
    return len(list(Path(f"/proc/{proxy.pid}/fd").iterdir()))


def batch_of(source: random.Random, *, is_big: bool) -> bytes:
    """Return the frames of BATCH commands on keys in all slots."""
    key = f"key:{source.randrange(5000)}"
    others = [f"key:{source.randrange(5000)}" for _ in range(5)]
    commands: list[tuple[bytes | str | int, ...]] = [
        ("SET", key, "v" * source.randrange(300)),
        ("GET", key),
        ("INCR", f"n:{source.randrange(100)}"),
        ("MGET", *others),
        ("MSET", *itertools.chain.from_iterable((other, "w") for other in others)),
        ("HSET", f"h:{source.randrange(100)}", key, 1),
        ("EXISTS", *others),
        ("PING",),
        ("INCR", "h:1"),  # an error, if it is there
        ("EXPIRE", key, 1000),
    ]
    if is_big:
        commands[0:2] = [("SET", "big", BIG_VALUE), ("GET", "big")]
    frames = [encode_command(*command) for command in commands]
    return b"".join(itertools.islice(itertools.cycle(frames), BATCH if not is_big else 10))


def receive(connection: socket.socket, reader: ReplyReader, count: int) -> None:
    """Read so many replies; none of them may say that the proxy could not."""
    while count > 0:
        data = connection.recv(1 << 16)
        assert data, "the proxy closed the connection"
        for reply in reader.feed(data):
            count -= 1
            if isinstance(reply, hiredis.ReplyError):
                assert str(reply).startswith("WRONGTYPE"), reply
    assert count == 0, "more replies than requests"


def stay(port: int, commands: int, seed: int) -> int:
    """Send commands in batches on one connection; return how many."""
    source = random.Random(seed)
    sent = 0
    with socket.create_connection(("127.0.0.1", port), ANSWER_DEADLINE_S) as connection:
        reader = ReplyReader()
        plain = [batch_of(source, is_big=False) for _ in range(200)]
        big = batch_of(source, is_big=True)
        for number in range(commands // BATCH):
            is_big = number % BATCHES_TO_A_BIG_VALUE == 0
            count = 10 if is_big else BATCH
            connection.sendall(big if is_big else source.choice(plain))
            receive(connection, reader, count)
            sent += count
    return sent


def come_and_go(port: int, stopping: threading.Event) -> int:
    """Connect, ask and leave, in good order or not, until told to stop; return how often."""
    source = random.Random(7)
    visits = 0
    while not stopping.is_set():
        with socket.create_connection(("127.0.0.1", port), ANSWER_DEADLINE_S) as connection:
            frames = batch_of(source, is_big=False)
            match visits % 4:
                case 0:  # hears all answers
                    connection.sendall(frames)
                    receive(connection, ReplyReader(), BATCH)
                case 1:  # leaves without reading
                    connection.sendall(frames)
                case 2:  # leaves in the middle of a request
                    connection.sendall(frames[: source.randrange(len(frames))])
                case 3:  # leaves in the middle of a big answer
                    connection.sendall(encode_command("GET", "big") * 3)
                    connection.recv(100)
        visits += 1
    return visits


def soak(port: int, commands: int) -> None:
    stopping = threading.Event()
    with ThreadPoolExecutor(STEADY_CLIENTS + 1) as threads:
        guest = threads.submit(come_and_go, port, stopping)
        each = commands // STEADY_CLIENTS
        steady = [threads.submit(stay, port, each, seed) for seed in range(STEADY_CLIENTS)]
        try:
            assert sum(client.result() for client in steady) > commands // 2
        finally:
            stopping.set()
        assert guest.result() > 0


def wait_until_quiet(proxy: ProxyProcess) -> None:
    """Wait until the proxy has noticed that all clients have left."""
    with NodeConnection(proxy.address) as only:
        wait_for(
            lambda: str(only.call("CLIENT", "LIST")).count("id=") == 1,
            QUIET_DEADLINE_S,
            "all clients but us to be gone",
        )


def test_a_million_commands_leave_nothing_behind(running: ProxyProcess) -> None:
    soak(running.port, int(COMMANDS * WARM_UP_SHARE))
    wait_until_quiet(running)
    warm_bytes, warm_descriptors = resident_bytes(running), open_descriptors(running)

    soak(running.port, int(COMMANDS * (1 - WARM_UP_SHARE)))
    wait_until_quiet(running)
    grown_bytes = resident_bytes(running) - warm_bytes
    print(f"{COMMANDS} commands: {warm_bytes >> 10} KiB, grown by {grown_bytes >> 10} KiB")

    assert grown_bytes < GROWTH_LIMIT_BYTES
    # A look at the map may have one more open for a moment.
    wait_for(
        lambda: open_descriptors(running) <= warm_descriptors,
        QUIET_DEADLINE_S,
        lambda: f"{warm_descriptors} descriptors, and not {open_descriptors(running)}",
    )


def test_nothing_is_in_flight_at_the_end(running: ProxyProcess) -> None:
    with socket.create_connection(("127.0.0.1", running.port), END_DEADLINE_S) as idle:
        idle.sendall(b"PING\r\n")
        assert idle.recv(100) == b"+PONG\r\n"

        ended = threading.Thread(target=running.stop)
        ended.start()
        ended.join(END_DEADLINE_S)

        assert not ended.is_alive(), "a request without an owner keeps the proxy from ending"
        assert running.wait() == 0
