"""Rows of commands that can be split, keys of three nodes, and answers to the parts."""

from __future__ import annotations

from switchboard import Answer, Switchboard, key_count, key_range, spec_of

from proxy.commands.spec import CommandSpec, Merge, Road
from proxy.resp.encode import array, bulk


def split_spec(name: bytes, merge: Merge, **more: object) -> CommandSpec:
    """Return the row of a command whose keys are all its arguments."""
    return spec_of(name, key_range(1, -1), arity=-2, road=Road.SPLIT, merge=merge, **more)


SPECS = [
    spec_of(b"get", key_range(), arity=2, is_write=False),
    spec_of(b"set", key_range(), arity=-3),
    spec_of(b"rename", key_range(1, 1), arity=3),
    split_spec(b"mget", Merge.ARRAY, is_write=False),
    split_spec(b"del", Merge.SUM),
    split_spec(b"all", Merge.AND),
    split_spec(b"any", Merge.OR),
    split_spec(b"least", Merge.MIN),
    split_spec(b"most", Merge.MAX),
    split_spec(b"check", Merge.ALL_OK),
    spec_of(b"mset", key_range(1, -1, 2), arity=-3, road=Road.SPLIT, merge=Merge.ALL_OK),
    spec_of(
        b"msetex",
        key_count(1, 0, 1, 2),
        arity=-4,
        road=Road.SPLIT,
        merge=Merge.ALL_OK,
        unsplittable_if=(b"NX", b"XX"),
    ),
    spec_of(b"x.mget", key_range(2, -2), arity=-4, road=Road.SPLIT, merge=Merge.ARRAY),
]

# Of nodes 0, 1 and 2, as slot % 3 has it; two of them each, in two slots.
NODE_0 = [b"k5", b"k7"]
NODE_1 = [b"k1", b"k3"]
NODE_2 = [b"k0", b"k2"]


def answer_all(board: Switchboard, answer: Answer) -> None:
    """Let every node answer so."""
    for node in board.nodes:
        node.answer = answer


def sent(board: Switchboard) -> list[list[list[bytes]]]:
    """Return what each node was sent."""
    return [node.requests for node in board.nodes]


def keys_as_values(args: list[bytes]) -> bytes:
    """Answer MGET with the keys themselves."""
    return array([bulk(key) for key in args[1:]])
