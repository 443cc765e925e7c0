"""CLIENT: a client asks about itself, about the others, and how it wants to be treated."""

from __future__ import annotations

import time

import pytest
from session_fakes import FakeClient, FakeContext

from proxy.sessions.state import ClientState


def line_of(frame: bytes) -> dict[bytes, bytes]:
    """Return the fields of the one client in a CLIENT LIST or CLIENT INFO reply."""
    text = frame.partition(b"\r\n")[2].removeprefix(b"txt:").rstrip(b"\r\n")
    return dict(pair.split(b"=", 1) for pair in text.split(b" "))


def ids_in(frame: bytes) -> list[int]:
    """Return the ids of a CLIENT LIST reply, in its order."""
    lines = frame.partition(b"\r\n")[2].split(b"\n")
    return [int(line.split(b" ")[0].split(b"=")[1]) for line in lines if line.startswith(b"id=")]


@pytest.fixture
def crowd() -> list[FakeClient]:
    """Three clients: an old one of user app, a young idle one, and the one that asks (7)."""
    now = time.monotonic()
    old = FakeClient(id=3, address="10.0.0.3:1003", created_s=now - 1000)
    old.state = ClientState(authenticated=True, user=b"app", name=b"old", lib_name=b"jedis")
    idle = FakeClient(id=5, address="[::1]:1005", created_s=now - 60, last_active_s=now - 50)
    idle.state = ClientState(authenticated=True, no_evict=True)
    me = FakeClient(id=7, address="10.0.0.7:1007")
    return [me, idle, old]


# ---- who am I ----------------------------------------------------------------


def test_a_name_can_be_given_read_and_taken_away() -> None:
    ctx, client = FakeContext(), FakeClient(resp=3)

    answers = [
        ctx.say(client, b"CLIENT", *words)
        for words in (
            (b"GETNAME",),
            (b"SETNAME", b"worker-1"),
            (b"GETNAME",),
            (b"SETNAME", b""),
            (b"getname",),
        )
    ]

    assert answers == [b"_\r\n", b"+OK\r\n", b"$8\r\nworker-1\r\n", b"+OK\r\n", b"_\r\n"]


@pytest.mark.parametrize("name", [b"a b", b"a\n", b"\r\nb", b"\x7f", b"\xff", b"\t"])
def test_a_name_that_would_break_the_list_is_refused(name: bytes) -> None:
    client = FakeClient()

    answer = FakeContext().say(client, b"CLIENT", b"SETNAME", name)

    assert answer.startswith(b"-ERR Client names cannot contain spaces")
    assert client.state.name == b""


@pytest.mark.parametrize("server_name", [b"redis", b"valkey"])
def test_the_library_is_remembered_behind_any_engine(server_name: bytes) -> None:
    ctx, client = FakeContext(server_name=server_name), FakeClient()

    assert ctx.say(client, b"CLIENT", b"SETINFO", b"LIB-NAME", b"redis-py") == b"+OK\r\n"
    assert ctx.say(client, b"CLIENT", b"SETINFO", b"lib-ver", b"5.1") == b"+OK\r\n"

    fields = line_of(ctx.say(client, b"CLIENT", b"INFO"))
    assert (fields[b"lib-name"], fields[b"lib-ver"]) == (b"redis-py", b"5.1")


def test_info_tells_of_the_client_that_asks() -> None:
    client = FakeClient(resp=3, query_buffer_bytes=10, output_bytes=5, last_command=b"get")

    fields = line_of(FakeContext().say(client, b"CLIENT", b"INFO"))

    assert fields[b"id"] == b"7"
    assert fields[b"addr"] == b"127.0.0.1:50007"
    assert fields[b"cmd"] == b"client|info"
    assert fields[b"resp"] == b"3"
    assert (fields[b"qbuf"], fields[b"omem"], fields[b"tot-mem"]) == (b"10", b"5", b"15")
    assert fields[b"events"] == b"rw"


@pytest.mark.parametrize(
    ("no_evict", "no_touch", "flags"),
    [
        (b"OFF", b"OFF", b"N"),
        (b"ON", b"OFF", b"e"),
        (b"off", b"on", b"T"),
        (b"ON", b"ON", b"eT"),
    ],
)
def test_switches_show_as_flags(no_evict: bytes, no_touch: bytes, flags: bytes) -> None:
    ctx, client = FakeContext(), FakeClient()

    ctx.say(client, b"CLIENT", b"NO-EVICT", no_evict)
    ctx.say(client, b"CLIENT", b"NO-TOUCH", no_touch)

    assert line_of(ctx.say(client, b"CLIENT", b"INFO"))[b"flags"] == flags


# ---- who else is there -------------------------------------------------------


def test_the_list_begins_with_the_client_that_came_first(crowd: list[FakeClient]) -> None:
    assert ids_in(FakeContext(connected=crowd).say(crowd[0], b"CLIENT", b"LIST")) == [3, 5, 7]


