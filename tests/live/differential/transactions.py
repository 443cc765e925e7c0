"""Dialogues about transactions: said to both sides, and how far EXEC's arrays may differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from differential.requests import Request, shown
from differential.sides import SPLIT
from differential.tolerances import tolerated
from differential.wire import NoReply, RawConnection, parse_frame
from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Address
from proxy.commands.spec import Road
from proxy.dataplane.tables import CommandTable
from proxy.resp.encode import encode_command
from proxy.resp.inline import split_inline

MULTI, EXEC = Request((b"MULTI",)), Request((b"EXEC",))
QUEUED = b"+QUEUED\r\n"


def cut_into_transactions(
    requests: Sequence[Request], table: CommandTable, *, may_split: bool
) -> list[Request]:
    """Return a dialogue in which commands run in transactions, as far as their keys allow.

    A fan-out is the first of its transaction, where it runs before the others. What
    needs several slots and is not split is left out.
    """
    cut: list[Request] = []
    slot: int | None = None
    length = 0

    def close() -> None:
        nonlocal slot, length
        if length:
            cut.append(EXEC)
        slot, length = None, 0

    for request in requests:
        row, places = table.key_places(*request.args)
        slots = {key_slot(request.args[place]) for place in places}
        if len(slots) > 1 and not (may_split and request.args[0].upper() in SPLIT):
            continue
        is_fan_out = row is not None and row.spec.road is Road.FAN_OUT
        is_elsewhere = not may_split and bool(slots) and slot not in (None, *slots)
        if is_fan_out or is_elsewhere or length == 8:
            close()
        if not length:
            cut.append(MULTI)
        cut.append(request)
        length += 1
        slot = slots.pop() if slots and slot is None else slot
    close()
    return cut


def elements(reply: bytes) -> Iterator[bytes] | None:
    """Yield the raw elements of an array; None: it is something else."""
    if not reply.startswith(b"*") or reply.startswith(b"*-"):
        return None
    return _elements(reply)


def _elements(reply: bytes) -> Iterator[bytes]:
    at = reply.index(b"\r\n") + 2
    while at < len(reply):
        found = parse_frame(reply, at)
        assert found is not None
        yield reply[at : found[1]]
        at = found[1]


def differences(
    said: Sequence[Request], expected: Sequence[bytes], got: Sequence[bytes]
) -> Iterator[tuple[int, Request, bytes, bytes]]:
    """Yield each request that was answered differently, its reply's place, and both answers.

    An element of EXEC's array may differ as far as the reply to its command may.
    """
    queue: list[Request] = []
    for place, (request, wanted, answer) in enumerate(zip(said, expected, got, strict=True)):
        name = request.args[0].upper()
        if name == b"MULTI":
            queue = []
        elif wanted == QUEUED:
            queue.append(request)
        pairs = [(request, wanted, answer)]
        if name == b"EXEC" and wanted != answer:
            each, other = elements(wanted), elements(answer)
            if each is not None and other is not None:
                found = list(each), list(other)
                if len(queue) == len(found[0]) == len(found[1]):
                    pairs = list(zip(queue, *found, strict=True))
        for asked, one, another in pairs:
            if not tolerated(asked.args, one, another):
                yield place, asked, one, another


Said = list[tuple[int, Request]]


def parse_dialogue(text: str) -> Said:
    """Return who says what."""
    said = []
    for line in text.strip().splitlines():
        words = split_inline(line.strip().encode())
        assert words
        who = 1 if words[0] == b"2>" else 0
        said.append((who, Request(tuple(words[who:]))))
    return said


def converse(address: Address, said: Said, *, resp: int, at_once: bool = False) -> list[bytes]:
    """Return the answers to a dialogue of two clients; at once: of the first alone."""
    answers: list[bytes] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(RawConnection(address)) for _ in range(2)]
        if resp == 3:
            for client in clients:
                client.say(encode_command("HELLO", 3))
        if at_once:
            clients[0].send(b"".join(request.wire for _, request in said))
        for who, request in said:
            if not at_once:
                clients[who].send(request.wire)
            try:
                answers.append(clients[who].receive())
            except (NoReply, OSError) as problem:
                answers.append(f"<{problem}>".encode())
    return answers


def compare(
    server: Address, proxy: Address, said: Said, *, resp: int = 2, at_once: bool = False
) -> None:
    """Hold a dialogue with both sides and assert that the answers are equal."""
    __tracebackhide__ = True
    requests = [request for _, request in said]
    expected, got = (
        converse(address, said, resp=resp, at_once=at_once) for address in (server, proxy)
    )
    for place, request, wanted, answer in differences(requests, expected, got):
        begins = max((at for at in range(place) if requests[at] == MULTI), default=0)
        lines = [f"{who + 1}> {request!r}" for who, request in said[begins : place + 1]]
        report = [f"to {request!r}", f"server {shown(wanted)}", f"proxy  {shown(answer)}"]
        raise AssertionError("\n".join([f"RESP{resp}", *report, "in", *lines]))
