"""SCRIPT LOAD, FLUSH and EXISTS: on every node, and in the proxy's own book of scripts.

Strategy: the nodes are asked as for any command of theirs; what they say is the reply. The
book learns from it. EXISTS is true of what EVALSHA would find, and that is also what only
the book has: it is brought to all nodes before they are asked for the last time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from proxy.commands.spec import CommandSpec
from proxy.control.everyone import all_primaries, ask_everyone
from proxy.control.fanout import fan_out
from proxy.control.nodes import Nodes, Patience
from proxy.control.scripts import ScriptBook
from proxy.resp.decode import decode, error_code

ScriptCommand = Callable[[CommandSpec, list[bytes], int, Nodes, ScriptBook], Awaitable[bytes]]


async def _load(
    spec: CommandSpec, args: list[bytes], resp: int, nodes: Nodes, book: ScriptBook
) -> bytes:
    reply = await fan_out(spec, args, resp=resp, nodes=nodes)
    if error_code(reply) is None:
        book.note_everywhere(args[2])
    return reply


async def _flush(
    spec: CommandSpec, args: list[bytes], resp: int, nodes: Nodes, book: ScriptBook
) -> bytes:
    if [word.upper() for word in args[2:]] in ([], [b"SYNC"], [b"ASYNC"]):
        book.forget_all()
    return await fan_out(spec, args, resp=resp, nodes=nodes)


async def _exists(
    spec: CommandSpec, args: list[bytes], resp: int, nodes: Nodes, book: ScriptBook
) -> bytes:
    reply = await fan_out(spec, args, resp=resp, nodes=nodes)
    there = decode(reply)
    if not isinstance(there, list):
        return reply
    lacking = [sha for sha, found in zip(args[2:], there, strict=True) if not found]
    bodies = {body: None for sha in lacking if (body := book.body_of(sha)) is not None}
    if not bodies:
        return reply
    await ask_everyone(
        [(b"SCRIPT", b"LOAD", body) for body in bodies],
        all_primaries,
        nodes=nodes,
        patience=Patience(nodes),
        resp=resp,
    )
    return await fan_out(spec, args, resp=resp, nodes=nodes)


SCRIPT_COMMANDS: dict[bytes, ScriptCommand] = {
    b"script|load": _load,
    b"script|flush": _flush,
    b"script|exists": _exists,
}
"""Commands of Road.FAN_OUT that the book of scripts has a part in."""
