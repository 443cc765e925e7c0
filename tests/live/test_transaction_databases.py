"""SELECT inside MULTI: what follows it runs in the other database, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from differential.transactions import compare, parse_dialogue

from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer

pytestmark = pytest.mark.live

DIALOGUES = (
    """
        MULTI
        SET k zero
        SELECT 1
        SET k one
        GET k
        SELECT 0
        GET k
        SELECT 2
        EXEC
        GET k
        SELECT 1
        GET k
        2> GET k
    """,
    """
        MULTI
        SELECT 1
        SELECT 77
        SET k one
        DBSIZE
        EXEC
        2> GET k
        GET k
    """,
    """
        WATCH k
        MULTI
        SELECT 1
        SET k one
        EXEC
        GET k
        WATCH k
        SELECT 0
        SET k zero
        MULTI
        GET k
        EXEC
        SELECT 1
        WATCH k
        SELECT 0
        2> SELECT 1
        2> SET k theirs
        MULTI
        GET k
        EXEC
    """,
    """
        MULTI
        SELECT 1
        NOSUCH
        EXEC
        SET k zero
        2> GET k
    """,
)


@pytest.mark.parametrize("transactions", ["strict", "split"])
def test_databases_inside_multi_are_those_of_one_server(
    engine: str,
    make_cluster: Callable[..., EmbeddedCluster],
    make_proxy: Callable[..., ProxyProcess],
    standalone: StandaloneServer,
    transactions: str,
) -> None:
    if engine != "valkey":
        pytest.skip("only Valkey has databases in cluster mode")
    cluster = make_cluster(replicas=0, settings={"cluster-databases": "16"})
    proxy = make_proxy(cluster.addresses, settings={"commands.transactions": transactions})

    for dialogue in DIALOGUES:
        cluster.flush()
        standalone.node.call("FLUSHALL")
        compare(standalone.address, proxy.address, parse_dialogue(dialogue))

    with redis.Redis(port=proxy.port) as later:
        assert later.get("k") == b"zero"  # nobody's database is left to others
