"""Generated dialogues where everything is pinned: equal replies, nothing refused for its slots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from differential.conftest import SETTINGS
from differential.effort import EFFORT
from differential.requests import Request, dialogues
from differential.sides import Pair
from differential.transaction_lines import DIALOGUES
from differential.transactions import compare, cut_into_transactions, parse_dialogue
from differential.watch_lines import SPLIT_DIALOGUES, WATCH_DIALOGUES
from differential.wire import RawConnection
from proxy.commands.table import compile_table
from proxy.dataplane.tables import CommandTable
from proxy.embedded import EmbeddedCluster, ProxyProcess, StandaloneServer
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

# Documented: a library of functions is not changed, so its functions see stored names.
FUNCTIONS = (b"FCALL", b"FCALL_RO")

# Documented too: a sharded channel is no key and has a slot of its own.
SPLIT = {
    name: text
    for name, text in {**DIALOGUES, **WATCH_DIALOGUES, **SPLIT_DIALOGUES}.items()
    if "SPUBLISH" not in text
}


class PinnedPair(Pair):
    """A standalone server, and a proxy with ``prefix = ""``: all keys are in one slot."""

    def _refused_by_a_cluster(self, _requests: Sequence[Request]) -> dict[Request, bytes]:
        return {}


@pytest.fixture(scope="module")
def pinned_pair(engine: str, cluster: EmbeddedCluster) -> Iterator[PinnedPair]:
    with (
        StandaloneServer(engine, settings=SETTINGS) as server,
        ProxyProcess(cluster.addresses, settings={"pin": "=all"}) as proxy,
    ):
        yield PinnedPair(engine, server.address, proxy.address)
        assert not proxy.tracebacks()


@pytest.fixture(scope="module")
def table(pinned_pair: PinnedPair) -> CommandTable:
    """The commands of the engine."""
    reader = hiredis.Reader()
    with RawConnection(pinned_pair.server) as client:
        reader.feed(client.say(encode_command("COMMAND")))
    return CommandTable(compile_table(reader.gets()))


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(
    requests=dialogues(),
    with_data=st.sampled_from([False, True, True]),
    cuts=st.none() | st.lists(st.integers(0, 1 << 20), max_size=8),
)
def test_a_dialogue_over_any_keys_is_that_of_a_standalone_server(
    pinned_pair: PinnedPair,
    resp: int,
    requests: list[Request],
    with_data: bool,
    cuts: list[int] | None,
) -> None:
    requests = [request for request in requests if request.args[0].upper() not in FUNCTIONS]

    pinned_pair.compare_afresh(requests, with_data=with_data, resp=resp, cuts=cuts)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", SPLIT.values(), ids=SPLIT.keys())
def test_a_transaction_over_any_keys_is_one_piece(
    pinned_pair: PinnedPair, dialogue: str, resp: int
) -> None:
    pinned_pair.start_afresh()

    compare(pinned_pair.server, pinned_pair.proxy, parse_dialogue(dialogue), resp=resp)


@pytest.mark.parametrize("resp", [2, 3])
@EFFORT
@given(requests=dialogues())
def test_generated_transactions_over_any_keys_are_those_of_a_standalone_server(
    pinned_pair: PinnedPair, table: CommandTable, resp: int, requests: list[Request]
) -> None:
    requests = [request for request in requests if request.args[0].upper() not in FUNCTIONS]
    pinned_pair.start_afresh(with_data=True)

    said = [(0, each) for each in cut_into_transactions(requests, table, may_split=True)]

    compare(pinned_pair.server, pinned_pair.proxy, said, resp=resp, at_once=len(requests) % 2 == 0)
