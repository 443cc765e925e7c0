"""The two sides, a standalone server and the proxy before a cluster, and how they are compared.

Strategy: every dialogue is held with both, over fresh connections to empty servers.
Which requests a cluster must refuse because their keys lie in several slots is
decided by the standalone server's own ``COMMAND GETKEYS``; those go to the proxy
only, so that the data stay the same, and its answer must be the documented one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from differential.requests import Request, opening, shown
from differential.tolerances import NO_ANSWER, tolerated
from differential.wire import NoReply, RawConnection, parse_frame
from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Address
from proxy.resp import replies
from proxy.resp.encode import encode_command
from proxy.resp.replies_across import cross_slot_by_setting

SCRIPTS = frozenset({b"EVAL", b"EVAL_RO", b"EVALSHA", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"})
SPLIT = frozenset({b"MGET", b"MSET", b"DEL", b"UNLINK", b"EXISTS", b"TOUCH", b"MSETEX"})


@dataclass(frozen=True, slots=True)
class _Found:
    """A request that was answered differently."""

    place: int
    report: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A standalone server and a proxy before a cluster of the same engine."""

    engine: str
    server: Address
    proxy: Address

    def start_afresh(self, *, with_data: bool = False) -> None:
        """Empty both sides, of data, scripts and functions; then perhaps put the same data in."""
        for address in (self.server, self.proxy):
            with RawConnection(address) as admin:
                for words in (("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH")):
                    answer = admin.say(encode_command(*words))
                    assert answer == b"+OK\r\n", f"{words} at {address}: {answer!r}"
                if with_data:
                    _converse(admin, opening(), cuts=())

    def compare(
        self, requests: Sequence[Request], *, resp: int = 2, cuts: Sequence[int] | None = None
    ) -> None:
        """Hold a dialogue with both sides and assert that the answers are equal.

        Args:
            requests: Each with one answer (not CLIENT REPLY OFF).
            resp: The protocol version that the client says HELLO with; 2 says nothing.
            cuts: None: each request waits for the answer to the one before. Else all
                are sent at once, in pieces that end at these places.
        """
        __tracebackhide__ = True
        found = self._first_difference(requests, resp, cuts)
        assert found is None, found.report

    def compare_afresh(
        self,
        requests: Sequence[Request],
        *,
        with_data: bool,
        resp: int,
        cuts: Sequence[int] | None = None,
    ) -> None:
        """Start afresh and compare; of a dialogue that fails, show only what is needed for it."""
        __tracebackhide__ = True

        def attempt(dialogue: Sequence[Request]) -> _Found | None:
            self.start_afresh(with_data=with_data)
            return self._first_difference(dialogue, resp, cuts)

        found = attempt(requests)
        if found is None:
            return
        # Hypothesis would try for minutes; this takes seconds.
        needed = list(requests[: found.place + 1])
        for place in reversed(range(found.place)):
            shorter = [*needed[:place], *needed[place + 1 :]]
            still = attempt(shorter)
            if still is not None and still.place == len(shorter) - 1:
                needed, found = shorter, still
        raise AssertionError(found.report + "\n  with the data of families.OPENING" * with_data)

    def _first_difference(
        self, requests: Sequence[Request], resp: int, cuts: Sequence[int] | None
    ) -> _Found | None:
        greeting = [Request((b"HELLO", b"3"))] if resp == 3 else []
        said = [*greeting, *requests]
        with RawConnection(self.server) as server, RawConnection(self.proxy) as proxy:
            refused = self._refused_by_a_cluster(said)
            shared = [request for request in said if request not in refused]
            expected = iter(_converse(server, shared, cuts))
            answers = _converse(proxy, said, cuts)
        for place, (request, got) in enumerate(zip(said, answers, strict=True)):
            wanted = refused.get(request) or next(expected)
            if not tolerated(request.args, wanted, got):
                report = self._report(said, place, wanted, got, resp, cuts)
                return _Found(place - len(greeting), report)
        return None

    def _refused_by_a_cluster(self, requests: Sequence[Request]) -> dict[Request, bytes]:
        """Return what the proxy must say to requests whose keys lie in several slots."""
        refused = {}
        with RawConnection(self.server) as admin:
            admin.send(
                b"".join(encode_command("COMMAND", "GETKEYS", *each.args) for each in requests)
            )
            for request in requests:
                found = parse_frame(admin.receive())
                assert found is not None
                slots = {key_slot(key.text) for key in found[0].items or ()}
                name = request.args[0]
                if len(slots) > 1 and not _is_split(request.args):
                    refused[request] = (
                        replies.cross_slot(name.lower())
                        if name.upper() in SCRIPTS
                        else cross_slot_by_setting(name.lower(), needed=b"all")
                    )
        return refused

    def _report(
        self,
        said: Sequence[Request],
        place: int,
        wanted: bytes,
        got: bytes,
        resp: int,
        cuts: Sequence[int] | None,
    ) -> str:
        how = "one at a time" if cuts is None else f"at once, cut at {list(cuts)}"
        before = [f"    {shown(request.wire)}" for request in said[:place]]
        return "\n".join(
            [
                f"{self.engine}, RESP{resp}, {how}: another answer to request {place + 1}",
                f"  sent    {shown(said[place].wire)}",
                f"  server  {shown(wanted)}",
                f"  proxy   {shown(got)}",
                "  after" if before else "  at the beginning",
                *before,
            ]
        )


def _is_split(args: tuple[bytes, ...]) -> bool:
    name = args[0].upper()
    if name == b"MSETEX":
        return not {b"NX", b"XX"} & {arg.upper() for arg in args}
    return name in SPLIT


def _converse(
    connection: RawConnection, requests: Sequence[Request], cuts: Sequence[int] | None
) -> list[bytes]:
    """Return the answers to all requests; where none comes, why, and nothing from there on."""
    answers: list[bytes] = []
    try:
        if cuts is not None:
            connection.send(b"".join(request.wire for request in requests), cuts)
        for request in requests:
            if cuts is None:
                connection.send(request.wire)
            answers.append(connection.receive())
    except (NoReply, OSError, ValueError) as problem:
        why = b"%b%b>" % (NO_ANSWER, str(problem).encode())
        answers += [why] * (len(requests) - len(answers))
    return answers
