"""A node that says anything at all, to clients' requests and to the proxy's own questions.

Judged: the proxy goes on, tells of no bug of its own, serves the keys of the other nodes
meanwhile, and serves that node's keys once it behaves.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import trio
from fake_node import Fate, Seen
from hostile_wire import hostile_reply
from lots import Lots
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, serve, until

from proxy.resp.encode import encode_command

REQUESTS = """
GET k | SET k v | MGET k far | DEL k far | EVAL x 1 k | EVALSHA abc 1 k | FCALL f 1 k
INFO | INFO replication | SCRIPT LOAD x | FUNCTION LIST | CONFIG GET maxmemory
SLOWLOG GET | LATENCY LATEST | MEMORY STATS | WAIT 1 10 | WAITAOF 0 0 10 | BLPOP k 0.01
BLPOP k far 0.01 | XREAD BLOCK 10 STREAMS k far 0 0 | MULTI | EXEC | WATCH k | UNWATCH | DISCARD
SUBSCRIBE {k}c | UNSUBSCRIBE | SSUBSCRIBE {k}c | PUBLISH {k}c x | CLIENT TRACKING ON | HELLO 3
HELLO 2 | CLIENT LIST | PROXY TOPOLOGY | PROXY EXPLAIN GET k | NOSUCH k | SORT k BY x_*
PUBSUB CHANNELS | XREADGROUP GROUP g c STREAMS k far > > | SINTERSTORE k far k | RESET
COMMAND COUNT | COMMAND GETKEYS GET k | LOLWUT | BGSAVE | ACL WHOAMI | CLUSTER INFO | OBJECT HELP
"""
ROUNDS = 30


def requests_for(key: bytes, far: bytes) -> list[list[bytes]]:
    """Return the requests, with a key of the hostile node and one of another."""
    lines = [line.split() for row in REQUESTS.split("\n") for line in row.encode().split(b"|")]
    names = {b"k": key, b"far": far, b"{k}c": b"{%b}c" % key}
    return [[names.get(word, word) for word in line] for line in lines if line]


def anything(dice: random.Random) -> Callable[[Seen], object]:
    """Return what answers each request by lot: mostly bytes, sometimes the end, or the truth."""

    async def answer(seen: Seen) -> bytes | Fate:
        kind = dice.randrange(12)
        if kind == 0:
            return dice.choice([Fate.CLOSE, Fate.RESET])
        if kind < 4:
            return seen.node.cluster.answer(seen)
        return hostile_reply(Lots(dice.randbytes(40)))

    return answer


async def pester(client: RawClient, requests: list[list[bytes]], dice: random.Random) -> None:
    """Send requests, read whatever comes, and be gone."""
    try:
        for _ in range(dice.randrange(1, 8)):
            await client.send(encode_command(*dice.choice(requests)))
        with trio.move_on_after(0.03):
            await client.read_bytes(1 << 20)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    client.vanish()


@pytest.mark.parametrize("seed", range(3))
async def test_a_node_may_say_anything(seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(seed)
    async with FakeCluster().running() as cluster:
        hostile, honest = cluster.nodes[:2]
        key, far = cluster.key_of(hostile), cluster.key_of(honest)
        settings = {
            "commands": {"cross_slot": "all"},
            "cluster": {"request_timeout_s": 2, "connect_timeout_s": 0.2},
        }
        async with serve(cluster, **settings) as served:
            hostile.by(answerer=anything(dice))
            for word in (b"CLUSTER", b"INFO", b"COMMAND", b"HELLO", b"CONFIG", b"FUNCTION"):
                hostile.by(word, answerer=anything(dice))
            bystander = await served.connect()
            requests = requests_for(key, far)
            for number in range(ROUNDS):
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(pester, await served.connect(), requests, dice)
                value = b"%d" % number
                assert await bystander.call("SET", far, value) == b"+OK\r\n"
                assert await bystander.call("GET", far) == b"$%d\r\n%b\r\n" % (len(value), value)
            hostile.forget_script()
            hostile.lose_connections(Fate.RESET)
            await heals(served, key)
    said = "".join(capfd.readouterr())
    assert "bug in" not in said, said[said.find("bug in") :][:4000]
    assert "Traceback" not in said


async def heals(served: Served, key: bytes) -> None:
    """See that the node's keys are served again."""
    client = await served.connect()

    async def answers() -> bool:
        return await client.call("SET", key, "healed") == b"+OK\r\n"

    with trio.fail_after(20):
        while not await answers():
            pass
    client.vanish()
    await until(lambda: served.engine.in_flight == 0)
