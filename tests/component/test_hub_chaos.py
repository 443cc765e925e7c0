"""Random subscribers, and nodes that lose connections and slots: in the end all is as asked."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import trio
from broker import Broker, confirmation, message
from fake_node import Fate
from raw_client import RawClient
from scripted_cluster import FakeCluster
from served import Served, all_is_quiet, until

from proxy.cluster.slots import key_slot

NAMES = [b"a", b"b", b"c", b"__keyspace@0__:k"]
PATTERNS = [b"*", b"a*", b"__key*"]
STEPS = 120


class Subscriber:
    """A client, and what it has been told that it listens to."""

    def __init__(self, client: RawClient, resp: int) -> None:
        self.client = client
        self.resp = resp
        self.names: dict[bytes, set[bytes]] = {b"": set(), b"p": set(), b"s": set()}

    async def change(self, kind: bytes, names: list[bytes], *, leaves: bool) -> None:
        """Subscribe or unsubscribe, and read until all of it is confirmed."""
        word = kind + (b"unsubscribe" if leaves else b"subscribe")
        await self.client.ask(word, *names)
        last = b""
        for name in names:
            (self.names[kind].discard if leaves else self.names[kind].add)(name)
            shards, others = len(self.names[b"s"]), len(self.names[b""]) + len(self.names[b"p"])
            last = confirmation(word, name, shards if kind == b"s" else others, resp=self.resp)
            while await self.client.read_reply() != last:
                pass  # messages, of before

    def expected(self, channel: bytes, matching: set[bytes]) -> Counter[bytes]:
        """Return what one message that all nodes tell brings it."""
        frames = [message(b"message", channel, b"end", resp=self.resp)]
        found = Counter(frames if channel in self.names[b""] else [])
        for pattern in self.names[b"p"] & matching:
            found[message(b"pmessage", pattern, channel, b"end", resp=self.resp)] += 1
        return found


async def mess(served: Served, cluster: FakeCluster, broker: Broker, dice: random.Random) -> None:
    """Let something happen to a node."""
    node = dice.choice(cluster.nodes)
    match dice.randrange(4):
        case 0:
            node.lose_connections(dice.choice(list(Fate)))
        case 1:
            slot = key_slot(dice.choice(NAMES + PATTERNS))
            source = cluster.owners[slot]
            cluster.give(slot, node)
            if source is not node:
                for entry in [each for each in broker.subscribed if each[0] == b"smessage"]:
                    if entry[2].node is source and key_slot(entry[1]) == slot:
                        broker.subscribed.remove(entry)
                        if entry[2].is_open:
                            await entry[2].send(confirmation(b"sunsubscribe", entry[1], 0, resp=3))
            served.proxy.watcher.suspect()
        case 2:
            await broker.publish(dice.choice(NAMES[:3]), b"noise")
        case 3:
            served.proxy.watcher.suspect()


@pytest.mark.parametrize("seed", range(6))
async def test_in_the_end_everybody_hears_what_it_asked_for_and_nothing_twice(
    clean: Served, cluster: FakeCluster, broker: Broker, seed: int
) -> None:
    dice = random.Random(seed)
    subscribers: list[Subscriber] = []

    for _ in range(STEPS):
        if len(subscribers) < 4:
            resp = dice.choice([2, 3])
            connect = clean.connect if resp == 2 else clean.connect_resp3
            subscribers.append(Subscriber(await connect(), resp))
        one = dice.choice(subscribers)
        match dice.randrange(10):
            case 0 | 1 | 2 | 3:
                kind = dice.choice([b"", b"p", b"s"])
                choice = PATTERNS if kind == b"p" else NAMES[:3] if kind == b"s" else NAMES
                names = dice.sample(choice, dice.randint(1, len(choice)))
                await one.change(kind, names, leaves=dice.random() < 0.4)
            case 4:
                one.client.vanish()
                subscribers.remove(one)
            case 5:
                await one.client.ask("SUBSCRIBE", *NAMES)
                one.client.vanish()
                subscribers.remove(one)
            case _:
                await mess(clean, cluster, broker, dice)
        await trio.lowlevel.checkpoint()

    topics = clean.proxy.hub.book.topics
    await until(lambda: all(topic.is_live and not topic.leaving for topic in topics.values()))
    await until(lambda: not any(link.owes for link in clean.proxy.hub.roads.links()))
    await all_is_quiet()
    for one in subscribers:
        while one.client.has_replies:
            await one.client.read_reply()
    for channel, matching in ((b"a", {b"*", b"a*"}), (b"b", {b"*"}), (b"zz", {b"*"})):
        await broker.publish(channel, b"end")
        for one in subscribers:
            expected = one.expected(channel, matching)
            got = Counter(await one.client.read_replies(expected.total()))
            assert got == expected
    await all_is_quiet()
    assert not any(one.client.has_replies for one in subscribers)
