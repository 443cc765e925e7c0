"""Primaries die, hand over and lose slots while clients wait; replicas hang while WAIT counts them.

One cluster for the whole file. Every test leaves it with six nodes that agree.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from differential.wire import RawConnection

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, RedisNode, wait_for
from proxy.embedded.migration import close_slots, open_slots
from proxy.resp.encode import array, bulk, encode_command

pytestmark = [pytest.mark.live, pytest.mark.takes(85)]

FAULT_DEADLINE_S = 30.0
SEEN_DEADLINE_S = 5.0
KEY = b"a"
ONE_SLOT, SEVERAL_SLOTS = (KEY,), (b"c", KEY, b"b")


class Patient(RawConnection):
    """A client that waits longer than a failover takes."""

    timeout_s = FAULT_DEADLINE_S


@pytest.fixture(scope="module")
def shards(engine: str) -> Iterator[EmbeddedCluster]:
    """The cluster of this file."""
    settings = {"cluster-require-full-coverage": "no", "appendonly": "yes"}
    with EmbeddedCluster(engine, settings=settings) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def healed(shards: EmbeddedCluster) -> Iterator[None]:
    """Empty the cluster before each test, and bring back to life what is dead after it."""
    shards.flush()
    yield
    for node in shards.nodes:
        node.thaw()
        if not node.is_running:
            node.start()
    shards.wait_until_agreed()
    shards.wait_until_in_sync()


@pytest.fixture
def front(shards: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    return make_proxy(shards.addresses)


@pytest.fixture
def waiter(front: ProxyProcess) -> Iterator[RawConnection]:
    with Patient(front.address) as client:
        yield client


@pytest.fixture
def other(front: ProxyProcess) -> Iterator[RawConnection]:
    with Patient(front.address) as client:
        yield client


def begin(waiter: RawConnection, other: RawConnection, *words: bytes | int) -> None:
    """Send a blocking command, and see that its client waits."""
    waiter.send(encode_command(*words))
    wait_for(
        lambda: b" flags=b " in other.say(encode_command("CLIENT", "LIST")),
        SEEN_DEADLINE_S,
        "the client to wait",
    )


def wait_until_promoted(shards: EmbeddedCluster, victim: RedisNode) -> None:
    wait_for(lambda: victim not in shards.primaries(), FAULT_DEADLINE_S, f"another for {victim}")


def hand_over(node: RedisNode, shards: EmbeddedCluster) -> None:
    """Let a replica take over in good order."""
    shards.replicas_of(node)[0].call("CLUSTER", "FAILOVER")


FAULTS: dict[str, Callable[[RedisNode, EmbeddedCluster], None]] = {
    "it dies": lambda node, shards: node.kill(),
    "it hangs": lambda node, shards: node.freeze(),
    "it hands over": hand_over,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("keys", [ONE_SLOT, SEVERAL_SLOTS], ids=["one slot", "several slots"])
def test_the_wait_goes_on_at_the_new_primary(
    shards: EmbeddedCluster,
    waiter: RawConnection,
    other: RawConnection,
    keys: tuple[bytes, ...],
    fault: Callable[[RedisNode, EmbeddedCluster], None],
) -> None:
    victim = shards.primary_for(KEY)
    begin(waiter, other, b"BLPOP", *keys, 0)

    fault(victim, shards)
    wait_until_promoted(shards, victim)
    shards.primary_for(KEY).call("RPUSH", KEY, "x")

    assert waiter.receive() == array([bulk(KEY), bulk(b"x")])


def test_no_entry_is_missed_by_who_waits_for_the_newest(
    shards: EmbeddedCluster, waiter: RawConnection, other: RawConnection
) -> None:
    other.say(encode_command("XADD", KEY, "1-1", "f", "old"))
    other.say(encode_command("WAIT", 1, 5000))
    victim = shards.primary_for(KEY)
    begin(waiter, other, b"XREAD", b"BLOCK", 0, b"STREAMS", KEY, b"$")

    victim.kill()
    wait_until_promoted(shards, victim)
    other.say(encode_command("XADD", KEY, "2-1", "f", "new"))

    reply = waiter.receive()
    assert b"2-1" in reply
    assert b"1-1" not in reply


@pytest.mark.parametrize("keys", [ONE_SLOT, SEVERAL_SLOTS], ids=["one slot", "several slots"])
@pytest.mark.parametrize("pushed", ["while the slot moves", "after it has moved"])
def test_the_wait_moves_with_its_slot(
    shards: EmbeddedCluster,
    waiter: RawConnection,
    other: RawConnection,
    keys: tuple[bytes, ...],
    pushed: str,
) -> None:
    slot = key_slot(KEY)
    source = shards.primary_for(slot)
    target = next(node for node in shards.primaries() if node is not source)
    begin(waiter, other, b"BLPOP", *keys, 0)

    open_slots([slot], source, target)
    if pushed == "while the slot moves":
        assert other.say(encode_command("RPUSH", KEY, "x")) == b":1\r\n"
    bystanders = [node for node in shards.primaries() if node not in (source, target)]
    close_slots([slot], source, target, bystanders)
    if pushed == "after it has moved":
        assert other.say(encode_command("RPUSH", KEY, "x")) == b":1\r\n"

    assert waiter.receive() == array([bulk(KEY), bulk(b"x")])
    shards.move_slots([slot], target, source)


@pytest.mark.parametrize("keys", [ONE_SLOT, SEVERAL_SLOTS], ids=["one slot", "several slots"])
def test_who_waits_when_the_proxy_stops_takes_nothing(
    shards: EmbeddedCluster, keys: tuple[bytes, ...]
) -> None:
    with (
        ProxyProcess(shards.addresses) as proxy,
        Patient(proxy.address) as waiter,
        Patient(proxy.address) as other,
    ):
        begin(waiter, other, b"BLPOP", *keys, 0)

        code = proxy.stop()
        shards.primary_for(KEY).call("RPUSH", KEY, "x")

        assert code == 0
        assert waiter.receive_rest() == b""
    assert shards.primary_for(KEY).call("LRANGE", KEY, 0, -1) == [b"x"]


@pytest.mark.parametrize("keys", [ONE_SLOT, SEVERAL_SLOTS], ids=["one slot", "several slots"])
def test_who_waits_when_the_proxy_is_killed_takes_nothing(
    shards: EmbeddedCluster, keys: tuple[bytes, ...]
) -> None:
    with (
        ProxyProcess(shards.addresses) as proxy,
        Patient(proxy.address) as waiter,
        Patient(proxy.address) as other,
    ):
        begin(waiter, other, b"BLPOP", *keys, 0)

        os.kill(proxy.pid, signal.SIGKILL)
        primary = shards.primary_for(KEY)
        wait_for(
            lambda: primary.info("clients")["blocked_clients"] == "0",
            SEEN_DEADLINE_S,
            "the server to forget",
        )
        primary.call("RPUSH", KEY, "x")

        assert waiter.receive_rest() == b""
        assert primary.call("LRANGE", KEY, 0, -1) == [b"x"]


# ---- WAIT -----------------------------------------------------------------------------


def test_wait_counts_a_replica_only_when_it_has_what_was_written(
    shards: EmbeddedCluster, other: RawConnection
) -> None:
    replica = shards.replicas_of(shards.primary_for(KEY))[0]
    answers = []

    other.say(encode_command("SET", KEY, 1))
    answers.append(other.say(encode_command("WAIT", 1, 5000)))
    replica.freeze()
    other.say(encode_command("SET", KEY, 2))
    answers.append(other.say(encode_command("WAIT", 1, 200)))
    replica.thaw()
    answers.append(other.say(encode_command("WAIT", 1, 5000)))
    answers.append(other.say(encode_command("WAIT", 2, 200)))

    assert answers == [b":1\r\n", b":0\r\n", b":1\r\n", b":1\r\n"]


def test_waitaof_counts_disks(shards: EmbeddedCluster, engine: str, other: RawConnection) -> None:
    replica = shards.replicas_of(shards.primary_for(KEY))[0]
    other.say(encode_command("SET", KEY, 1))

    both = other.say(encode_command("WAITAOF", 1, 1, 5000))
    replica.freeze()
    other.say(encode_command("SET", KEY, 2))
    one = other.say(encode_command("WAITAOF", 1, 1, 1500))

    if engine == "redis":  # 7.0 has no such command
        assert both.startswith(b"-ERR unknown command")
        return
    assert both == b"*2\r\n:1\r\n:1\r\n"
    assert one == b"*2\r\n:1\r\n:0\r\n"


def test_wait_leaves_no_trace(shards: EmbeddedCluster, other: RawConnection) -> None:
    for _ in range(20):
        other.say(encode_command("WAIT", 9, 1))
        other.say(encode_command("WAITAOF", 0, 9, 1))

    assert other.say(encode_command("DBSIZE")) == b":0\r\n"
    texts = [node.call_text("CLIENT", "LIST") for node in shards.primaries()]
    assert not any(re.search(rb"flags=\S*b\S* ", text) for text in texts)
