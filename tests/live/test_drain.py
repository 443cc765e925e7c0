"""SIGTERM and POST /drain: what each kind of client sees of the end, part by part.

Strategy: one proxy is ended while clients of every kind are connected, each in the middle of
what it does; what each of them got is looked at by a test of its own. So it is once more with
a proxy that gives them next to no time.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
import redis
from admin_client import DEADLINE_S, administered
from engine_here import ON_ONE_ENGINE
from guests import party
from speakers import message

from proxy.cluster.addresses import Address
from proxy.embedded import EmbeddedCluster, NodeConnection, ProxyProcess, wait_for
from proxy.resp.encode import bulk, encode_command

# The end is the proxy's own.
pytestmark = [pytest.mark.live, ON_ONE_ENGINE, pytest.mark.usefixtures("engine")]

QUICK_S = 8.0
LONG_S = "15"
IDLE = ("idle", "idle over TLS", "idle at the path", "in a handshake", "in half a request")


def keys_beside(cluster: EmbeddedCluster, other: str) -> Iterator[str]:
    """Return keys whose shard is not that of another key."""
    taken = cluster.primary_for(other.encode())
    names = (f"key:{number}" for number in count())
    return (name for name in names if cluster.primary_for(name.encode()) is not taken)


# ---- with enough time -------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """What was seen of an end for which everybody had time.

    Attributes:
        got: What each guest was sent from the signal to the end of its connection.
        refusals: What happened to those who came after it, by each door.
        readiness: The code of /readyz while it lasted.
        keys: The names that keys have here, by what they are for.
        stored: What the cluster had there afterwards.
        code: Of the process.
    """

    got: dict[str, bytes]
    refusals: list[str]
    readiness: int
    keys: dict[str, str]
    stored: dict[str, object]
    code: int


@pytest.fixture(scope="module")
def end(cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> End:
    cluster.flush()
    slow = cluster.primary_for(b"slow")
    beside = keys_beside(cluster, "slow")
    queue, many, more, sold = (next(beside) for _ in range(4))
    first, later = f"{{{sold}}}first", f"{{{sold}}}later"
    keys = {"half": "half", "slow": "slow", "queue": queue, "more": more}
    keys |= {"sold": sold, "first": first, "later": later}
    directory = tmp_path_factory.mktemp("drain")
    with party(cluster, directory, drain_s="20", drain_linger_s=LONG_S) as proxy:
        guests = {
            "idle": proxy.come(),
            "idle over TLS": proxy.come_by_tls(),
            "in a handshake": proxy.come_halfway(),
            "idle at the path": proxy.come_by_path(),
            "in half a request": proxy.come(),
            "subscribed": proxy.come(),
            "monitoring": proxy.come(),
            "asking": proxy.come(),
            "in MULTI": proxy.come(),
            "in MULTI over TLS": proxy.come_by_tls(),
            "watching": proxy.come(),
            "waiting": proxy.come(),
            "waiting at two": proxy.come(),
        }
        for name in set(IDLE) - {"in a handshake"}:
            guests[name].ask("PING", answer=b"+PONG\r\n")
        guests["in half a request"].stream.sendall(encode_command("SET", "half", "1")[:-3])
        guests["subscribed"].ask("SUBSCRIBE", "news", answer=_confirmed("news"))
        guests["monitoring"].ask("MONITOR")
        for name in ("in MULTI", "in MULTI over TLS"):
            guests[name].ask("MULTI")
            guests[name].ask("SET", first, "1", answer=b"+QUEUED\r\n")
        guests["watching"].ask("WATCH", sold)
        guests["waiting"].send("BLPOP", queue, "0")
        guests["waiting at two"].send("BLPOP", many, more, "0")
        with redis.Redis(port=proxy.admin.proxy.port) as other:
            wait_for(
                lambda: other.info("clients")["blocked_clients"] == 2, DEADLINE_S, "both to wait"
            )
            slow.call("CLIENT", "PAUSE", "60000", "WRITE")
            guests["asking"].send("SET", "slow", "1")
            wait_for(
                lambda: [c for c in other.client_list() if c["cmd"] == "set"], DEADLINE_S, "SET"
            )
            other.publish("news", "last")

        proxy.end()
        got = {}
        for name in (*IDLE, "subscribed", "monitoring"):
            got[name] = guests.pop(name).rest()
        refusals = proxy.refusals()
        readiness = proxy.admin.ask("/readyz").status
        slow.call("CLIENT", "UNPAUSE")
        guests["in MULTI"].send("SET", later, "2")
        for name in ("in MULTI", "in MULTI over TLS"):
            guests[name].send("EXEC")
        for words in (("MULTI",), ("SET", sold, "1"), ("EXEC",)):
            guests["watching"].send(*words)
        cluster.primary_for(queue.encode()).call("RPUSH", queue, "first", "second")
        cluster.primary_for(more.encode()).call("RPUSH", more, "first", "second")
        for name, guest in guests.items():
            got[name] = guest.rest()
        code = proxy.admin.proxy.wait()

    def stored(key: str) -> object:
        node = cluster.primary_for(key.encode())
        if key in (queue, more):
            return node.call("LRANGE", key, 0, -1)
        return node.call("GET", key)

    return End(got, refusals, readiness, keys, {name: stored(keys[name]) for name in keys}, code)


def _confirmed(channel: str) -> bytes:
    return b"*3\r\n$9\r\nsubscribe\r\n%b:1\r\n" % bulk(channel.encode())


def test_nobody_is_let_in_any_more_and_it_is_not_ready(end: End) -> None:
    assert end.refusals == ["ConnectionRefusedError", "ConnectionRefusedError", "FileNotFoundError"]
    assert end.readiness == 503


@pytest.mark.parametrize("name", IDLE)
def test_who_has_asked_for_nothing_is_closed_while_others_are_waited_for(
    end: End, name: str
) -> None:
    assert end.got[name] == b""
    assert end.stored["half"] is None


def test_a_subscriber_has_every_message_before_it_is_closed(end: End) -> None:
    assert end.got["subscribed"] == message("message", b"news", b"last")


def test_a_monitor_is_closed(end: End) -> None:
    assert b'"PUBLISH" "news" "last"' in end.got["monitoring"]


def test_a_request_in_flight_is_answered(end: End) -> None:
    assert end.got["asking"] == b"+OK\r\n"
    assert end.stored["slow"] == b"1"


def test_a_transaction_is_queued_further_and_run(end: End) -> None:
    assert end.got["in MULTI"] == b"+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n"
    assert (end.stored["first"], end.stored["later"]) == (b"1", b"2")


def test_a_transaction_over_tls_is_run(end: End) -> None:
    assert end.got["in MULTI over TLS"] == b"*1\r\n+OK\r\n"


def test_who_watches_keys_may_bring_that_to_an_end(end: End) -> None:
    assert end.got["watching"] == b"+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n"
    assert end.stored["sold"] == b"1"


def test_who_waits_gets_what_comes_in_time_and_takes_no_more(end: End) -> None:
    assert end.got["waiting"] == b"*2\r\n" + bulk(end.keys["queue"].encode()) + bulk(b"first")
    assert end.got["waiting at two"] == b"*2\r\n" + bulk(end.keys["more"].encode()) + bulk(b"first")
    assert (end.stored["queue"], end.stored["more"]) == ([b"second"], [b"second"])


def test_its_exit_code_is_0(end: End) -> None:
    assert end.code == 0


# ---- with next to none ------------------------------------------------------------------------


def test_who_takes_too_long_is_closed_and_nothing_of_it_is_done(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """Of a transaction nothing has run; who waited is told nothing, and takes nothing."""
    with party(cluster, tmp_path, drain_linger_s="0.3") as proxy:
        queueing, secured, watching = proxy.come(), proxy.come_by_tls(), proxy.come()
        waiting, torn = proxy.come(), proxy.come()
        for guest in (queueing, secured):
            guest.ask("MULTI")
            guest.ask("SET", "a", "1", answer=b"+QUEUED\r\n")
        watching.ask("WATCH", "a")
        waiting.send("BLPOP", "queue", "0")
        torn.send("BLPOP", "queue", "other", "0")
        with redis.Redis(port=proxy.admin.proxy.port) as other:
            wait_for(
                lambda: other.info("clients")["blocked_clients"] == 2, DEADLINE_S, "both to wait"
            )
        started = time.monotonic()

        os.kill(proxy.admin.proxy.pid, signal.SIGTERM)
        got = [guest.rest() for guest in (queueing, secured, watching, waiting, torn)]
        code = proxy.admin.proxy.wait()

    assert got == [b""] * 5
    assert code == 0
    assert 0.3 <= time.monotonic() - started < QUICK_S
    assert cluster.primary_for(b"a").call("GET", "a") is None
    for key in ("queue", "other"):
        assert cluster.primary_for(key.encode()).call("RPUSH", key, "1") == 1


def test_it_serves_on_for_a_while_if_it_is_told_to(cluster: EmbeddedCluster) -> None:
    """As Kubernetes wants it: not ready first, and gone when nobody comes any more."""
    with administered(cluster.addresses, {"listen.drain_delay_s": "2"}) as admin:
        started = time.monotonic()
        answer = admin.order("/drain")
        readiness = admin.ask("/readyz")
        with NodeConnection(admin.proxy.address) as late:
            assert late.call("SET", "a", "1") == b"OK"

        code = admin.proxy.wait()

        assert answer.json["within_s"] == 12
        assert readiness.status == 503
        assert "the proxy is draining" in readiness.json["missing"]
        assert code == 0
        assert 2 <= time.monotonic() - started < 2 + QUICK_S


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_second_signal_does_not_wait(
    cluster: EmbeddedCluster, tmp_path: Path, second: signal.Signals
) -> None:
    with party(cluster, tmp_path, drain_s="60", drain_linger_s="60") as proxy:
        busy = proxy.come()
        busy.ask("MULTI")
        proxy.end(signal.SIGINT)
        started = time.monotonic()

        os.kill(proxy.admin.proxy.pid, second)

        assert proxy.admin.proxy.wait() == 0
        assert time.monotonic() - started < QUICK_S
        assert busy.rest() == b""


def test_one_that_has_not_found_its_cluster_ends_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        seed = Address("127.0.0.1", nobody.getsockname()[1])
    command = ProxyProcess([seed], port=0).command
    log = tmp_path / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--set=admin.enabled=false"], stderr=output)
    try:
        wait_for(lambda: b"unreachable" in log.read_bytes(), DEADLINE_S, "a line in the log")

        process.terminate()

        assert process.wait(QUICK_S) == 0
    finally:
        process.kill()
        process.wait()
    assert b"Traceback" not in log.read_bytes()


# ---- under traffic ----------------------------------------------------------------------------


class Counter(threading.Thread):
    """A client that counts up, and goes to another proxy when this one sends it away."""

    def __init__(self, key: str, addresses: list[Address], is_over: threading.Event) -> None:
        super().__init__()
        self.acknowledged = 0
        self.sent_away = 0
        self.problem = ""
        self._request = f"INCR {key}\r\n".encode()
        self._addresses = addresses
        self._is_over = is_over

    def run(self) -> None:
        for address in self._addresses:
            with socket.create_connection((address.host, address.port), DEADLINE_S) as stream:
                if not self._count(stream):
                    return
            self.sent_away += 1

    def _count(self, stream: socket.socket) -> bool:
        """Count until the end; return whether the proxy has ended the connection before."""
        while not self._is_over.is_set():
            reply = b""
            try:
                stream.sendall(self._request)
                while not reply.endswith(b"\r\n"):
                    data = stream.recv(100)
                    if not data:
                        break
                    reply += data
            except ConnectionError:
                pass
            if not reply:
                return True
            if not (reply.startswith(b":") and reply.endswith(b"\r\n")):
                self.problem = repr(reply)
                return False
            self.acknowledged += 1
        return False


def test_a_drain_under_traffic_loses_no_request_and_repeats_none(
    cluster: EmbeddedCluster,
) -> None:
    """Whoever is sent away without a reply may ask elsewhere: the request has not run."""
    with administered(cluster.addresses) as admin, ProxyProcess(cluster.addresses) as next_one:
        is_over = threading.Event()
        places = [admin.proxy.address, next_one.address]
        counters = [Counter(f"count:{number}", places, is_over) for number in range(12)]
        for counter in counters:
            counter.start()
        wait_for(lambda: all(c.acknowledged > 20 for c in counters), DEADLINE_S, "traffic")

        answer = admin.order("/drain")
        code = admin.proxy.wait()
        wait_for(lambda: all(c.sent_away for c in counters), DEADLINE_S, "all to go elsewhere")
        is_over.set()
        for counter in counters:
            counter.join()
        with redis.Redis(port=next_one.port) as client:
            counted = [int(client.get(f"count:{number}") or 0) for number in range(12)]

    assert (answer.status, answer.json["draining"]) == (202, True)
    assert code == 0
    assert [counter.problem for counter in counters] == [""] * 12
    assert counted == [counter.acknowledged for counter in counters]
