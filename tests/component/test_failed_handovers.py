"""A successor that does not do as it should, played by a script: the proxy serves on."""

from __future__ import annotations

import sys

import pytest
from queue_cluster import Queues
from scripted_cluster import FakeCluster
from served import Served, until

from proxy.resp.encode import array, bulk

PLAY = """
import json, os, socket, sys
wire = socket.socket(fileno=int(os.environ["SLOTWAY_PREDECESSOR"]))
def hear():
    data, fds, _, _ = socket.recv_fds(wire, 1 << 16, 16)
    return json.loads(data), fds
def say(kind, **fields):
    wire.send(json.dumps({"kind": kind, **fields}).encode())
hello, listeners = hear()
assert hello["listeners"] == len(listeners)
"""

# With fewer clients all of it may be said before a slow successor has ended.
MORE_THAN_THE_WIRE_HOLDS = 150

ENDS_AT_ONCE = "raise SystemExit(3)"
SAYS_NOTHING_SENSIBLE = "wire.send(b'ready when you are')"
IS_OF_ANOTHER_VERSION = "say('ready', protocol=999)"
ENDS_WHEN_IT_SHOULD_SERVE = "say('ready', protocol=hello['protocol']); hear()"
ENDS_WITH_THE_FIRST_CLIENT = """
say('ready', protocol=hello['protocol']); hear()
say('serving'); hear()
"""


async def try_with(script: str, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a script started instead of a successor, and wait until the attempt is over."""
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", PLAY + script])
    await served.proxy.hand_over()


@pytest.mark.parametrize(
    "script",
    [
        ENDS_AT_ONCE,
        SAYS_NOTHING_SENSIBLE,
        IS_OF_ANOTHER_VERSION,
        ENDS_WHEN_IT_SHOULD_SERVE,
    ],
)
async def test_nothing_has_changed(
    served: Served, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    client = await served.connect()
    number = await client.call("CLIENT", "ID")

    await try_with(script, served, monkeypatch)

    newcomer = await served.connect()
    assert not served.proxy.succession.is_over
    assert await newcomer.call("PING") == b"+PONG\r\n"
    assert await client.call("CLIENT", "ID") == number
    assert await client.call("SET", "a", 1) == b"+OK\r\n"


async def test_only_who_was_given_already_is_lost(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await served.connect() for _ in range(MORE_THAN_THE_WIRE_HOLDS)]
    for client in clients:
        assert await client.call("PING") == b"+PONG\r\n"

    await try_with(ENDS_WITH_THE_FIRST_CLIENT, served, monkeypatch)

    left = len(served.engine.clients)
    answers = [await client.call("PING") for client in clients[len(clients) - left :]]
    newcomer = await served.connect()
    assert answers == [b"+PONG\r\n"] * left
    assert await newcomer.call("PING") == b"+PONG\r\n"
    assert not served.proxy.succession.is_over


async def test_who_was_to_wait_over_there_goes_on_waiting_here(
    cluster: FakeCluster, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues = Queues(cluster)
    # So nobody who waits is given before the end.
    clients = [await served.connect() for _ in range(MORE_THAN_THE_WIRE_HOLDS)]
    for client in clients:
        assert await client.call("PING") == b"+PONG\r\n"
    waiting = await served.connect()
    key = cluster.key_of(cluster.nodes[0])
    await waiting.ask("BLPOP", key, 0)
    await queues.wait_blocked()

    for _ in range(2):
        await try_with(ENDS_WITH_THE_FIRST_CLIENT, served, monkeypatch)
    await until(lambda: served.proxy.blocking.count == 1)
    await queues.push(key, b"x")

    await waiting.expect(array([bulk(key), bulk(b"x")]))
