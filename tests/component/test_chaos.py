"""All faults at once, by lot: no reply is lost, doubled or shifted, and no write runs twice.

Strategy: each client counts on keys of its own. An INCR that was answered ran once;
one whose outcome is unknown ran at most once; any other error says that it did not
run. So each number that comes back has a lowest and a highest value it may have.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest
import trio
from fake_node import FakeNode, Fate
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, serve

from proxy.cluster.slots import key_slot
from proxy.resp.decode import decode
from proxy.resp.encode import bulk, encode_command

REFUSALS = [
    b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n",
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
]
DEADLINE_S = 30.0
DID_NOT_RUN = tuple(line.partition(b" ")[0] for line in REFUSALS)


@dataclass
class Counter:
    """What a client knows of a key: increments that ran, and those that may have."""

    sure: int = 0
    unknown: int = 0

    def see(self, value: int) -> None:
        """Learn the key's value."""
        assert self.sure <= value <= self.sure + self.unknown, (self, value)
        self.unknown -= value - self.sure
        self.sure = value

    def increment(self, reply: bytes) -> None:
        """Learn what became of an INCR."""
        if reply.startswith(b":"):
            assert int(reply[1:]) > self.sure, (self, reply)
            self.unknown += 1
            self.see(int(reply[1:]))
        elif b"outcome unknown" in reply:
            self.unknown += 1
        else:
            assert reply.startswith(DID_NOT_RUN), reply


def read_number(value: object) -> int:
    """Return what a GET of a counter said."""
    return int(value) if isinstance(value, bytes) else 0


class Chaos:
    """Faults of nodes, one after the other, for ever."""

    def __init__(self, cluster: FakeCluster, lots: random.Random) -> None:
        self._cluster = cluster
        self._lots = lots
        self._keys = [b"{%d}" % number for number in range(12)]

    async def run(self) -> None:
        """Have something go wrong every few milliseconds."""
        while True:
            node = self._lots.choice(self._cluster.nodes)
            fault = self._lots.choice([self._lose, self._freeze, self._refuse, self._migrate])
            await fault(node)
            await trio.sleep(self._lots.choice([0, 0.002, 0.01]))

    async def _lose(self, node: FakeNode) -> None:
        node.lose_connections(self._lots.choice(list(Fate)))

    async def _freeze(self, node: FakeNode) -> None:
        node.freeze()
        await trio.sleep(self._lots.choice([0.001, 0.01, 0.03, 0.3]))
        node.thaw()

    async def _refuse(self, node: FakeNode) -> None:
        name = self._lots.choice([b"INCR", b"GET", b"MGET"])
        node.once(name, answer=self._lots.choice(REFUSALS), times=self._lots.randrange(1, 4))

    async def _migrate(self, node: FakeNode) -> None:
        key = self._lots.choice(self._keys)
        slot = key_slot(key)
        if self._cluster.owners[slot] is node:
            return
        self._cluster.begin_migration(slot, node)
        for number in range(8):
            await trio.lowlevel.checkpoint()
            self._cluster.migrate_key(b"%b%d" % (key, number))
        self._cluster.give(slot, node)


async def count_and_compare(served: Served, lots: random.Random, number: int) -> None:
    """Be one client: send in bursts, and hold every reply against what it may be."""
    client = await served.connect()
    counters = {b"{%d}%d" % (tag, number): Counter() for tag in range(12)}
    keys = list(counters)
    for _ in range(12):
        sent: list[tuple[bytes, list[bytes]]] = []
        for place in range(lots.randrange(1, 30)):
            name = lots.choice([b"INCR", b"INCR", b"GET", b"MGET", b"ECHO"])
            count = lots.randrange(2, 6) if name == b"MGET" else 1
            args = [b"%d" % place] if name == b"ECHO" else lots.choices(keys, k=count)
            sent.append((name, args))
        await client.send(*[encode_command(name, *args) for name, args in sent])
        for (name, args), reply in zip(sent, await read(client, len(sent)), strict=True):
            compare(name, args, reply, counters)
    client.vanish()


async def read(client: RawClient, count: int) -> list[bytes]:
    """Read so many replies, however many patiences it takes."""
    replies = []
    for _ in range(count):
        replies += await client.read_replies(1)
    return replies


def compare(name: bytes, args: list[bytes], reply: bytes, counters: dict[bytes, Counter]) -> None:
    """Hold one reply against what it may be."""
    match name:
        case b"ECHO":
            assert reply == bulk(args[0])
        case b"INCR":
            counters[args[0]].increment(reply)
        case _ if reply.startswith(b"-"):
            assert reply.startswith((b"-IOERR ", *DID_NOT_RUN)), reply
        case b"GET":
            counters[args[0]].see(read_number(decode(reply)))
        case b"MGET":
            values = decode(reply)
            assert isinstance(values, list)
            for key, value in zip(args, values, strict=True):
                counters[key].see(read_number(value))


async def leave_in_the_middle(served: Served, lots: random.Random) -> None:
    """Be one client after the other, each of which is gone before it has its replies."""
    while True:
        client = await served.connect()
        requests = [encode_command("GET", b"{%d}x" % number) for number in range(12)]
        await client.send(*requests, encode_command("MGET", "a", "b", "c"), requests[0][:9])
        await trio.sleep(lots.choice([0, 0.001, 0.01]))
        client.vanish()


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_doubled_or_shifted_when_everything_goes_wrong(
    cluster: FakeCluster, seed: int
) -> None:
    lots = random.Random(seed)
    patience = {"request_timeout_s": 0.25, "silence_timeout_s": 0.05, "connect_timeout_s": 0.1}
    async with serve(cluster, cluster=patience) as served, trio.open_nursery() as faults:
        faults.start_soon(Chaos(cluster, lots).run)
        faults.start_soon(leave_in_the_middle, served, lots)
        with trio.fail_after(DEADLINE_S):
            # On a busy machine all clients may be through before one meets a fault.
            for crowd in itertools.count():
                async with trio.open_nursery() as clients:
                    for number in range(6 * crowd, 6 * crowd + 6):
                        clients.start_soon(count_and_compare, served, lots, number)
                if served.engine.resends:
                    break
        faults.cancel_scope.cancel()
        for node in cluster.nodes:
            node.thaw()
