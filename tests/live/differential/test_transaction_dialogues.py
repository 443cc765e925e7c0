"""MULTI, EXEC, DISCARD, WATCH: byte for byte as a standalone server, one client or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import hiredis
import pytest
from hypothesis import given

from differential.effort import EFFORT
from differential.requests import Request, dialogues
from differential.sides import Pair
from differential.transaction_lines import DIALOGUES
from differential.transactions import compare, cut_into_transactions, parse_dialogue
from differential.watch_lines import SPLIT_DIALOGUES, WATCH_DIALOGUES
from differential.wire import RawConnection
from proxy.commands.table import compile_table
from proxy.dataplane.tables import CommandTable
from proxy.embedded import EmbeddedCluster, ProxyProcess
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

STRICT = {**DIALOGUES, **WATCH_DIALOGUES}
SPLIT = {**STRICT, **SPLIT_DIALOGUES}
OF_ONE = {name: text for name, text in STRICT.items() if "2>" not in text}


@pytest.fixture(scope="module")
def split_pair(pair: Pair, cluster: EmbeddedCluster) -> Iterator[Pair]:
    """Both sides, with a proxy that splits transactions."""
    with ProxyProcess(cluster.addresses, settings={"commands.transactions": "split"}) as proxy:
        yield Pair(pair.engine, pair.server, proxy.address)
        assert not proxy.tracebacks()


@pytest.fixture(scope="module")
def table(pair: Pair) -> CommandTable:
    """The commands of the engine."""
    reader = hiredis.Reader()
    with RawConnection(pair.server) as client:
        reader.feed(client.say(encode_command("COMMAND")))
    return CommandTable(compile_table(reader.gets()))


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", STRICT.values(), ids=STRICT.keys())
def test_a_transaction_is_answered_as_by_a_standalone_server(
    pair: Pair, dialogue: str, resp: int
) -> None:
    pair.start_afresh()

    compare(pair.server, pair.proxy, parse_dialogue(dialogue), resp=resp)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", SPLIT.values(), ids=SPLIT.keys())
def test_a_split_transaction_is_answered_as_by_a_standalone_server(
    split_pair: Pair, dialogue: str, resp: int
) -> None:
    split_pair.start_afresh()

    compare(split_pair.server, split_pair.proxy, parse_dialogue(dialogue), resp=resp)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("dialogue", OF_ONE.values(), ids=OF_ONE.keys())
def test_a_transaction_in_one_piece_is_answered_alike(pair: Pair, dialogue: str, resp: int) -> None:
    pair.start_afresh()

    compare(pair.server, pair.proxy, parse_dialogue(dialogue), resp=resp, at_once=True)


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("may_split", [False, True], ids=["strict", "split"])
@EFFORT
@given(requests=dialogues())
def test_generated_transactions_are_answered_as_by_a_standalone_server(
    pair: Pair,
    split_pair: Pair,
    table: CommandTable,
    may_split: bool,
    resp: int,
    requests: Sequence[Request],
) -> None:
    sides = split_pair if may_split else pair
    sides.start_afresh(with_data=True)

    said = [(0, each) for each in cut_into_transactions(requests, table, may_split=may_split)]

    compare(sides.server, sides.proxy, said, resp=resp, at_once=len(requests) % 2 == 0)


def test_clients_that_skip_replies_get_the_same_ones(pair: Pair) -> None:
    pair.start_afresh()
    lines = (
        *("CLIENT REPLY SKIP", "MULTI", "SET {a}k 1", "CLIENT REPLY OFF x", "EXEC", "GET {a}k"),
        *("CLIENT REPLY SKIP", "MULTI", "SET {a}k 2", "EXEC", "CLIENT REPLY OFF", "MULTI"),
        *("INCR {a}k", "EXEC", "CLIENT REPLY ON", "GET {a}k", "QUIT"),
    )
    data = b"".join(encode_command(*line.encode().split()) for line in lines)

    answers = []
    for address in (pair.server, pair.proxy):
        with RawConnection(address) as client:
            client.send(data)
            answers.append(client.receive_rest())

    assert answers[0] == answers[1]
