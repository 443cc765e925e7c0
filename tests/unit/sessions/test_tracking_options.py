"""CLIENT TRACKING's options: what servers take, and what they say to the rest of it."""

from __future__ import annotations

import pytest
from session_fakes import FakeClient, FakeContext

from proxy.sessions.tracking_options import (
    Tracking,
    describe_tracking,
    parse_caching,
    parse_tracking,
    tracking_flags,
)

OPTIN = Tracking(optin=True)
OPTOUT = Tracking(optout=True)
FOO = Tracking(bcast=True, prefixes=(b"foo",))


def parse(words: bytes, current: Tracking | None = None) -> Tracking | bytes | None:
    args = [b"CLIENT", b"TRACKING", *words.split(b" ")]
    return parse_tracking(args, current, lambda number: number == 7)


@pytest.mark.parametrize(
    ("words", "current", "tracking"),
    [
        (b"OFF", OPTIN, None),
        (b"on", None, Tracking()),
        (b"ON noloop OptIn", None, Tracking(optin=True, noloop=True)),
        (b"ON OPTOUT", OPTOUT, OPTOUT),
        (b"ON", OPTIN, Tracking()),
        (b"ON REDIRECT 7", None, Tracking(redirect=7)),
        (b"ON BCAST", None, Tracking(bcast=True, prefixes=(b"",))),
        (b"ON BCAST PREFIX b PREFIX a", None, Tracking(bcast=True, prefixes=(b"a", b"b"))),
        (
            b"ON BCAST PREFIX a NOLOOP",
            FOO,
            Tracking(bcast=True, prefixes=(b"a", b"foo"), noloop=True),
        ),
        (b"ON BCAST", FOO, Tracking(bcast=True, prefixes=(b"", b"foo"))),
    ],
)
def test_options_are_taken_as_servers_take_them(
    words: bytes, current: Tracking | None, tracking: Tracking | None
) -> None:
    assert parse(words, current) == tracking


@pytest.mark.parametrize(
    ("prefixes", "words"),
    [
        ((b"a", b"foo"), (b"BCAST", b"PREFIX", b"a", b"PREFIX", b"foo")),
        ((b"",), (b"BCAST",)),
        # One command with both would be refused: they overlap.
        ((b"", b"foo"), (b"BCAST",)),
    ],
)
def test_a_server_is_told_of_prefixes_that_it_takes_in_one_command(
    prefixes: tuple[bytes, ...], words: tuple[bytes, ...]
) -> None:
    assert Tracking(bcast=True, prefixes=prefixes).words == words


@pytest.mark.parametrize(
    ("words", "current", "error"),
    [
        (b"MAYBE", None, b"-ERR syntax error"),
        (b"ON NONSENSE", None, b"-ERR syntax error"),
        (b"OFF PREFIX", None, b"-ERR syntax error"),
        (b"ON REDIRECT", None, b"-ERR syntax error"),
        (b"OFF REDIRECT 8", None, b"-ERR The client ID you want redirect to does not exist"),
        (b"ON REDIRECT x", None, b"-ERR value is not an integer or out of range"),
        (b"ON REDIRECT 7 REDIRECT 7", None, b"-ERR A client can only redirect to a single"),
        (b"ON PREFIX a", None, b"-ERR PREFIX option requires BCAST mode to be enabled"),
        (b"ON BCAST OPTIN", None, b"-ERR OPTIN and OPTOUT are not compatible with BCAST"),
        (b"ON OPTIN OPTOUT", None, b"-ERR You can't specify both OPTIN mode and OPTOUT mode"),
        (b"ON BCAST", OPTIN, b"-ERR You can't switch BCAST mode on/off before"),
        (b"ON OPTIN OPTOUT", FOO, b"-ERR You can't switch BCAST mode on/off before"),
        (b"ON OPTIN", OPTOUT, b"-ERR You can't switch OPTIN/OPTOUT mode before"),
        (
            b"ON BCAST PREFIX foobar",
            FOO,
            b"-ERR Prefix 'foobar' overlaps with an existing prefix 'foo'",
        ),
        (b"ON BCAST PREFIX foo", FOO, b"-ERR Prefix 'foo' overlaps with an existing prefix 'foo'"),
        (
            b"ON BCAST PREFIX b PREFIX a PREFIX ab",
            None,
            b"-ERR Prefix 'a' overlaps with another provided prefix 'ab'",
        ),
        (b"ON BCAST PREFIX  PREFIX x", None, b"-ERR Prefix '' overlaps with another provided"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_the_servers_words(
    words: bytes, current: Tracking | None, error: bytes
) -> None:
    answer = parse(words, current)

    assert isinstance(answer, bytes)
    assert answer.startswith(error)


@pytest.mark.parametrize(
    ("word", "current", "answer"),
    [
        (b"YES", None, b"-ERR CLIENT CACHING can be called only when"),
        (b"YES", Tracking(), b"-ERR CLIENT CACHING YES is only valid when"),
        (b"NO", OPTIN, b"-ERR CLIENT CACHING NO is only valid when"),
        (b"MAYBE", OPTIN, b"-ERR syntax error"),
        (b"yes", OPTIN, Tracking(optin=True, caching=True)),
        (b"NO", OPTOUT, Tracking(optout=True, caching=True)),
    ],
)
def test_caching_is_for_who_has_chosen_to_say_it(
    word: bytes, current: Tracking | None, answer: Tracking | bytes
) -> None:
    said = parse_caching([b"CLIENT", b"CACHING", word], current)

    if isinstance(answer, bytes):
        assert isinstance(said, bytes)
        assert said.startswith(answer)
    else:
        assert said == answer


def test_a_client_that_tracks_nothing_is_described_so() -> None:
    assert describe_tracking(None, 2) == (
        b"*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n"
    )


def test_all_that_holds_is_shown_in_the_servers_order() -> None:
    tracking = Tracking(redirect=9, optin=True, noloop=True, caching=True, broken=True)

    assert describe_tracking(tracking, 3) == (
        b"%3\r\n$5\r\nflags\r\n~5\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$6\r\nnoloop\r\n"
        b"$15\r\nbroken_redirect\r\n$8\r\nredirect\r\n:9\r\n$8\r\nprefixes\r\n*0\r\n"
    )
    assert tracking_flags(tracking) == b"tR"
    assert tracking_flags(FOO) == b"tB"


async def test_client_tracking_is_remembered_and_shown() -> None:
    client = FakeClient()
    ctx = FakeContext(connected=[client])

    assert await ctx.ask(client, b"CLIENT", b"TRACKING", b"ON", b"OPTIN") == b"+OK\r\n"
    assert ctx.say(client, b"CLIENT", b"GETREDIR") == b":0\r\n"
    assert ctx.say(client, b"CLIENT", b"CACHING", b"YES") == b"+OK\r\n"

    assert ctx.tracked_next == [7]
    assert b"caching-yes" in ctx.say(client, b"CLIENT", b"TRACKINGINFO")
    assert b" flags=t " in ctx.say(client, b"CLIENT", b"LIST")
    assert b" redir=0 " in ctx.say(client, b"CLIENT", b"INFO")


async def test_client_tracking_without_on_or_off_has_too_few_arguments() -> None:
    ctx, client = FakeContext(), FakeClient()

    answer = await ctx.ask(client, b"CLIENT", b"TRACKING")

    assert answer == b"-ERR wrong number of arguments for 'client|tracking' command\r\n"
