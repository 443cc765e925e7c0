"""Clients that wait, at a standalone server and at the proxy: the same bytes in the same order."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from blocking_dialogues import DIALOGUES
from differential.wire import RawConnection

from proxy.cluster.topology import Address
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer, wait_for
from proxy.resp import replies_across
from proxy.resp.encode import array, bulk, encode_command
from proxy.resp.inline import split_inline

pytestmark = pytest.mark.live

SEEN_DEADLINE_S = 5.0
NIL = {2: b"*-1\r\n", 3: b"_\r\n"}


class Side:
    """Three clients of one server, and a fourth that looks who waits.

    Attributes:
        count_looks: Returns how often the proxy has counted a list; None: there is no proxy.
    """

    def __init__(self, address: Address, resp: int) -> None:
        self.count_looks: Callable[[], int] | None = None
        self._stack = ExitStack()
        self.admin = self._stack.enter_context(RawConnection(address))
        self.clients = {
            name: self._stack.enter_context(RawConnection(address)) for name in ("a", "b", "c")
        }
        for client in self.clients.values():
            if resp == 3:
                client.say(encode_command("HELLO", 3))

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    @property
    def waiting(self) -> int:
        """How many clients are seen to wait."""
        return self.admin.say(encode_command("CLIENT", "LIST")).count(b" flags=b ")

    def number(self, name: str) -> bytes:
        """The CLIENT ID of one of the clients."""
        return self.clients[name].say(encode_command("CLIENT", "ID"))[1:-2]

    def begin(self, name: str, request: bytes) -> None:
        """Send a request and see that its client waits."""
        wanted = self.waiting + 1
        self.clients[name].send(request)
        wait_for(lambda: self.waiting == wanted, SEEN_DEADLINE_S, f"{name} to wait: {request!r}")

    def change(self, name: str, request: bytes) -> bytes:
        """Change a key that clients wait for, and see that the proxy has heard of it.

        News of two keys come from two servers, so the later may be heard first.
        """
        if self.count_looks is None:
            return self.clients[name].say(request)
        looks, before = self.count_looks, self.count_looks()
        reply = self.clients[name].say(request)
        wait_for(lambda: looks() > before, SEEN_DEADLINE_S, f"news of {request!r}")
        return reply

    def answer(self, step: str) -> bytes:
        """Take one step of a dialogue; return its reply, empty if none is awaited yet."""
        name, how, words = step[0], step[1], step[2:].strip()
        args = split_inline(words.encode()) if words else None
        match how:
            case ">":
                self.begin(name, encode_command(*args or ()))
                return b""
            case "!":
                return self.change(name, encode_command(*args or ()))
            case ":":
                return self.clients[name].say(encode_command(*args or ()))
            case _:
                return self.clients[name].receive()


class Leaver(RawConnection):
    """A client that closes its side and reads what it still gets."""

    def finish_sending(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def resp(request: pytest.FixtureRequest) -> int:
    version: int = request.param
    return version


@pytest.fixture
def server(standalone: StandaloneServer, resp: int) -> Iterator[Side]:
    with Side(standalone.address, resp) as side:
        yield side


@pytest.fixture
def proxy(cluster: EmbeddedCluster, proxy_process: ProxyProcess, resp: int) -> Iterator[Side]:
    def count_looks() -> int:
        lists = [node.info("commandstats").get("cmdstat_llen", "") for node in cluster.nodes]
        return sum(int(found.partition("calls=")[2].partition(",")[0] or 0) for found in lists)

    with Side(proxy_process.address, resp) as side:
        side.count_looks = count_looks
        yield side


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_who_waits_gets_what_a_standalone_server_gives(
    server: Side, proxy: Side, dialogue: str
) -> None:
    steps = [line.strip() for line in dialogue.strip().splitlines()]

    differences = []
    for step in steps:
        wanted, got = server.answer(step), proxy.answer(step)
        if wanted != got:
            differences.append(f"{step}\n  server {wanted!r}\n  proxy  {got!r}")

    assert not differences, "\n".join(differences)


BLOCKED = [
    "BLPOP a 0",
    "BLPOP a b c 0",
    "BLMOVE {t}1 {t}2 LEFT LEFT 0",
    "BLMPOP 0 2 a b LEFT",
    "BZPOPMIN a b 0",
    "XREAD BLOCK 0 STREAMS a $",
    "XREAD BLOCK 0 STREAMS a b $ $",
    "WAIT 9 0",
]


@pytest.mark.parametrize("how", ["", "TIMEOUT", "ERROR"])
@pytest.mark.parametrize("command", BLOCKED)
def test_client_unblock_ends_every_kind_of_wait(
    server: Side, proxy: Side, command: str, how: str
) -> None:
    answers = []
    for side in (server, proxy):
        number = side.number("a")
        side.begin("a", encode_command(*command.split()))
        unblock = encode_command("CLIENT", "UNBLOCK", number, *how.split())
        first = side.clients["b"].say(unblock)
        reply = side.clients["a"].receive()
        second = side.clients["b"].say(unblock)
        answers.append([first, reply, second, side.clients["a"].say(encode_command("PING"))])

    if answers[1][1] == b":1\r\n":
        # WAIT: the cluster has replicas, the standalone server has none.
        answers[1][1] = b":0\r\n"
    assert answers[0] == answers[1]


@pytest.mark.parametrize("command", ["BLPOP a 0", "BLPOP a b c 0"])
def test_a_client_that_has_left_takes_nothing(
    proxy: Side, proxy_process: ProxyProcess, command: str
) -> None:
    for number in range(30):
        with RawConnection(proxy_process.address) as leaver:
            leaver.send(encode_command(*command.split()))
            wait_for(lambda: proxy.waiting == 1, SEEN_DEADLINE_S, "the client to wait")

        proxy.clients["b"].say(encode_command("RPUSH", "a", number))

        wait_for(lambda: proxy.waiting == 0, SEEN_DEADLINE_S, "nobody to wait")
        taken = proxy.clients["b"].say(encode_command("BLPOP", "a", 5))
        assert taken.endswith(b"\r\n%d\r\n" % number)


@pytest.mark.parametrize("command", ["BLPOP {} 0", "BLPOP {} b c 0"])
def test_who_leaves_in_the_moment_of_a_push_has_the_element_or_it_is_there(
    proxy: Side, proxy_process: ProxyProcess, command: str
) -> None:
    for number in range(200):
        key = f"a:{number}"
        with Leaver(proxy_process.address) as leaver:
            leaver.send(encode_command(*command.format(key).split()))
            if number % 2:
                wait_for(lambda: proxy.waiting == 1, SEEN_DEADLINE_S, "the client to wait")
            proxy.clients["b"].send(encode_command("RPUSH", key, "x"))
            if number % 4 == 3:
                proxy.clients["b"].receive()
            leaver.finish_sending()
            delivered = leaver.receive_rest()
        if number % 4 != 3:
            proxy.clients["b"].receive()
        if delivered:
            assert proxy.admin.say(encode_command("LLEN", key)) == b":0\r\n"
        else:
            popped = proxy.admin.say(encode_command("BLPOP", key, 3))
            assert popped.endswith(b"\r\nx\r\n"), number


@pytest.mark.parametrize("command", ["BLPOP a {} ", "BLPOP a b c {}", "BLMPOP {} 2 a b LEFT"])
def test_the_time_is_kept(proxy: Side, resp: int, command: str) -> None:
    began = time.monotonic()

    reply = proxy.clients["a"].say(encode_command(*command.format("0.3").split()))

    # Servers look at their clocks ten times a second.
    assert reply == NIL[resp]
    assert 0.3 <= time.monotonic() - began < 0.3 + 0.1 + 4.0  # for a machine with much to do


# ---- what a setting or a server adds ----------------------------------------------------


def test_a_move_between_slots_waits_where_the_setting_allows_it(
    cluster: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess], proxy: Side, resp: int
) -> None:
    allowing = make_proxy(cluster.addresses, settings={"commands.cross_slot": "all"})
    with Side(allowing.address, resp) as side:
        mover, pusher = side.clients["a"], side.clients["b"]

        refused = proxy.answer("a: BLMOVE a b LEFT RIGHT 0")
        too_late = mover.say(encode_command("BLMOVE", "a", "b", "LEFT", "RIGHT", "0.05"))
        side.begin("a", encode_command("BLMOVE", "a", "b", "LEFT", "RIGHT", 0))
        pusher.say(encode_command("RPUSH", "a", "x"))
        moved = mover.receive()
        pusher.say(encode_command("RPUSH", "a", "y"))
        moved_at_once = mover.say(encode_command("BRPOPLPUSH", "a", "b", 0))
        wrong = mover.say(encode_command("BLMOVE", "a", "b", "LEFT", "RIGHT", "soon"))

        assert refused == replies_across.cross_slot_by_setting(b"blmove", needed=b"all")
        assert too_late == NIL[resp]
        assert (moved, moved_at_once) == (bulk(b"x"), bulk(b"y"))
        assert wrong == b"-ERR timeout is not a float or out of range\r\n"
        assert pusher.say(encode_command("LRANGE", "b", 0, -1)) == array([bulk(b"y"), bulk(b"x")])


@pytest.mark.parametrize("command", ["BLPOP a 0", "BLPOP a b c 0"])
def test_who_waits_in_a_database_is_served_in_that_one(
    make_cluster: Callable[..., EmbeddedCluster],
    make_proxy: Callable[..., ProxyProcess],
    engine: str,
    command: str,
) -> None:
    if engine == "redis":
        pytest.skip("Redis has no databases in cluster mode")
    databases = make_cluster(settings={"cluster-databases": "4"}, replicas=0)
    with Side(make_proxy(databases.addresses).address, 2) as side:
        for name in ("a", "b"):
            assert side.clients[name].say(encode_command("SELECT", 2)) == b"+OK\r\n"
        side.begin("a", encode_command(*command.split()))

        side.clients["c"].say(encode_command("RPUSH", "a", "in database 0"))
        side.clients["b"].say(encode_command("RPUSH", "a", "in database 2"))

        assert side.clients["a"].receive().endswith(b"in database 2\r\n")
        assert side.clients["c"].say(encode_command("LLEN", "a")) == b":1\r\n"


@pytest.mark.parametrize("command", ["BLPOP a 0", "BLPOP b a 0.01", "BLPOP b c 0.01"])
def test_a_user_waits_only_for_keys_that_are_its_own(
    make_cluster: Callable[..., EmbeddedCluster],
    make_proxy: Callable[..., ProxyProcess],
    command: str,
) -> None:
    rules = ("on", ">secret", "+@all", "~b", "~b:*")
    cluster = make_cluster(replicas=0)
    for node in cluster.nodes:
        node.call("ACL", "SETUSER", "bob", *rules)
    settings = {"clients.acl": "pass"}
    with Side(make_proxy(cluster.addresses, settings=settings).address, 2) as side:
        side.clients["a"].say(encode_command("AUTH", "bob", "secret"))

        answer = side.clients["a"].say(encode_command(*command.split()))

    assert answer.startswith(b"-NOPERM ")
