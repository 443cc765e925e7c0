"""Four queues in four slots, eight consumers that wait for all of them and die, one failover.

What may become of an item is what Redis itself may make of it, and nothing else:

- lost: its primary died before it had told its replica (replication is asynchronous),
  or it had just handed the item out and its reply died with it;
- twice: its primary handed it out and died before it had told its replica.

Both concern only queues of the shard that failed, and only what happened within the
moment before the crash. An item whose producer was told that the outcome is unknown may
be there or not. Everything else is delivered once; and if the primary hands over in good
order, everything is.

A consumer dies by closing its side in the middle of a wait, and what the proxy has sent
it until then counts as delivered: so the test knows what a killed process would not.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from differential.wire import RawConnection

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, wait_for
from proxy.resp.encode import encode_command

pytestmark = [pytest.mark.live, pytest.mark.takes(70)]

QUEUES = ("a", "b", "c", "{t}d")  # on three nodes
CONSUMERS, PRODUCERS, ITEMS = 8, 4, 20_000
MOMENT_S = 1.0  # how long before a crash a primary may not have told its replica
DEADLINE_S = 50.0
BRPOP = encode_command("BRPOP", *QUEUES, 1)


class Consumer(RawConnection):
    """One life of a consumer."""

    timeout_s = DEADLINE_S

    def die(self) -> bytes:
        """Leave in the middle of whatever is going on; return what had been sent."""
        self._socket.shutdown(socket.SHUT_WR)
        return self.receive_rest()


@dataclass
class Books:
    """Who pushed and who got what, and when."""

    pushed: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    """Item to its queue and when the push was answered."""
    unknown: set[bytes] = field(default_factory=set)
    got: list[tuple[bytes, float]] = field(default_factory=list)
    kills: int = 0
    crashed_at: float = float("inf")
    is_over: threading.Event = field(default_factory=threading.Event)

    def take(self, frame: bytes) -> None:
        """Note an item that was delivered, if the frame holds one."""
        words = frame.split(b"\r\n")
        if frame.startswith(b"*2\r\n") and len(words) >= 5:
            self.got.append((words[4], time.monotonic()))


def consume(address: Address, books: Books, seed: int) -> None:
    """Live and die, again and again, until everything has been said."""
    chance = random.Random(seed)
    while not books.is_over.is_set():
        with Consumer(address) as life:
            for _ in range(chance.randint(20, 400)):
                books.take(life.say(BRPOP))
                if books.is_over.is_set():
                    return
            life.send(BRPOP)
            books.take(life.die())
            books.kills += 1


def produce(address: Address, books: Books, number: int, items: int) -> None:
    """Push items to queues at random, one after the other."""
    chance = random.Random(number)
    with Consumer(address) as connection:
        for item in range(items):
            name, queue = b"%d-%d" % (number, item), chance.choice(QUEUES)
            reply = connection.say(encode_command("LPUSH", queue, name))
            books.pushed[name] = (queue, time.monotonic())
            if not reply.startswith(b":"):
                books.unknown.add(name)


def left_over(address: Address) -> set[bytes]:
    """Return what was given back after the last consumer had gone."""
    with RawConnection(address) as reader:
        frames = [reader.say(encode_command("LRANGE", queue, 0, -1)) for queue in QUEUES]
    return {word for frame in frames for word in frame.split(b"\r\n") if b"-" in word}


@pytest.mark.parametrize("fault", ["it dies", "it hands over"])
def test_every_item_is_delivered_while_consumers_die_and_a_primary_fails(
    make_cluster: Callable[..., EmbeddedCluster],
    make_proxy: Callable[..., ProxyProcess],
    fault: str,
) -> None:
    cluster = make_cluster(settings={"cluster-require-full-coverage": "no"})
    proxy = make_proxy(cluster.addresses)
    victim = cluster.primary_for(b"a")
    hit = {queue for queue in QUEUES if cluster.primary_for(queue.encode()) is victim}
    books = Books()
    producers = [
        threading.Thread(target=produce, args=(proxy.address, books, i, ITEMS // PRODUCERS))
        for i in range(PRODUCERS)
    ]
    consumers = [
        threading.Thread(target=consume, args=(proxy.address, books, i)) for i in range(CONSUMERS)
    ]

    for thread in (*producers, *consumers):
        thread.start()
    wait_for(lambda: len(books.got) > ITEMS // 3, DEADLINE_S, "a third of the items")
    books.crashed_at = time.monotonic()
    if fault == "it dies":
        victim.kill()
    else:
        cluster.replicas_of(victim)[0].call("CLUSTER", "FAILOVER")
    for producer in producers:
        producer.join(DEADLINE_S)
    cluster.wait_until_agreed()
    with RawConnection(proxy.address) as reader:
        wait_for(
            lambda: all(reader.say(encode_command("LLEN", q)) == b":0\r\n" for q in QUEUES),
            DEADLINE_S,
            "empty queues",
        )
    books.is_over.set()
    for consumer in consumers:
        consumer.join(DEADLINE_S)

    times = Counter(item for item, _ in books.got)
    lost = set(books.pushed) - set(times) - books.unknown - left_over(proxy.address)
    twice = {item for item, count in times.items() if count > 1}
    assert set(times) <= set(books.pushed)
    assert books.kills > 20
    if fault == "it hands over":
        assert not lost | twice | books.unknown
    assert {books.pushed[item][0] for item in lost | twice | books.unknown} <= hit

    first_got = {}
    for item, when in books.got:
        first_got.setdefault(item, when)
    just_before = books.crashed_at - MOMENT_S
    assert all(first_got[item] > just_before and times[item] == 2 for item in twice)
    # One reply a consumer may have died with the primary; the rest was pushed just before.
    assert sum(books.pushed[item][1] < just_before for item in lost) <= CONSUMERS
