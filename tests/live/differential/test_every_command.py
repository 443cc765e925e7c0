"""Every command that the connected servers have: as a standalone server, or a documented refusal.

The proxy is asked first, so what it refuses never reaches the standalone server:
SHUTDOWN and its like are called here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from differential.documented import Command, described_commands
from differential.grammar import Words
from differential.requests import Request, shown
from differential.sides import Pair
from differential.tolerances import tolerated
from differential.vocabulary import TAGS
from differential.wire import NoReply, RawConnection, parse_whole
from proxy.cluster.topology import Address
from proxy.resp import replies
from proxy.resp.encode import encode_command

pytestmark = pytest.mark.live

# What they answer depends on whether the last one has ended; test_administration.py has them.
SAVES = {(b"save",), (b"bgsave",), (b"bgrewriteaof",)}

MANNERS: dict[str, Callable[[Command], Words]] = {
    "what must be there": lambda command: command.call(with_options=False),
    "every option": lambda command: command.call(with_options=True),
    "nothing but its name": lambda command: command.name,
    "more words than it takes": lambda command: (
        *command.call(with_options=False),
        *(b"{a}extra", b"{a}extra", b"{a}extra"),
    ),
    "an unknown subcommand": lambda command: (*command.name, b"nosuch", b"word"),
}


# What leaves no reply to the probes, or one for each word.
ENDLESS = frozenset(
    {b"monitor", b"psubscribe", b"punsubscribe", b"quit", b"ssubscribe", b"subscribe"}
    | {b"sunsubscribe", b"unsubscribe"}
)


def refusals(name: Words) -> set[bytes]:
    """Return what the proxy may say instead of running a command, from its documented errors."""
    command = b"|".join(name)
    return {
        replies.denied(command),
        replies.needs_session(command),
        replies.unsupported(command),
    }


def answer(address: Address, resp: int, args: Words) -> bytes:
    """Return the reply to a request; what happened to the connection is added if it was lost."""
    with RawConnection(address) as connection:
        if resp == 3:
            connection.say(encode_command("HELLO", "3"))
        try:
            reply = connection.say(encode_command(*args))
        except NoReply as problem:
            return f"<{problem}>".encode()
        try:
            echo = connection.say(encode_command("ECHO", "still here"))
        except NoReply:
            return reply + b"<closed>"
        return reply if echo == b"$10\r\nstill here\r\n" else reply + b"<then %b>" % echo


def commands_of(pair: Pair) -> list[Command]:
    """Return every command and subcommand that the servers describe, in an order of ours."""
    with RawConnection(pair.server) as server:
        docs = parse_whole(server.say(encode_command("COMMAND", "DOCS")))
    return sorted(described_commands(docs), key=lambda command: command.name)


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("resp", [2, 3])
def test_every_command_is_answered_as_by_a_standalone_server_or_refused_in_documented_words(
    pair: Pair, resp: int, manner: str
) -> None:
    pair.start_afresh(with_data=True)
    differences = []

    for command in commands_of(pair):
        if manner == "an unknown subcommand" and not command.is_container:
            continue
        if command.name in SAVES:
            continue
        args = MANNERS[manner](command)
        got = answer(pair.proxy, resp, args)
        if got in refusals(command.name):
            continue
        expected = answer(pair.server, resp, args)
        if not tolerated(args, expected, got):
            differences.append(
                f"sent    {shown(Request(args).wire)}\n  server  {shown(expected)}\n"
                f"  proxy   {shown(got)}"
            )

    assert not differences, f"{len(differences)} differences\n" + "\n".join(differences)


def test_a_line_end_in_an_argument_never_becomes_a_reply_of_its_own(pair: Pair) -> None:
    # Clients share connections to the nodes, so it would be the reply to somebody else.
    pair.start_afresh(with_data=True)
    probes = [encode_command("STRLEN", tag + b"nothing") for tag in TAGS]

    for command in commands_of(pair):
        if command.name[0] in ENDLESS:
            continue
        for args in with_a_line_end(command):
            with RawConnection(pair.proxy) as client:
                client.send(encode_command(*args) + b"".join(probes))
                _, *answers = (client.receive() for _ in range(1 + len(probes)))
            assert answers == [b":0\r\n"] * len(probes), args


def with_a_line_end(command: Command) -> Iterator[Words]:
    """Yield calls of a command that have, in one place each, two lines for a word."""
    for with_options in (False, True):
        args = command.call(with_options=with_options)
        for place in range(len(command.name), len(args) + 1):
            yield (*args[:place], b"two\r\n+LINES", *args[place + 1 :])
