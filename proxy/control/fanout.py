"""Answer commands that concern more than one node: ask, wait, merge.

Strategy: most commands need no code here. The command table says who is asked
(``request_policy``) and how the replies become one (``merge``), which for
servers from 7.0 is the servers' own word. What has code of its own stands in
one table below. A part that failed makes the whole an error (law 5).

Cost: one task for each node asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from proxy.commands.spec import CommandSpec, Merge
from proxy.control import keyspace
from proxy.control.everyone import (
    Answer,
    all_nodes,
    all_primaries,
    ask_everyone,
    failure_of,
    serving_primaries,
)
from proxy.control.info import merge_info
from proxy.control.merges import (
    CannotMerge,
    merge_frames,
    newest_entries,
    running_or_first,
    sum_by_name,
    union,
)
from proxy.control.nodes import Nodes, Patience
from proxy.control.open_slot import expect_text
from proxy.control.scan import scan
from proxy.errors import BackendProtocolError, BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import verbatim

# Their effect on a replica is a convenience after a failover, and gone after a restart.
_REPLICAS_NEED_NOT = frozenset({b"script|load", b"script|flush"})

# What a server says that runs nothing; another's error says more.
_NOT_BUSY = b"NOTBUSY"

_DEFAULT_LOG_ENTRIES = 10  # the servers', of SLOWLOG GET


@dataclass(frozen=True, slots=True)
class Question:
    """One client's command."""

    spec: CommandSpec
    args: list[bytes]
    resp: int
    nodes: Nodes


async def fan_out(spec: CommandSpec, args: list[bytes], *, resp: int, nodes: Nodes) -> bytes:
    """Return the reply frame for the client.

    Args:
        spec: The command's row; of the subcommand, if it has one.
        args: The whole command as the client sent it, name included.
        resp: The client's protocol version, 2 or 3.
        nodes: The cluster. Its ``timeout_s`` bounds the whole.
    """
    answer = _SPECIAL.get(spec.name, _merged)
    try:
        return await answer(Question(spec, args, resp, nodes))
    except BackendUnavailable:
        return replies.unreached_cluster(nodes.timeout_s)
    except (CannotMerge, BackendProtocolError):
        return replies.replies_differ(spec.name)


async def _merged(question: Question) -> bytes:
    """Answer by request policy and response policy."""
    spec, nodes = question.spec, question.nodes
    if spec.request_policy not in {b"all_shards", b"all_nodes"}:
        return await _one_node(question)
    patience = Patience(nodes)
    answers = await _ask(question, patience)
    if spec.merge is Merge.ONE_OK:
        return _one_ok(spec.name, answers, patience)
    failure = failure_of(spec.name, answers, patience)
    return failure or merge_frames(spec.merge, [answer.frames[0] for answer in answers])


async def _ask(question: Question, patience: Patience) -> list[Answer]:
    spec = question.spec
    return await ask_everyone(
        [tuple(question.args)],
        all_nodes if spec.request_policy == b"all_nodes" else all_primaries,
        nodes=question.nodes,
        patience=patience,
        resp=question.resp,
        is_write=spec.is_write,
        needs_replicas=spec.is_write and spec.name not in _REPLICAS_NEED_NOT,
    )


def _one_ok(command: bytes, answers: Sequence[Answer], patience: Patience) -> bytes:
    """Return the first success; else what did not come; else the most telling error."""
    for answer in answers:
        if answer.error is None:
            return answer.frames[0]
    if not all(answer.is_reply for answer in answers):
        return failure_of(command, answers, patience) or b""
    errors = [answer.frames[0] for answer in answers]
    if not errors:
        return replies.never_sent(None, patience.timeout_s)
    return next((frame for frame in errors if error_code(frame) != _NOT_BUSY), errors[0])


async def _one_node(question: Question) -> bytes:
    """Answer with what any primary says: they are configured alike."""
    patience = Patience(question.nodes)
    answers = await ask_everyone(
        [tuple(question.args)],
        lambda topology: serving_primaries(topology)[:1],
        nodes=question.nodes,
        patience=patience,
        resp=question.resp,
        is_write=question.spec.is_write,
    )
    return failure_of(question.spec.name, answers, patience) or answers[0].frames[0]


def _special(merge: Callable[[list[bytes]], bytes]) -> Callable[[Question], Awaitable[bytes]]:
    """Return the answer of a command that is asked by its policy and has its own merge."""

    async def answer(question: Question) -> bytes:
        patience = Patience(question.nodes)
        answers = await _ask(question, patience)
        failure = failure_of(question.spec.name, answers, patience)
        return failure or merge([answer.frames[0] for answer in answers])

    return answer


async def _info(question: Question) -> bytes:
    patience = Patience(question.nodes)
    answers = await ask_everyone(
        [tuple(question.args)], serving_primaries, nodes=question.nodes, patience=patience
    )
    failure = failure_of(question.spec.name, answers, patience)
    if failure is not None:
        return failure
    texts = [expect_text(decode(answer.frames[0])) for answer in answers]
    return verbatim(merge_info(texts, question.nodes.own_info()), question.resp)


async def _log_entries(question: Question) -> bytes:
    limit = _log_limit(question.args)
    return await _special(lambda frames: newest_entries(frames, limit))(question)


def _log_limit(args: Sequence[bytes]) -> int | None:
    """Return how many entries SLOWLOG GET or COMMANDLOG GET asks for; None: all."""
    if len(args) < 3:
        return _DEFAULT_LOG_ENTRIES
    return int(args[2]) if args[2].isdigit() else None


_SPECIAL: dict[bytes, Callable[[Question], Awaitable[bytes]]] = {
    b"scan": lambda question: scan(question.args, nodes=question.nodes),
    b"keys": lambda question: keyspace.keys(question.args, nodes=question.nodes),
    b"dbsize": lambda question: keyspace.dbsize(nodes=question.nodes),
    b"randomkey": lambda question: keyspace.random_key(resp=question.resp, nodes=question.nodes),
    b"info": _info,
    b"function|stats": _special(running_or_first),
    b"pubsub|channels": _special(union),
    b"pubsub|shardchannels": _special(union),
    b"pubsub|numsub": _special(sum_by_name),
    b"pubsub|shardnumsub": _special(sum_by_name),
    b"slowlog|get": _log_entries,
    b"commandlog|get": _log_entries,
}
"""Commands whose answer is more than their policies say."""
