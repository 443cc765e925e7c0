"""XREADGROUP over several slots, of which one fails: what was delivered is not kept back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from transaction_specs import spec_of

from proxy.cluster.slots import key_slot
from proxy.dataplane.lane import Lane
from proxy.resp.encode import array, bulk, error
from proxy.sessions.across_parts import read_streams
from proxy.sessions.across_plan import Key
from proxy.sessions.across_work import Budget, Work

KEYS = (b"{a}", b"{b}", b"{c}")
DOWN = error(b"CLUSTERDOWN The cluster is down")
NOTHING = b"*-1\r\n"


def entry_of(key: bytes) -> bytes:
    """Return what one stream's part says when it has an entry."""
    entry = array([bulk(b"1-0"), array([bulk(b"f"), bulk(b"v")])])
    return array([array([bulk(key), array([entry])])])


class Nodes:
    """Answers each stream's part as a test says, and everything else as if all were well."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self.answers = answers

    async def ask(self, lane: Lane, slot: int, *args: bytes, is_write: bool = True) -> bytes:
        return self.answers[args[-2]] if args[0].startswith(b"XREAD") else NOTHING

    async def ask_block(
        self, lane: Lane, slot: int, commands: Sequence[tuple[bytes, ...]], is_write: bool = True
    ) -> list[bytes]:
        return [array([NOTHING] * len(commands))]


def read(line: str, answers: dict[bytes, bytes]) -> bytes:
    """Return the reply to a request whose parts are answered so."""
    args = line.encode().split()
    first = args.index(b"STREAMS") + 1
    work = Work(
        spec_of(line),
        args,
        tuple(Key(first + n, key, key_slot(key), False) for n, key in enumerate(KEYS)),
        Lane(2),
        Lane(2),
        Nodes(answers),
        1 << 20,
        Budget(1 << 20),
        print,
    )
    return trio.run(read_streams, work)


@pytest.mark.parametrize(
    ("answers", "reply"),
    [
        ([entry_of(b"{a}"), DOWN, NOTHING], entry_of(b"{a}")),
        ([DOWN, NOTHING, NOTHING], DOWN),
        ([NOTHING, NOTHING, NOTHING], NOTHING),
    ],
    ids=["delivered", "failed", "empty"],
)
def test_what_a_group_has_delivered_is_the_reply_although_another_slot_failed(
    answers: list[bytes], reply: bytes
) -> None:
    line = "XREADGROUP GROUP g c STREAMS {a} {b} {c} > > >"

    assert read(line, dict(zip(KEYS, answers, strict=True))) == reply


def test_of_a_read_that_notes_nothing_the_error_is_the_reply() -> None:
    answers = dict(zip(KEYS, [entry_of(b"{a}"), DOWN, NOTHING], strict=True))

    assert read("XREAD STREAMS {a} {b} {c} 0 0 0", answers) == DOWN
