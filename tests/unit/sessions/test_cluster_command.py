"""CLUSTER: hidden by default, and passed to the right node when it is exposed."""

from __future__ import annotations

import pytest
from session_fakes import FakeClient, FakeContext, FakeNodes, topology_of

from proxy.errors import BackendUnavailable

DISABLED = b"-ERR This instance has cluster support disabled\r\n"
THREE = topology_of(["a", "b", "c"])
ALL_ALIVE = {"a": b"+from a\r\n", "b": b"+from b\r\n", "c": b"+from c\r\n"}


async def test_a_hidden_cluster_is_no_cluster() -> None:
    nodes = FakeNodes(THREE, ALL_ALIVE)
    ctx = FakeContext(nodes=nodes)

    for words in ((b"INFO",), (b"slots",), (b"MEET", b"h", b"1"), (b"HELP",)):
        assert await ctx.ask(FakeClient(), b"CLUSTER", *words) == DISABLED

    assert nodes.calls == []


async def test_the_slot_of_a_key_is_told_always() -> None:
    assert (
        await FakeContext().ask(FakeClient(), b"CLUSTER", b"KEYSLOT", b"user:12345") == b":1800\r\n"
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((), b"-ERR wrong number of arguments for 'cluster' command\r\n"),
        ((b"FOO",), b"-ERR unknown subcommand 'FOO'. Try CLUSTER HELP.\r\n"),
        ((b"Info", b"x"), b"-ERR wrong number of arguments for 'cluster|info' command\r\n"),
        (
            (b"SLOT-STATS", b"x", b"y"),
            b"-ERR unknown subcommand 'SLOT-STATS'. Try CLUSTER HELP.\r\n",
        ),
    ],
)
@pytest.mark.parametrize("expose", [False, True])
async def test_name_and_arity_are_judged_first(
    words: tuple[bytes, ...], error: bytes, expose: bool
) -> None:
    ctx = FakeContext(expose_cluster=expose)

    assert await ctx.ask(FakeClient(), b"CLUSTER", *words) == error


async def test_an_exposed_cluster_is_read_at_one_node_in_the_clients_protocol() -> None:
    nodes = FakeNodes(THREE, ALL_ALIVE)
    ctx = FakeContext(nodes=nodes, expose_cluster=True)

    answer = await ctx.ask(FakeClient(id=1, resp=3), b"CLUSTER", b"shards")

    assert answer == b"+from b\r\n"
    assert nodes.calls == [("b", (b"CLUSTER", b"shards"), 3)]


@pytest.mark.parametrize(
    ("slot", "node"), [(b"0", "a"), (b"16383", "c"), (b"16384", "b"), (b"x", "b")]
)
async def test_what_only_the_owner_of_a_slot_knows_is_asked_there(slot: bytes, node: str) -> None:
    nodes = FakeNodes(THREE, ALL_ALIVE)
    ctx = FakeContext(nodes=nodes, expose_cluster=True)

    await ctx.ask(FakeClient(id=1), b"CLUSTER", b"COUNTKEYSINSLOT", slot)

    assert [call[0] for call in nodes.calls] == [node]


async def test_an_exposed_cluster_is_still_not_changed() -> None:
    nodes = FakeNodes(THREE, ALL_ALIVE)
    ctx = FakeContext(nodes=nodes, expose_cluster=True)

    answer = await ctx.ask(FakeClient(), b"CLUSTER", b"FAILOVER", b"FORCE")

    assert answer == b"-ERR 'cluster|failover' is not available through the proxy\r\n"
    assert nodes.calls == []


async def test_a_dead_node_is_not_the_only_one() -> None:
    nodes = FakeNodes(THREE, {"a": b"+from a\r\n", "c": b"+from c\r\n"})
    ctx = FakeContext(nodes=nodes)

    assert await ctx.ask(FakeClient(id=1), b"COMMAND", b"COUNT") == b"+from c\r\n"


async def test_no_node_at_all_is_said_so() -> None:
    with pytest.raises(BackendUnavailable):
        await FakeContext(nodes=FakeNodes(THREE, {})).ask(FakeClient(), b"COMMAND")
    with pytest.raises(BackendUnavailable):
        await FakeContext().ask(FakeClient(), b"LOLWUT")
