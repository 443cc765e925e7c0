"""SELECT and its kin: servers that have databases in cluster mode, and those that have one.

The dialogues are compared with a standalone server of as many databases. Only Valkey
since 9.0 can have more than one (``cluster-databases``); Redis shows the other half.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
import redis
from parties import Line, Party, compare

from proxy.cluster.slots import key_slot
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer, wait_for

pytestmark = pytest.mark.live

DATABASES = 16
A, B = "a", "b"

DIALOGUES: dict[str, list[Line]] = {
    "keys are apart": [
        (A, "SET k zero"),
        (A, "SELECT 3"),
        (A, "GET k"),
        (A, "SET k three"),
        (B, "GET k"),
        (B, "SELECT 3"),
        (B, "GET k"),
        (B, "MSET k 1 l 2 m 3 n 4"),
        (A, "MGET k l m n"),
        (A, "SELECT 0"),
        (A, "MGET k l m n"),
        (A, "DEL k l m n"),
        (B, "EXISTS k l m n"),
    ],
    "the whole of a database": [
        (A, "MSET a 1 b 2 c 3 d 4"),
        (A, "SELECT 5"),
        (A, "DBSIZE"),
        (A, "RANDOMKEY"),
        (A, "KEYS *"),
        (A, "SCAN 0"),
        (A, "SET only here"),
        (A, "DBSIZE"),
        (A, "RANDOMKEY"),
        (A, "KEYS *"),
        (A, "SCAN 0 COUNT 100"),
        (A, "FLUSHDB"),
        (A, "DBSIZE"),
        (B, "DBSIZE"),
        (B, "SELECT 9"),
        (B, "SET x 1"),
        (B, "FLUSHALL"),
        (B, "DBSIZE"),
        (A, "SELECT 0"),
        (A, "DBSIZE"),
    ],
    "from one to another": [
        (A, "SET k v"),
        (A, "MOVE k 2"),
        (A, "MOVE k 2"),
        (A, "SELECT 2"),
        (A, "GET k"),
        (A, "MOVE k 2"),
        (A, "MOVE k 99"),
        (A, "MOVE k x"),
        (A, "COPY k k DB 7"),
        (A, "COPY k k DB 7"),
        (A, "COPY k k DB 7 REPLACE"),
        (A, "COPY k {k}2 DB 8"),
        (A, "COPY k k DB 77"),
        (A, "SELECT 8"),
        (A, "GET {k}2"),
    ],
    "how long it holds": [
        (A, "SELECT 4"),
        (A, "SET k four"),
        (A, "HELLO 3"),
        (A, "GET k"),
        (A, "HELLO 2"),
        (A, "GET k"),
        (A, "CLIENT SETNAME me"),
        (A, "MULTI"),
        (A, "GET k"),
        (A, "EXEC"),
        (A, "RESET"),
        (A, "GET k"),
        (A, "SELECT 4"),
        (A, "WATCH k"),
        (B, "SET k zero"),
        (A, "MULTI"),
        (A, "SET k five"),
        (A, "EXEC"),
        (A, "GET k"),
        (A, "EVAL return{redis.call('get',KEYS[1]),1} 1 k"),
    ],
    "which do not exist": [
        (A, "SELECT 16"),
        (A, "SELECT -1"),
        (A, "SELECT x"),
        (A, "SELECT 99999999999999999999"),
        (A, "SELECT 2147483648"),
        (A, "SELECT"),
        (A, "SELECT 1 2"),
        (A, "SELECT 15"),
        (A, "GET k"),
    ],
    "tracked": [
        (A, "HELLO 3"),
        (A, "SELECT 6"),
        (A, "CLIENT TRACKING ON"),
        (A, "GET k"),
        (B, "SELECT 6"),
        (B, "SET k 1"),
    ],
}


@pytest.fixture(scope="module")
def many(engine: str) -> Iterator[EmbeddedCluster]:
    """A cluster whose servers have 16 databases."""
    if engine != "valkey":
        pytest.skip("only Valkey has databases in cluster mode")
    with EmbeddedCluster(
        engine, replicas=0, settings={"cluster-databases": str(DATABASES)}
    ) as cluster:
        yield cluster


@pytest.fixture
def before_many(many: EmbeddedCluster, make_proxy: Callable[..., ProxyProcess]) -> ProxyProcess:
    many.flush()
    return make_proxy(many.addresses)


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=DIALOGUES.keys())
def test_databases_are_those_of_one_server(
    dialogue: list[Line], standalone: StandaloneServer, before_many: ProxyProcess
) -> None:
    compare(standalone.address, before_many.address, dialogue)


def test_random_clients_in_random_databases_see_what_one_server_shows(
    standalone: StandaloneServer, before_many: ProxyProcess
) -> None:
    chance = random.Random(7)
    dialogue: list[Line] = []
    for _ in range(300):
        key = f"k{chance.randrange(6)}"
        words = chance.choice(
            [
                f"SELECT {chance.randrange(4)}",
                f"SET {key} {chance.randrange(100)}",
                f"GET {key}",
                f"MGET {key} k1 k2",
                f"DEL {key} k3",
                f"MOVE {key} {chance.randrange(4)}",
                "DBSIZE",
                "INCR n",
            ]
        )
        dialogue.append((chance.choice("abcd"), words))

    compare(standalone.address, before_many.address, dialogue)


def test_rights_to_databases_are_the_servers(
    many: EmbeddedCluster,
    standalone: StandaloneServer,
    make_proxy: Callable[..., ProxyProcess],
) -> None:
    rules = ["ACL", "SETUSER", "tenant", "on", ">pw", "~*", "+@all", "resetdbs", "db=1,5"]
    many.flush()
    for node in (*many.nodes, standalone.node):
        node.call(*rules)
    proxy = make_proxy(many.addresses, settings={"clients.acl": "pass"})
    words = [f"SELECT {number}" for number in (2, 1, 0, 5, 5, 16)]

    try:
        compare(
            standalone.address,
            proxy.address,
            [
                (A, "AUTH tenant pw"),
                (A, "GET k"),
                *((A, line) for word in words for line in (word, "SET k v", "DBSIZE")),
                (A, "MOVE k 2"),
                (A, "COPY k k DB 1 REPLACE"),
                (A, "FLUSHALL"),
                (A, "RESET"),
                (A, "GET k"),
            ],
        )
    finally:
        for node in (*many.nodes, standalone.node):
            node.call("ACL", "DELUSER", "tenant")


def test_redis_py_works_in_the_database_of_its_url(before_many: ProxyProcess) -> None:
    url = f"redis://127.0.0.1:{before_many.port}"
    with redis.from_url(f"{url}/7") as seven, redis.from_url(f"{url}/0?protocol=3") as zero:
        seven.mset({f"k{number}": number for number in range(50)})

        assert len(list(seven.scan_iter(count=7))) == 50
        assert seven.dbsize() == 50
        assert zero.dbsize() == 0
        assert zero.client_info()["db"] == 0
        assert seven.info("keyspace")["db7"]["keys"] == 50


def test_swapdb_is_refused_clearly(before_many: ProxyProcess) -> None:
    with Party(before_many.address) as party:
        assert party.say("SWAPDB 0 1") == b"-ERR 'swapdb' is not available through the proxy\r\n"


def test_info_and_client_list_show_databases(before_many: ProxyProcess) -> None:
    with Party(before_many.address) as one, Party(before_many.address) as other:
        for number in (0, 3, 12):
            one.say(f"SELECT {number}")
            one.say("MSET a 1 b 2 c 3 d 4 e 5")

        lines = one.say("INFO keyspace").split(b"\r\n")
        listed = other.say("CLIENT LIST DB 12")

    assert [line.split(b",")[0] for line in lines if line.startswith(b"db")] == [
        b"db0:keys=5",
        b"db3:keys=5",
        b"db12:keys=5",
    ]
    assert listed.count(b"id=") == 1
    assert b" db=12 " in listed


def test_a_slot_moves_with_all_its_databases(
    many: EmbeddedCluster, before_many: ProxyProcess
) -> None:
    source = many.primary_for(b"k")
    target = next(node for node in many.primaries() if node is not source)
    with Party(before_many.address) as party:
        party.say("SELECT 3")
        party.say("SET k before")
        source.call(
            "CLUSTER",
            "MIGRATESLOTS",
            "SLOTSRANGE",
            key_slot(b"k"),
            key_slot(b"k"),
            "NODE",
            target.call_text("CLUSTER", "MYID"),
        )
        wait_for(lambda: many.primary_for(b"k") is target, 10.0, "the migration")

        assert party.say("GET k") == b"$6\r\nbefore\r\n"
        assert party.say("SET k after") == b"+OK\r\n"
        assert party.say("GET k") == b"$5\r\nafter\r\n"
        party.say("SELECT 0")
        assert party.say("EXISTS k") == b":0\r\n"


def test_nobodys_database_is_left_to_others(
    many: EmbeddedCluster, before_many: ProxyProcess
) -> None:
    """Law 9: who comes after many that were elsewhere is in database 0."""
    chance = random.Random(9)
    for _ in range(60):
        with Party(before_many.address) as party:
            party.say(f"SELECT {chance.randrange(1, DATABASES)}")
            for words in chance.sample(
                ["SET k 1", "MULTI", "WATCH k", "SUBSCRIBE c", "HELLO 3"], 2
            ):
                party.say(words)
    with Party(before_many.address) as party:
        assert party.say("DBSIZE") == b":0\r\n"
        assert party.say("EXISTS k") == b":0\r\n"


# ---- servers that have one --------------------------------------------------------------


@pytest.fixture(scope="module")
def one_database(engine: str) -> Iterator[StandaloneServer]:
    """A standalone server with a single database."""
    with StandaloneServer(engine, settings={"databases": "1"}) as running:
        yield running


def test_servers_with_one_database_make_a_server_with_one(
    one_database: StandaloneServer, proxy_process: ProxyProcess
) -> None:
    words = ["0", "1", "-1", "16", "x", "2147483648", "00"]

    compare(
        one_database.address,
        proxy_process.address,
        [(A, f"SELECT {word}") for word in words] + [(A, "SET k v"), (B, "GET k")],
    )