def test_redis_lists_ids_in_the_order_asked_for(crowd: list[FakeClient]) -> None:
    answer = FakeContext(connected=crowd).say(crowd[0], b"CLIENT", b"LIST", b"ID", b"7", b"4", b"3")

    assert ids_in(answer) == [7, 3]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (b"ID 3 4 5", [3, 5]),
        (b"ID 3 ID 7", [3, 7]),
        (b"NOT-ID 3", [5, 7]),
        (b"USER default", [5, 7]),
        (b"NOT-USER default", [3]),
        (b"NAME old", [3]),
        (b"NOT-NAME old", [5, 7]),
        (b"LIB-NAME jedis", [3]),
        (b"ADDR 10.0.0.7:1007", [7]),
        (b"NOT-ADDR 10.0.0.7:1007", [3, 5]),
        (b"LADDR 127.0.0.1:6379 SKIPME yes", [3, 5]),
        (b"IP ::1", [5]),
        (b"FLAGS e", [5]),
        (b"NOT-FLAGS e", [3, 7]),
        (b"MAXAGE 60", [3, 5]),
        (b"IDLE 50", [5]),
        (b"TYPE normal MAXAGE 100", [3]),
        (b"TYPE pubsub", []),
        (b"NOT-TYPE replica", [3, 5, 7]),
        (b"DB 0", [3, 5, 7]),
        (b"CAPA r", []),
    ],
)
def test_filters_choose_clients(crowd: list[FakeClient], filters: bytes, ids: list[int]) -> None:
    ctx = FakeContext(connected=crowd, server_name=b"valkey")

    assert ids_in(ctx.say(crowd[0], b"CLIENT", b"LIST", *filters.split())) == ids


@pytest.mark.parametrize("filters", [b"NAME old", b"ADDR 10.0.0.3:1003", b"TYPE normal ID 3"])
def test_redis_has_fewer_filters_for_its_list(crowd: list[FakeClient], filters: bytes) -> None:
    answer = FakeContext(connected=crowd).say(crowd[0], b"CLIENT", b"LIST", *filters.split())

    assert answer == b"-ERR syntax error\r\n"


@pytest.mark.parametrize("server_name", [b"redis", b"valkey"])
@pytest.mark.parametrize(
    ("filters", "killed"),
    [
        (b"ID 3", [3]),
        (b"ADDR [::1]:1005", [5]),
        (b"LADDR 127.0.0.1:6379", [3, 5]),
        (b"LADDR 127.0.0.1:6379 SKIPME no", [3, 5, 7]),
        (b"TYPE normal USER default", [5]),
        (b"MAXAGE 500", [3]),
        (b"TYPE replica", []),
        (b"ID 7", []),
    ],
)
def test_kill_closes_who_is_meant_and_counts_them(
    crowd: list[FakeClient], server_name: bytes, filters: bytes, killed: list[int]
) -> None:
    ctx = FakeContext(connected=crowd, server_name=server_name)

    answer = ctx.say(crowd[0], b"CLIENT", b"KILL", *filters.split())

    assert answer == b":%d\r\n" % len(killed)
    assert sorted(client.id for client in crowd if client.closed) == killed


def test_who_kills_itself_gets_the_answer_first(crowd: list[FakeClient]) -> None:
    ctx, me = FakeContext(connected=crowd), crowd[0]

    assert ctx.say(me, b"CLIENT", b"KILL", b"10.0.0.7:1007") == b"+OK\r\n"
    assert me.closed == "after reply"
    assert ctx.say(me, b"CLIENT", b"KILL", b"10.0.0.3:1003") == b"+OK\r\n"
    assert crowd[2].closed == "at once"


# ---- how I want to be treated ------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (["REPLY OFF", "ID", "REPLY SKIP", "ID", "REPLY ON", "ID"], [b"+OK\r\n", b":7\r\n"]),
        (["REPLY SKIP", "ID", "ID"], [b":7\r\n"]),
        (["REPLY SKIP", "REPLY SKIP", "ID", "ID"], [b":7\r\n"]),
        (["REPLY SKIP", "REPLY ON"], [b"+OK\r\n"]),
        (["REPLY SKIP", "REPLY maybe", "ID"], [b":7\r\n"]),
        (["REPLY OFF", "REPLY maybe", "REPLY OFF", "ID"], []),
    ],
)
def test_replies_can_be_switched_off(lines: list[str], sent: list[bytes]) -> None:
    ctx, client = FakeContext(), FakeClient()

    answers = [ctx.say(client, b"CLIENT", *line.encode().split()) for line in lines]

    assert [answer for answer in answers if answer] == sent


# ---- what needs a session ----------------------------------------------------


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (b"PAUSE 100 READ", b"-ERR CLIENT PAUSE mode must be"),
    ],
)
def test_what_needs_more_than_an_answer_is_refused_clearly(words: bytes, error: bytes) -> None:
    client = FakeClient()
    ctx = FakeContext(connected=[client])

    assert ctx.say(client, b"CLIENT", *words.split()).startswith(error)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (b"GETREDIR", b":-1\r\n"),
    ],
)
def test_who_tracks_nothing_and_waits_for_nothing_hears_so(words: bytes, answer: bytes) -> None:
    assert FakeContext().say(FakeClient(), b"CLIENT", *words.split()) == answer


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (b"PAUSE 1500", (1.5, False)),
        (b"PAUSE 100 all", (0.1, False)),
        (b"PAUSE 100 write", (0.1, True)),
        (b"UNPAUSE", "end"),
    ],
)
def test_clients_are_held_back_and_let_go(words: bytes, done: object) -> None:
    ctx = FakeContext()

    assert ctx.say(FakeClient(), b"CLIENT", *words.split()) == b"+OK\r\n"

    assert ctx.pause.log == [done]


async def test_who_does_not_wait_cannot_be_unblocked() -> None:
    ctx, client = FakeContext(), FakeClient()

    assert await ctx.ask(client, b"CLIENT", b"UNBLOCK", b"7") == b":0\r\n"


def test_what_only_valkey_knows_is_unknown_behind_redis() -> None:
    client = FakeClient()

    refused = FakeContext().say(client, b"CLIENT", b"Capa", b"redirect")
    taken = FakeContext(server_name=b"valkey").say(client, b"CLIENT", b"CAPA", b"redirect", b"x")

    assert refused == b"-ERR unknown subcommand 'Capa'. Try CLIENT HELP.\r\n"
    assert taken == b"+OK\r\n"
    assert client.state.capabilities == b"r"
