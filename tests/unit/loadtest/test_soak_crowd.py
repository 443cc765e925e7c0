"""The clients of a soak against a server made by hand: who is answered wrongly says so."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from soaking import crowd as crowd_module
from soaking.crowd import Crowd, repeat
from soaking.guest import WrongAnswer, difference
from soaking.repertoire import TOPICS, WHOLE, common_script, steady_script
from soaking.steps import (
    Ask,
    Dialogue,
    EndInput,
    Hear,
    HearSome,
    Say,
    Stay,
    Tell,
    TurnDeaf,
    Vanish,
)
from soaking.visits import MANNERS, Host, next_visit

from proxy.cluster.slots import key_slot
from proxy.cluster.topology import Address

PING = Ask(b"PING\r\n", b"+PONG\r\n", 1)
DEADLINE_S = 10.0

Answer = Callable[[bytes], bytes]
"""From a line to what is said to it; empty ends the connection."""


class Server:
    """Answers each line on each connection, by a thread of its own."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.address = Address(*self._listener.getsockname())
        self.heard: list[bytes] = []
        self.threads = [threading.Thread(target=self._welcome, daemon=True)]
        self.threads[0].start()

    def _welcome(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    self.heard.append(line)
                    if not (said := self._answer(line)):
                        return
                    connection.sendall(said)
            except OSError:
                self.heard.append(b"reset")

    def close(self) -> None:
        """End, and wait until all threads have. May be called again."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for thread in self.threads:
            thread.join(DEADLINE_S)


def pong(_line: bytes) -> bytes:
    return b"+PONG\r\n"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    with ExitStack() as stack:

        def start(answer: Answer) -> Server:
            server = Server(answer)
            stack.callback(server.close)
            return server

        yield start


def run(server: Server, visit: Callable[[], Dialogue], commands: int = 20, size: int = 3) -> Crowd:
    """Run a round with one steady client and three visitors."""
    with Crowd(
        server.address, [repeat([PING])], size=size, next_visit=lambda number: visit()
    ) as crowd:
        crowd.run(commands, on_tick=lambda: None)
    return crowd


def asks() -> Dialogue:
    yield PING


def test_a_round_ends_when_all_is_sent_and_answered(serve: Callable[[Answer], Server]) -> None:
    server = serve(pong)

    crowd = run(server, asks)
    server.close()

    assert crowd.commands >= 20
    assert crowd.visits >= 3
    assert len(server.heard) == crowd.commands


def test_a_round_goes_on_while_something_lasts(serve: Callable[[Answer], Server]) -> None:
    server = serve(pong)
    looks = iter(range(100))

    with Crowd(server.address, [repeat([PING])], size=0, next_visit=lambda _n: asks()) as crowd:
        crowd.run(1, on_tick=lambda: None, is_busy=lambda: next(looks) < 50)

        assert crowd.commands >= 50 / 2
        assert crowd.connections == 2  # whoever stays, and whoever is told


def manners() -> Dialogue:
    yield PING
    yield Stay(2)
    yield Tell(b"push\r\n", b"+PONG\r\n")
    yield Say(b"one\r\ntwo\r\n", 2)
    yield Hear(b"+PONG\r\n+PONG\r\n")


def half_closed() -> Dialogue:
    yield Say(b"one\r\n", 1)
    yield EndInput()
    yield Hear(b"+PONG\r\n", is_last=True)


def rude() -> Dialogue:
    yield Say(b"some\r\n", 1)
    yield HearSome()


def deaf() -> Dialogue:
    yield TurnDeaf()
    yield Say(b"one\r\n", 1)
    yield Stay(3)
    yield Vanish()


@pytest.mark.parametrize("visit", [manners, half_closed, rude, deaf])
def test_visitors_come_and_go_as_they_like(
    visit: Callable[[], Dialogue], serve: Callable[[Answer], Server]
) -> None:
    crowd = run(serve(pong), visit, commands=1000)

    assert crowd.commands >= 1000
    assert crowd.visits >= 3


def too_much(line: bytes) -> bytes:
    return b"+PONG\r\n+MORE\r\n" if line == b"odd\r\n" else b"+PONG\r\n"


def other(line: bytes) -> bytes:
    return b"+PANG\r\n" if line == b"odd\r\n" else b"+PONG\r\n"


def nothing(line: bytes) -> bytes:
    return b"" if line == b"odd\r\n" else b"+PONG\r\n"


def odd() -> Dialogue:
    yield Ask(b"odd\r\n", b"+PONG\r\n", 1)
    yield Stay(10**9)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (too_much, "MORE"),
        (other, r"after 2 right bytes came b'\+PANG"),
        (nothing, "was ended|broke"),
    ],
)
def test_a_wrong_answer_ends_the_soak(
    answer: Answer, complaint: str, serve: Callable[[Answer], Server]
) -> None:
    server = serve(answer)

    with pytest.raises(WrongAnswer, match=rf"odd, after b'odd\\r\\n': .*({complaint})"):
        run(server, odd, commands=10**9)


def waits() -> Dialogue:
    yield Ask(b"PING\r\n", b"+PONG\r\n+PONG\r\n", 2)


def test_an_answer_that_does_not_come_ends_the_soak(
    serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd_module, "ANSWER_DEADLINE_S", 0.2)
    monkeypatch.setattr(crowd_module, "TICK_S", 0.01)

    with pytest.raises(WrongAnswer, match=r"waits, after .*no answer: reply, b'\+PONG"):
        run(serve(pong), waits, commands=10**9)


def test_a_difference_shows_both_sides() -> None:
    assert difference(b"abcd", b"abxd") == "after 2 right bytes came b'abxd' instead of b'abcd'"
    assert difference(b"ab", b"abcd").startswith("after 2 right bytes came b'abcd'")


# ---- what they say --------------------------------------------------------------------------


def test_a_script_is_cut_where_the_proxy_holds_nothing_for_the_client() -> None:
    pieces = steady_script("own", 3000, 10, is_big=True, seed=3)
    alone = steady_script("own", 3000, 1, is_big=False, seed=3)

    for request, count in pieces:
        # GETDEL, then the watch, is the middle of the one topic that opens transactions.
        assert request.count(b"MULTI\r\n") == 4 * request.count(b"WATCH\r\n")
        assert request.count(b"\r\nSUBSCRIBE\r\n") == request.count(b"\r\nUNSUBSCRIBE\r\n")
        assert count >= 3
    assert {count for _, count in alone} == {1}
    assert not any(b"MULTI" in request or b"SUBSCRIBE" in request for request, _ in alone)


def test_two_clients_share_no_key() -> None:
    scripts = [
        "".join(map(repr, steady_script(own, 2000, 10, is_big=True, seed=1))) for own in "pq"
    ]

    assert "p:s" in scripts[0]
    assert "p:s" not in scripts[1]


def test_topics_and_manners_all_occur() -> None:
    assert set(TOPICS) > WHOLE
    host = Host([Ask(*piece) for piece in [(b"x", b"y", 1)]], 1000, random.Random(1))
    met = {next_visit(host, number).__name__ for number in range(3000)}
    assert met == {manner.__name__ for manner in MANNERS}


def test_common_scripts_write_one_value_to_a_key() -> None:
    values: dict[bytes, bytes] = {}
    for seed in range(300):
        request, _ = common_script(seed)
        words = request.split(b"\r\n")[2::2]
        for key, value in zip(words[1:11:2], words[2:12:2], strict=True):
            assert values.setdefault(key, value) == value


def test_what_a_failover_may_change_is_in_the_first_of_three_shards() -> None:
    assert key_slot(b"{b}anything") < 16384 // 3
