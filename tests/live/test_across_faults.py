"""A command across slots that is stopped at any of its steps: no source lost, no half target.

The steps go to a real server, which is both slots here; what is in front of it fails at one step,
before the server acts or after, and from there on nothing reaches the server any more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest
import trio
from differential.wire import RawConnection

from proxy.cluster.slots import key_slot
from proxy.commands.spec import CommandSpec
from proxy.commands.table import compile_table, find_spec
from proxy.dataplane.lane import Lane
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.embedded.migration import close_slots, move_keys, open_slots
from proxy.resp import replies
from proxy.resp.decode import decode
from proxy.resp.encode import encode_command
from proxy.sessions.across import DO
from proxy.sessions.across_plan import find_keys, manner_of
from proxy.sessions.across_work import Budget, Work

pytestmark = pytest.mark.live

NEVER_SENT = replies.never_sent(7, 20.0)
LOST = replies.lost_write("127.0.0.1:7000")

Words = tuple[bytes, ...]


class Stopped(Exception):
    """The proxy has died."""


@dataclass
class FailingNodes:
    """A server that is reached until one step; ``fails_at`` counts from 0."""

    server: RawConnection
    fails_at: int | None = None
    has_acted: bool = False
    """The server acts on the step that fails; only its reply is lost."""
    dies: bool = False
    """The proxy ends there; else it goes on, and all that follows fails too."""
    steps: int = field(default=0, init=False)

    async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        return (await self._step([args], is_write))[0]

    async def ask_block(
        self, lane: Lane, slot: int, commands: Sequence[Words], is_write: bool = True
    ) -> list[bytes]:
        return await self._step(commands, is_write)

    async def _step(self, commands: Sequence[Words], is_write: bool) -> list[bytes]:
        await trio.lowlevel.checkpoint()
        step, self.steps = self.steps, self.steps + 1
        if self.fails_at is None or step < self.fails_at:
            return [self.server.say(encode_command(*args)) for args in commands]
        if step == self.fails_at and self.has_acted:
            for args in commands:
                self.server.say(encode_command(*args))
        if self.dies:
            raise Stopped
        return [LOST if is_write and self.has_acted and step == self.fails_at else NEVER_SENT]


DATA = """
    SET {a}string ohmytext PX 1000000
    SET {b}string mynewtext
    SADD {a}set m1 m2 m3
    SADD {b}set m3 m4
    ZADD {a}zset 1 m1 2 m2
    ZADD {b}zset 5 m2
    RPUSH {a}list one two three
    RPUSH {b}list x
    PFADD {a}hll m1 m2
    PFADD {b}hll m3
    GEOADD {a}geo 13.361389 38.115556 m1
