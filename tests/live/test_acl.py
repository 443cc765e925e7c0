"""The servers' own users through the proxy (``clients.acl = "pass"``), and the proxy's own.

What a user may do is compared with a standalone server that has the same users;
what becomes of users that change is tried at a cluster whose nodes all change.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256

import pytest
import trio
from acl_dialogues import DIALOGUES, USERS, A
from differential.wire import NoReply
from parties import Line, Party, compare

from proxy.check import check_cluster
from proxy.config import Settings
from proxy.embedded import (
    EmbeddedCluster,
    NodeConnection,
    ProxyProcess,
    RedisNode,
    StandaloneServer,
    wait_for,
)
from proxy.resp.encode import encode_command

pytestmark = [pytest.mark.live, pytest.mark.takes(55)]


def give_users(node: RedisNode) -> None:
    for name, rules in USERS.items():
        node.call("ACL", "SETUSER", name, "reset", *rules.split())


@pytest.fixture(scope="module")
def walled(engine: str) -> Iterator[EmbeddedCluster]:
    """A cluster with users, the same at every node."""
    with EmbeddedCluster(engine) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def walled_server(engine: str) -> Iterator[StandaloneServer]:
    """A standalone server with the same users."""
    with StandaloneServer(engine) as running:
        yield running


@pytest.fixture
def passing(walled: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    """A proxy that leaves users to the servers; users and keys as at first."""
    for node in walled.nodes:
        give_users(node)
    walled.flush()
    return make_proxy(
        walled.addresses,
        settings={
            "clients.acl": "pass",
            "cluster.username": "full",
            "cluster.password": "full-secret",
        },
    )


@pytest.fixture
def with_default_password(
    walled: EmbeddedCluster, walled_server: StandaloneServer, passing: ProxyProcess
) -> Iterator[None]:
    """Everywhere the default user has a password, for the time of a test."""
    with ExitStack() as stack:
        addresses = [*walled.addresses, walled_server.address]
        admins = [stack.enter_context(NodeConnection(address)) for address in addresses]
        for admin in admins:
            admin.call("CONFIG", "SET", "requirepass", "opensesame")
        yield
        for admin in admins:
            admin.call("CONFIG", "SET", "requirepass", "")


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_users_may_do_what_they_may_at_one_server(
    dialogue: list[Line], walled_server: StandaloneServer, passing: ProxyProcess
) -> None:
    give_users(walled_server.node)
    walled_server.node.call("FLUSHALL")

    compare(walled_server.address, passing.address, dialogue)


@pytest.mark.usefixtures("with_default_password")
def test_a_default_user_with_a_password_gates_strangers(
    walled_server: StandaloneServer, passing: ProxyProcess
) -> None:
    wait_for(lambda: _is_gated(passing), 5.0, "the password to be noticed")

    compare(
        walled_server.address,
        passing.address,
        [
            (A, "GET k"),
            (A, "AUTH opensesame"),
            (A, "SET k v"),
            (A, "ACL WHOAMI"),
            (A, "RESET"),
            (A, "GET k"),
            (A, "HELLO 3"),
            (A, "AUTH wrong"),
            (A, "AUTH default opensesame"),
            (A, "GET k"),
        ],
        number=b"",
    )


def _is_gated(proxy: ProxyProcess) -> bool:
    with Party(proxy.address, number=b"") as stranger:
        return stranger.say("GET k").startswith(b"-NOAUTH")


def expect_end(party: Party) -> None:
    with pytest.raises(NoReply, match="closed"):
        party.connection.receive()


def test_what_a_user_may_not_do_spoils_its_transaction(passing: ProxyProcess) -> None:
    """At one server INCR m:1 is refused at once; here EXEC says it, and nothing has run either."""
    with Party(passing.address) as party:
        party.say("AUTH counter counter-secret")
        for words in ("MULTI", "INCR n:1", "INCR m:1"):
            party.say(words)

        assert party.say("EXEC").startswith(b"-EXECABORT")
        assert party.say("GET n:1") == b"$-1\r\n"


def test_a_deleted_users_clients_are_closed_as_at_one_server(
    walled: EmbeddedCluster, passing: ProxyProcess
) -> None:
    with Party(passing.address) as admin, Party(passing.address) as victim:
        admin.say("AUTH full full-secret")
        admin.say("ACL SETUSER victim on >v ~* +@all")
        assert victim.say("AUTH victim v") == b"+OK\r\n"
        for key in "abcdef":
            victim.say(f"SET {key} 1")

        assert admin.say("ACL DELUSER victim") == b":1\r\n"

        expect_end(victim)
        assert admin.say("GET a") == b"$1\r\n1\r\n"
        assert admin.say("ACL WHOAMI") == b"$4\r\nfull\r\n"


@pytest.mark.parametrize("keys", ["q", "q r s t"])
def test_a_deleted_users_blocked_clients_are_closed(passing: ProxyProcess, keys: str) -> None:
    with Party(passing.address) as admin, Party(passing.address) as blocked:
        admin.say("AUTH full full-secret")
        admin.say("ACL SETUSER waiter on >w ~* +@all")
        blocked.say("AUTH waiter w")
        blocked.say("MGET q r s t")
        blocked.connection.send(encode_command("BLPOP", *keys.split(), 0))
        wait_for(lambda: b" flags=b " in admin.say("CLIENT LIST"), 5.0, "it to be blocked")

        assert admin.say("ACL DELUSER waiter") == b":1\r\n"

        blocked.connection.receive_rest()
        assert admin.say("RPUSH q x") == b":1\r\n"
        assert admin.say("LLEN q") == b":1\r\n"


def test_a_deleted_users_subscribers_are_closed(passing: ProxyProcess) -> None:
    with Party(passing.address) as admin, Party(passing.address) as listener:
        admin.say("AUTH full full-secret")
        admin.say("ACL SETUSER listener on >l ~* &* +@all")
        listener.say("AUTH listener l")
        listener.say("SUBSCRIBE c")

        assert admin.say("ACL DELUSER listener") == b":1\r\n"

        assert listener.connection.receive_rest() == b""
        assert admin.say("PUBSUB NUMSUB c") == b"*2\r\n$1\r\nc\r\n:0\r\n"


def test_a_user_that_one_node_lacks_is_told_which(
    walled: EmbeddedCluster, passing: ProxyProcess
) -> None:
    lacking = walled.primaries()[-1]
    with Party(passing.address) as party:
        party.say("AUTH counter counter-secret")
        lacking.call("ACL", "DELUSER", "counter")
        key = next(
            f"n:{n}" for n in range(1000) if walled.primary_for(f"n:{n}".encode()) is lacking
        )

        answer = party.say(f"INCR {key}")

        assert answer.startswith(f"-WRONGPASS {lacking.address} does not let this client".encode())
        expect_end(party)


def test_a_password_that_changes_leaves_those_in_who_are_in(
    walled: EmbeddedCluster, passing: ProxyProcess
) -> None:
    with Party(passing.address) as inside, Party(passing.address) as late:
        inside.say("AUTH counter counter-secret")
        inside.say("INCR n:1")
        for node in walled.nodes:
            node.call("ACL", "SETUSER", "counter", ">new", "<counter-secret")

        assert inside.say("INCR n:1") == b":2\r\n"
        assert late.say("AUTH counter counter-secret").startswith(b"-WRONGPASS")
        assert late.say("AUTH counter new") == b"+OK\r\n"
        assert late.say("INCR n:1") == b":3\r\n"


def test_nobody_ever_has_anothers_rights(walled: EmbeddedCluster, passing: ProxyProcess) -> None:
    """Law 9: many users come, open state, and vanish; each is only what it is."""
    chance = random.Random(11)
    for _ in range(80):
        with Party(passing.address) as party:
            user = chance.choice(["full", "reader", "counter", "open"])
            party.say(f"AUTH {user} {user}-secret")
            for words in chance.sample(
                [
                    "MULTI",
                    "WATCH n:1",
                    "HELLO 3",
                    "RESET",
                    "INCR n:1",
                    "GET cached:1",
                    "SUBSCRIBE news:1",
                ],
                3,
            ):
                party.say(words)
    for user, is_able in [("full", True), ("counter", False), ("reader", False)]:
        with Party(passing.address) as party:
            party.say(f"AUTH {user} {user}-secret")
            assert party.say("SET elsewhere 1").startswith(b"+OK" if is_able else b"-NOPERM")
    with Party(passing.address) as stranger:
        assert stranger.say("ACL WHOAMI") == b"$7\r\ndefault\r\n"


def test_many_logins_cost_no_connections(walled: EmbeddedCluster, passing: ProxyProcess) -> None:
    with Party(passing.address) as party:
        party.say("AUTH full full-secret")
        party.say("DBSIZE")
        before = _connections_made(walled)
        for _ in range(50):
            party.say("AUTH full wrong")
            party.say("AUTH full full-secret")

        # The map is read meanwhile, over connections of its own.
        assert _connections_made(walled) - before < 20


def _connections_made(cluster: EmbeddedCluster) -> int:
    total = 0
    for node in cluster.nodes:
        for line in node.call_text("INFO", "stats").decode().splitlines():
            if line.startswith("total_connections_received:"):
                total += int(line.partition(":")[2])
    return total


def test_the_log_of_refusals_is_that_of_all_nodes(
    walled: EmbeddedCluster, passing: ProxyProcess
) -> None:
    with Party(passing.address) as admin, Party(passing.address) as party:
        admin.say("AUTH full full-secret")
        assert admin.say("ACL LOG RESET") == b"+OK\r\n"
        party.say("AUTH counter counter-secret")
        for key in "abcdefgh":
            party.say(f"SET {key} 1")

        for version in (2, 3):
            admin.say(f"HELLO {version}")
            # A server counts what the same user tries again as one entry.
            assert admin.say("ACL LOG").count(b"$8\r\nusername\r\n$7\r\ncounter\r\n") == len(
                {walled.primary_for(key.encode()).port for key in "abcdefgh"}
            )
            assert admin.say("ACL LOG 1").startswith(b"*1\r\n")
        assert admin.say("ACL LOG RESET") == b"+OK\r\n"
        assert admin.say("ACL LOG") == b"*0\r\n"


def test_check_finds_the_node_that_lacks_a_user(walled: EmbeddedCluster) -> None:
    for node in walled.nodes:
        give_users(node)
    tables = {
        "cluster": {"seeds": [str(walled.addresses[0])]},
        "clients": {"acl": "pass"},
    }
    lines: list[str] = []

    assert trio.run(check_cluster, Settings.model_validate(tables), lines.append) == 0
    assert f"ok: all nodes know the same {len(USERS) + 1} users" in lines

    walled.nodes[2].call("ACL", "DELUSER", "reader")
    assert trio.run(check_cluster, Settings.model_validate(tables), lines.append) == 1
    assert f"problem: {walled.nodes[2].address} does not know the user reader" in lines


# ---- the proxy's own users ---------------------------------------------------------------


@pytest.fixture
def with_users(walled: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    digest = sha256(b"web-secret").hexdigest()
    return make_proxy(
        walled.addresses,
        settings={"clients.users": f"default=master,app=app-secret,web=sha256:{digest}"},
    )


def test_users_of_the_settings_come_in_and_are_who_they_are(
    passing: ProxyProcess, with_users: ProxyProcess
) -> None:
    with Party(with_users.address, number=b"") as party:
        assert party.say("GET k") == b"-NOAUTH Authentication required.\r\n"
        assert party.say("AUTH app wrong").startswith(b"-WRONGPASS")
        assert party.say("AUTH app app-secret") == b"+OK\r\n"
        assert party.say("ACL WHOAMI") == b"$3\r\napp\r\n"
        assert party.say("AUTH web web-secret") == b"+OK\r\n"
        assert party.say("AUTH master") == b"+OK\r\n"
        assert party.say("ACL WHOAMI") == b"$7\r\ndefault\r\n"
        assert party.say("ACL LIST").startswith(b"-NOPERM 'acl|list' is denied by the proxy's")
        assert party.say("RESET") == b"+RESET\r\n"
        assert party.say("GET k") == b"-NOAUTH Authentication required.\r\n"
