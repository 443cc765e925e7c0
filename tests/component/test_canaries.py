"""Law 9 for bytes: whatever is reused, no byte of one client's data ever reaches another.

Strategy: every key and value of a client carries its own name, its *canary*. The nodes answer
with what was asked, so a reply holds nothing but its client's canary; each client looks for
others' in everything it receives. Meanwhile everything is provoked that gives a buffer or a request
to the next: short and long by turns, frames cut anywhere, errors in the middle, deadlines,
clients that vanish, replies over the limit, connections lost, split commands that fail in part.
"""

from __future__ import annotations

import random
import re

import pytest
import trio
from fake_node import FakeNode, Fate, Seen
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, serve

from proxy.resp.encode import array, bulk, encode_command, error

CLIENTS = 8
ROUNDS = 25
CANARY = re.compile(rb"<canary-(\d+)>")
SIZES = (0, 1, 30, 255, 256, 257, 4095, 4097, 70_000)
REPLY_LIMIT_BYTES = 150_000


def canary(number: int) -> bytes:
    """Return what every key and value of a client holds."""
    return b"<canary-%d>" % number


class Faults:
    """How a node answers: with what it was asked, or in a way that has things reused."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.answered = 0

    async def __call__(self, seen: Seen) -> bytes | Fate:
        self.answered += 1
        args = seen.args
        match self.dice.randrange(30):
            case 0:
                return self.dice.choice(list(Fate))
            case 1:
                return error(b"ERR in the middle " + b" ".join(args)[:200])
            case 2:
                return error(b"TRYAGAIN")
            case 3:
                return bulk(args[-1] * 3)
            case 4:
                return bulk(b"".join(args) + b"y" * REPLY_LIMIT_BYTES)
            case 5:
                await trio.sleep(0.35)  # past its client's deadline
        match args[0]:
            case b"MGET":
                return array([bulk(key) for key in args[1:]])
            case b"MSET":
                return b"+OK\r\n"
            case b"DEL":
                return b":%d\r\n" % (len(args) - 1)
        return bulk(b" ".join(args))


def requests_of(number: int, dice: random.Random) -> list[bytes]:
    """Return the wire of a few requests of one client, sometimes with one that is broken."""
    mark = canary(number)
    wires = []
    for _ in range(dice.randrange(1, 12)):
        keys = [b"{%d}%b" % (dice.randrange(50), mark) for _ in range(dice.randrange(1, 6))]
        value = mark + b"x" * dice.choice(SIZES) + mark
        match dice.randrange(8):
            case 0 | 1:
                wires.append(encode_command("SET", keys[0], value))
            case 2 | 3:
                wires.append(encode_command("MGET", *keys))
            case 4:
                pairs = [word for key in keys for word in (key, value)]
                wires.append(encode_command("MSET", *pairs))
            case 5:
                wires.append(encode_command("DEL", *keys))
            case 6:
                wires.append(encode_command("ECHO", value))
            case 7:
                wires.append(b"SET %b %b\r\n" % (keys[0], mark))
    if dice.randrange(6) == 0:
        wires.append(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % dice.choice(SIZES) + mark)  # cut
    if dice.randrange(10) == 0:
        wires.append(b"*1\r\n$x\r\n" + mark)
    return wires


async def be_one(served: Served, number: int, dice: random.Random) -> int:
    """Be one client for a while, several connections after one another; return bytes read."""
    read = 0
    for _ in range(ROUNDS):
        client = await served.connect_resp3() if dice.randrange(3) == 0 else await served.connect()
        wire = b"".join(requests_of(number, dice))
        try:
            places = sorted(dice.randrange(len(wire) + 1) for _ in range(3))
            for start, end in zip([0, *places], [*places, len(wire)], strict=True):
                if start < end:
                    await client.send(wire[start:end])
                await trio.lowlevel.checkpoint()
            if dice.randrange(3):
                await client.finish_sending()
                read += await look(client, number)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # its request was no request, and it was told so
        client.vanish()
    return read


async def look(client: RawClient, number: int) -> int:
    """Read to the end, and find nobody else's canary in it."""
    received = await client.read_bytes(1 << 30)
    found = {int(each) for each in CANARY.findall(received)}
    assert found <= {number}, f"client {number} was shown what belongs to {found - {number}}"
    return len(received)


async def shake(node: FakeNode, dice: random.Random) -> None:
    """Lose a node's connections now and then, for ever."""
    while True:
        await trio.sleep(dice.uniform(0.02, 0.1))
        node.lose_connections(dice.choice(list(Fate)))


@pytest.mark.parametrize("seed", [1, 2])
async def test_nobody_is_shown_what_belongs_to_another(cluster: FakeCluster, seed: int) -> None:
    dice = random.Random(seed)
    faults = Faults(dice)
    for node in cluster.nodes:
        node.by(answerer=faults)
    settings = {
        "cluster": {"request_timeout_s": 0.3},
        "limits": {"reply_limit_bytes": REPLY_LIMIT_BYTES},
    }
    read: list[int] = []

    async with serve(cluster, **settings) as served:

        async def client(number: int) -> None:
            read.append(await be_one(served, number, random.Random(seed * 100 + number)))

        async with trio.open_nursery() as others:
            others.start_soon(shake, cluster.nodes[0], dice)
            async with trio.open_nursery() as clients:
                for number in range(CLIENTS):
                    clients.start_soon(client, number)
            others.cancel_scope.cancel()

        assert faults.answered > 500
        assert sum(read) > 500_000
        engine = served.engine
        assert engine.expired > 0
        assert engine.splits > 0