"""
COMMANDS = (
    "SUNIONSTORE {c}set {a}set {b}set",
    "SUNIONSTORE {a}set {a}set {b}set",
    "ZUNIONSTORE {b}zset 2 {a}zset {b}zset",
    "PFMERGE {b}hll {a}hll",
    "BITOP AND {c}string {a}string {b}string",
    "GEOSEARCHSTORE {c}geo {a}geo FROMMEMBER m1 BYRADIUS 1 km",
    "ZRANGESTORE {b}zset {a}zset 0 -1",
    "SORT {a}list ALPHA STORE {b}list",
    "COPY {a}string {b}string REPLACE",
    "SMOVE {a}set {b}set m1",
    "SMOVE {a}set {b}set m3",
    "LMOVE {a}list {b}list LEFT RIGHT",
    "RPOPLPUSH {a}list {b}list",
    "LMOVE {b}list {c}list LEFT LEFT",
    "RENAME {a}string {b}string",
    "RENAME {a}list {b}string",
    "RENAMENX {a}string {c}string",
    "LMPOP 3 {c}list {b}list {a}list LEFT COUNT 2",
)
KEYS = [
    b"{%b}%b" % (tag, kind)
    for tag in (b"a", b"b", b"c")
    for kind in b"string set zset list hll geo".split()
]

State = dict[bytes, object]


@pytest.fixture
def server(standalone: StandaloneServer) -> Iterator[RawConnection]:
    with RawConnection(standalone.address) as connection:
        yield connection


def fill(server: RawConnection) -> None:
    server.say(encode_command("FLUSHALL"))
    for line in DATA.strip().splitlines():
        server.say(encode_command(*line.split()))


def look(server: RawConnection) -> State:
    """Return what each key holds, and whether it is to expire."""

    def ask(*args: bytes) -> object:
        return decode(server.say(encode_command(*args)))

    readers = {
        b"string": lambda key: ask(b"GET", key),
        b"set": lambda key: sorted(ask(b"SMEMBERS", key)),  # type: ignore[type-var]
        b"zset": lambda key: ask(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"),
        b"list": lambda key: ask(b"LRANGE", key, b"0", b"-1"),
    }
    state: State = {}
    for key in KEYS:
        kind = ask(b"TYPE", key)
        if kind != b"none":
            state[key] = (readers[kind](key), ask(b"PTTL", key) == -1)
    return state


def spec_of(server: RawConnection, args: list[bytes]) -> CommandSpec:
    table = {
        spec.name: spec for spec in compile_table(decode(server.say(b"*1\r\n$7\r\nCOMMAND\r\n")))
    }
    spec = find_spec(table, args)
    assert spec is not None
    return spec


def run(nodes: FailingNodes, spec: CommandSpec, args: list[bytes]) -> bytes | None:
    """Return the reply to a command; None: the proxy has died."""
    keys = find_keys(spec, args)
    lane = Lane(2)
    work = Work(spec, args, keys, lane, lane, nodes, 1 << 20, Budget(1 << 20), str)
    reply: bytes | None = None
    try:
        reply = trio.run(DO[manner_of(spec, keys)], work)
    except* Stopped:
        pass
    return reply


def faults(steps: int) -> Iterator[dict[str, object]]:
    for step in range(steps):
        for has_acted in (False, True):
            for dies in (False, True):
                yield {"fails_at": step, "has_acted": has_acted, "dies": dies}


@pytest.mark.parametrize("line", COMMANDS)
def test_no_source_is_lost_and_no_target_half_written(server: RawConnection, line: str) -> None:
    args = [word.encode() for word in line.split()]
    spec = spec_of(server, args)
    fill(server)
    before = look(server)
    whole = FailingNodes(server)
    reply = run(whole, spec, args)
    after = look(server)
    assert reply is not None
    assert not reply.startswith(b"-")
    written = [key for key in after if after[key] != before.get(key)]
    removed = [
        key for key in before if key not in after or len_of(after[key]) < len_of(before[key])
    ]

    for fault in faults(whole.steps):
        fill(server)
        answer = run(FailingNodes(server, **fault), spec, args)  # type: ignore[arg-type]
        found = look(server)

        for key in KEYS:
            assert found.get(key) in (before.get(key), after.get(key)), (fault, key)
        targets = [key for key in written if key not in removed]
        if targets and any(found.get(key) != before[key] for key in removed):
            assert all(found.get(key) == after[key] for key in targets), fault
        assert answer is None or answer.startswith(b"-") or found == after, (fault, answer)
        assert server.say(encode_command("KEYS", "*slotway*")) == b"*0\r\n", fault


def len_of(state: object) -> int:
    assert isinstance(state, tuple)
    return len(state[0])


@pytest.mark.parametrize("condition", ["", "NX", "XX"])
def test_keys_that_are_set_together_have_their_whole_values_or_none(
    server: RawConnection, engine: str, condition: str
) -> None:
    if condition and engine == "redis":
        pytest.skip("Redis 7.0 has no MSETEX")
    names = ["{a}1", "{b}1", "{c}1"]
    pairs = [word for name in names for word in (name, "new")]
    words = ["MSETEX", "3", *pairs, condition] if condition else ["MSETNX", *pairs]
    args = [word.encode() for word in words]
    spec = spec_of(server, args)
    old = b"old" if condition == "XX" else None

    def begin() -> None:
        server.say(encode_command("FLUSHALL"))
        for name in names if old else ():
            server.say(encode_command("SET", name, old))

    begin()
    whole = FailingNodes(server)
    assert run(whole, spec, args) == b":1\r\n"

    for fault in faults(whole.steps):
        begin()
        answer = run(FailingNodes(server, **fault), spec, args)  # type: ignore[arg-type]
        values = decode(server.say(encode_command("MGET", *names)))

        assert set(values) <= {old, b"new"}, fault
        if answer is not None and answer.startswith(b":"):
            assert values == [b"new"] * 3
        # What is said not to have run has not.
        if answer == NEVER_SENT:
            assert values == [old] * 3, fault


def test_keys_that_came_in_between_are_left_as_they_are(server: RawConnection) -> None:
    args = [b"MSETNX", b"{a}1", b"new", b"{b}1", b"new", b"{c}1", b"new"]
    server.say(encode_command("FLUSHALL"))

    class Rival(FailingNodes):
        async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
            if args[:2] == (b"MSETNX", b"{b}1"):
                # Somebody sets the second key, and changes the first one.
                self.server.say(encode_command("MSET", "{b}1", "rival's", "{a}1", "rival's"))
            return await super().ask(lane, slot, *args, is_write=is_write)

    assert run(Rival(server), spec_of(server, args), args) == b":0\r\n"

    values = decode(server.say(encode_command("MGET", "{a}1", "{b}1", "{c}1")))
    assert values == [b"rival's", b"rival's", None]


def test_a_source_that_changes_meanwhile_is_not_removed(server: RawConnection) -> None:
    args = [b"RENAME", b"{a}list", b"{b}other"]
    fill(server)

    class Rival(FailingNodes):
        async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
            if args[0] == b"EVAL" and args[3] == b"{a}list" and self.steps < 6:
                self.server.say(encode_command("RPUSH", "{a}list", "late"))
            return await super().ask(lane, slot, *args, is_write=is_write)

    assert run(Rival(server), spec_of(server, args), args) == b"+OK\r\n"

    elements = decode(server.say(encode_command("LRANGE", "{b}other", "0", "-1")))
    assert elements[:3] == [b"one", b"two", b"three"]
    assert b"late" in elements
    assert server.say(encode_command("EXISTS", "{a}list")) == b":0\r\n"


# ---- slots on their way to another node ----------------------------------------------------


@pytest.fixture
def private_proxy_across(
    private_cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]
) -> ProxyProcess:
    return make_proxy(private_cluster.addresses, settings={"commands.cross_slot": "all"})


def test_slots_that_are_open_hold_up_no_read_and_no_write_is_lost(
    private_cluster: EmbeddedCluster, private_proxy_across: ProxyProcess
) -> None:
    proxy = private_proxy_across
    slots = [key_slot(b"{a}")]
    source = private_cluster.primary_for(slots[0])
    target = next(node for node in private_cluster.primaries() if node is not source)
    bystanders = [node for node in private_cluster.primaries() if node not in (source, target)]
    with RawConnection(proxy.address) as client, RawConnection(proxy.address) as writer:
        for words in (("{a}1", "x", "y", "z"), ("{a}2", "y"), ("{b}1", "y", "q")):
            client.say(encode_command("SADD", *words))

        open_slots(slots, source, target)
        with source.connect() as connection:
            # One of two keys has moved already.
            moved = ("MIGRATE", target.address.host, target.port, "{a}1", 0, 5000)
            assert connection.call(*moved) == b"OK"

        for words in (("{a}1", "{b}1"), ("{a}2", "{b}1"), ("{b}1", "{a}1", "{c}none")):
            reply = client.say(encode_command("SDIFF", *words))
            assert reply in (b"*2\r\n$1\r\nx\r\n$1\r\nz\r\n", b"*2\r\n$1\r\nz\r\n$1\r\nx\r\n") or (
                reply in (b"*0\r\n", b"*1\r\n$1\r\nq\r\n")
            ), (words, reply)
        writer.send(encode_command("SUNIONSTORE", "{a}3", "{b}1", "{c}none"))
        assert client.say(encode_command("EXISTS", "{a}3")) == b":0\r\n"
        move_keys(slots, source, target)
        close_slots(slots, source, target, bystanders)

        assert writer.receive() == b":2\r\n"
        assert client.say(encode_command("SCARD", "{a}3")) == b":2\r\n"


# ---- a proxy that is killed ------------------------------------------------------------------


def test_a_proxy_that_is_killed_loses_no_element(cluster: EmbeddedCluster) -> None:
    elements = {b"%d" % number for number in range(3000)}
    rounds = 4
    home = [cluster.primary_for(key) for key in (b"{a}queue", b"{b}taken")]
    home[0].call("RPUSH", "{a}queue", *elements)

    for _ in range(rounds):
        with ProxyProcess(cluster.addresses, settings={"commands.cross_slot": "all"}) as proxy:
            clients = [RawConnection(proxy.address) for _ in range(3)]
            for client in clients:
                move = encode_command("LMOVE", "{a}queue", "{b}taken", "LEFT", "RIGHT")
                client.send(move * 200)
            for client in clients:
                client.receive()
            os.kill(proxy.pid, signal.SIGKILL)
            for client in clients:
                client.close()

    left = home[0].call("LRANGE", "{a}queue", 0, -1)
    taken = home[1].call("LRANGE", "{b}taken", 0, -1)
    assert isinstance(left, list)
    assert isinstance(taken, list)
    assert {*left, *taken} == elements
    # One move at a time is under way from a key, so no more is in both.
    assert len(left) + len(taken) <= len(elements) + rounds
    assert all(node.call("KEYS", "*slotway*") == [] for node in cluster.primaries())


def test_a_failover_of_one_slot_is_waited_out(
    private_cluster: EmbeddedCluster, private_proxy_across: ProxyProcess
) -> None:
    with RawConnection(private_proxy_across.address) as client:
        client.say(encode_command("SADD", "{a}1", "x", "y"))
        client.say(encode_command("SADD", "{b}1", "y"))
        private_cluster.wait_until_in_sync()
        private_cluster.primary_for(b"{b}1").kill()

        assert client.say(encode_command("SINTER", "{a}1", "{b}1")) == b"*1\r\n$1\r\ny\r\n"
        assert client.say(encode_command("SUNIONSTORE", "{a}2", "{a}1", "{b}1")) == b":2\r\n"
        assert client.say(encode_command("SMOVE", "{a}1", "{b}1", "x")) == b":1\r\n"
        assert client.say(encode_command("RENAME", "{b}1", "{c}1")) == b"+OK\r\n"
        assert client.say(encode_command("SCARD", "{c}1")) == b":2\r\n"
