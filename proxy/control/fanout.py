"""Answer commands that concern more than one node: ask, wait, merge.

Strategy: most commands need no code here. The command table says who is asked
(``request_policy``) and how the replies become one (``merge``), which for
servers from 7.0 is the servers' own word. What has code of its own stands in
one table below. A part that failed makes the whole an error (law 5).

Cost: one task for each node asked.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Node
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
    running_or_first,
)
from proxy.control.nodes import Nodes, Patience
from proxy.control.open_slot import expect_text
from proxy.control.reports import (
    event_history,
    histograms,
    latest_events,
    memory_stats,
    newest_entries,
    security_entries,
    texts,
    without_passwords,
)
from proxy.control.scan import scan
from proxy.errors import BackendGivenUp, BackendProtocolError, BackendUnavailable
from proxy.resp import replies
from proxy.resp.decode import decode, error_code
from proxy.resp.encode import verbatim

# Their effect on a replica is a convenience after a failover, and gone after a restart.
_REPLICAS_NEED_NOT = frozenset({b"script|load", b"script|flush"})

# The script that they are about is in front of them on the clients' own connection.
_ABOUT_WHAT_RUNS = frozenset({b"script|kill", b"function|kill", b"function|stats"})

# What a server says that runs nothing; another's error says more.
_NOT_BUSY = b"NOTBUSY"

_DEFAULT_LOG_ENTRIES = 10  # the servers', of SLOWLOG GET

_DEBUG_OF_A_KEY = frozenset(
    {b"object", b"sdslen", b"ziplist", b"listpack", b"quicklist", b"htstats-key", b"stream"}
)


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
    except BackendGivenUp as problem:
        return problem.error
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
        aside=spec.name in _ABOUT_WHAT_RUNS,
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

    def is_given_up(node: Node) -> bool:
        return question.nodes.given_up(node) is not None

    answers = await ask_everyone(
        [tuple(question.args)],
        lambda topology: sorted(serving_primaries(topology), key=is_given_up)[:1],
        nodes=question.nodes,
        patience=patience,
        resp=question.resp,
        is_write=question.spec.is_write,
    )
    return failure_of(question.spec.name, answers, patience) or answers[0].frames[0]


async def _settings(question: Question) -> bytes:
    """Answer CONFIG GET: the nodes' passwords are the proxy's, and no client's to read."""
    return without_passwords(await _one_node(question))


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
    patience = Patience(question.nodes)
    answers = await _ask(question, patience)
    failure = failure_of(question.spec.name, answers, patience)
    frames = [answer.frames[0] for answer in answers]
    marks = [crc_hqx(answer.node.id.encode(), 0) for answer in answers]
    return failure or newest_entries(frames, _log_limit(question.args), marks)


async def _security_log(question: Question) -> bytes:
    """Answer ACL LOG: the entries of all nodes, or that all have been dropped."""
    args = question.args
    limit = _DEFAULT_LOG_ENTRIES if len(args) < 3 or not args[2].isdigit() else int(args[2])

    def merge(frames: list[bytes]) -> bytes:
        return security_entries(frames, limit) if frames[0].startswith(b"*") else frames[0]

    return await _special(merge)(question)


def _log_limit(args: Sequence[bytes]) -> int | None:
    """Return how many entries SLOWLOG GET or COMMANDLOG GET asks for; None: all."""
    if len(args) < 3:
        return _DEFAULT_LOG_ENTRIES
    return int(args[2]) if args[2].isdigit() else None


async def _histograms(question: Question) -> bytes:
    return await _special(lambda frames: histograms(frames, question.resp))(question)


async def _memory_stats(question: Question) -> bytes:
    return await _special(lambda frames: memory_stats(frames, question.resp))(question)


async def _texts(question: Question) -> bytes:
    """Answer with the reports of all nodes that have one; LATENCY GRAPH is an error elsewhere."""
    patience = Patience(question.nodes)
    answers = await _ask(question, patience)
    good = [answer for answer in answers if answer.error is None]
    if not good or not all(answer.is_reply for answer in answers):
        return failure_of(question.spec.name, answers, patience) or b""
    addresses = [str(answer.node.address) for answer in good]
    return texts([answer.frames[0] for answer in good], addresses, question.resp)


async def _debug(question: Question) -> bytes:
    """Answer DEBUG, where it is allowed: by the node that has the key, or by every shard."""
    args, nodes = question.args, question.nodes
    if len(args) > 2 and args[1].lower() in _DEBUG_OF_A_KEY:
        owner = nodes.topology.owner(key_slot(args[2]))
        if owner is None:
            return replies.never_sent(key_slot(args[2]), nodes.timeout_s)
        return await nodes.call(owner, *args, resp=question.resp)
    patience = Patience(nodes)
    answers = await _ask(question, patience)
    return failure_of(question.spec.name, answers, patience) or answers[0].frames[0]


_SPECIAL: dict[bytes, Callable[[Question], Awaitable[bytes]]] = {
    b"scan": lambda question: scan(question.args, nodes=question.nodes),
    b"keys": lambda question: keyspace.keys(question.args, nodes=question.nodes),
    b"dbsize": lambda question: keyspace.dbsize(nodes=question.nodes),
    b"randomkey": lambda question: keyspace.random_key(resp=question.resp, nodes=question.nodes),
    b"info": _info,
    b"config|get": _settings,
    b"function|stats": _special(running_or_first),
    b"acl|log": _security_log,
    b"slowlog|get": _log_entries,
    b"commandlog|get": _log_entries,
    b"latency|latest": _special(latest_events),
    b"latency|history": _special(event_history),
    b"latency|histogram": _histograms,
    b"latency|doctor": _texts,
    b"latency|graph": _texts,
    b"memory|stats": _memory_stats,
    b"memory|doctor": _texts,
    b"memory|malloc-stats": _texts,
    b"debug": _debug,
}
"""Commands whose answer is more than their policies say."""
