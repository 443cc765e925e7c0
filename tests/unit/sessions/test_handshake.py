"""HELLO, AUTH, SELECT, RESET and QUIT: what they answer, and what they leave behind."""

from __future__ import annotations

import pytest
from session_fakes import FakeClient, FakeContext

from proxy.sessions.handshake import login_words, new_database
from proxy.sessions.passwords import PasswordBook
from proxy.sessions.state import ClientState

WITH_PASSWORD = PasswordBook({b"default": b"secret", b"app": b"apple"})


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def stranger() -> FakeClient:
    return FakeClient(state=ClientState(authenticated=False))


def test_hello_describes_one_standalone_server(client: FakeClient) -> None:
    answer = FakeContext().say(client, b"HELLO")

    assert answer == (
        b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:2\r\n"
        b"$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        b"$7\r\nmodules\r\n*0\r\n"
    )


def test_hello_3_is_already_answered_in_resp3(client: FakeClient) -> None:
    answer = FakeContext().say(client, b"hello", b"3")

    assert answer.startswith(b"%7\r\n$6\r\nserver\r\n")
    assert client.resp == 3


def test_hello_without_a_version_keeps_the_protocol(client: FakeClient) -> None:
    client.resp = 3

    assert FakeContext().say(client, b"HELLO").startswith(b"%7\r\n")


def test_hello_logs_in_names_and_switches_at_once(stranger: FakeClient) -> None:
    ctx = FakeContext(passwords=WITH_PASSWORD)

    ctx.say(stranger, b"HELLO", b"3", b"setname", b"worker", b"auth", b"app", b"apple")

    assert (stranger.state.user, stranger.state.name, stranger.resp) == (b"app", b"worker", 3)
    assert stranger.state.authenticated


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ((b"4",), b"-NOPROTO "),
        ((b"03",), b"-ERR Protocol version is not an integer"),
        ((b"3", b"AUTH", b"app"), b"-ERR Syntax error in HELLO option 'AUTH'"),
        ((b"3", b"SETNAME", b"x", b"AUTH", b"app", b"wrong"), b"-WRONGPASS "),
        ((b"3", b"SETNAME", b"x", b"NAME", b"y"), b"-ERR Syntax error in HELLO option 'NAME'"),
        ((b"3", b"SETNAME", b"a b"), b"-ERR Client names cannot contain"),
        ((b"3", b"SETNAME", b"x"), b"-NOAUTH HELLO must be called"),
    ],
)
def test_a_hello_that_fails_changes_nothing(
    stranger: FakeClient, words: tuple[bytes, ...], error: bytes
) -> None:
    answer = FakeContext(passwords=WITH_PASSWORD).say(stranger, b"HELLO", *words)

    assert answer.startswith(error)
    assert stranger.state == ClientState(authenticated=False)
    assert stranger.resp == 2


@pytest.mark.parametrize(
    ("words", "user"), [((b"secret",), b"default"), ((b"app", b"apple"), b"app")]
)
def test_auth_with_the_right_password_lets_in(
    stranger: FakeClient, words: tuple[bytes, ...], user: bytes
) -> None:
    answer = FakeContext(passwords=WITH_PASSWORD).say(stranger, b"AUTH", *words)

    assert answer == b"+OK\r\n"
    assert stranger.state.authenticated
    assert stranger.state.user == user


@pytest.mark.parametrize(
    "words", [(b"apple",), (b"",), (b"app", b"secret"), (b"nobody", b"secret"), (b"app", b"")]
)
def test_auth_with_a_wrong_password_leaves_a_client_who_it_was(words: tuple[bytes, ...]) -> None:
    ctx = FakeContext(passwords=WITH_PASSWORD)
    app = FakeClient(state=ClientState(authenticated=True, user=b"app"))

    assert ctx.say(app, b"AUTH", *words).startswith(b"-WRONGPASS ")
    assert app.state == ClientState(authenticated=True, user=b"app")


def test_auth_where_no_password_is_needed_says_so(client: FakeClient) -> None:
    assert b"without any password configured" in FakeContext().say(client, b"AUTH", b"x")
    assert FakeContext().say(client, b"AUTH", b"default", b"x") == b"+OK\r\n"


@pytest.mark.parametrize(
    ("index", "answer"),
    [
        (b"0", b"+OK\r\n"),
        (b"1", b"-ERR DB index is out of range\r\n"),
        (b"-1", b"-ERR DB index is out of range\r\n"),
        (b"2147483648", b"-ERR value is out of range, value must between "),
        (b"00", b"-ERR value is not an integer or out of range\r\n"),
        (b"9223372036854775808", b"-ERR value is not an integer or out of range\r\n"),
        (b"", b"-ERR value is not an integer or out of range\r\n"),
    ],
)
def test_there_is_one_database(client: FakeClient, index: bytes, answer: bytes) -> None:
    assert FakeContext().say(client, b"SELECT", index).startswith(answer)


def test_reset_leaves_only_the_library_of_a_client() -> None:
    client = FakeClient(resp=3, reply_mode=1)
    client.state = ClientState(
        authenticated=True, user=b"app", name=b"n", lib_name=b"l", no_evict=True, no_touch=True
    )

    answer = FakeContext(passwords=WITH_PASSWORD).say(client, b"RESET")

    assert answer == b"+RESET\r\n"
    assert (client.resp, client.reply_mode) == (2, 0)
    assert client.state == ClientState(authenticated=False, lib_name=b"l")


def test_reset_where_no_password_is_needed_keeps_a_client_in(client: FakeClient) -> None:
    FakeContext().say(client, b"RESET")

    assert client.state.authenticated


def test_quit_says_ok_and_closes(client: FakeClient) -> None:
    assert FakeContext().say(client, b"QUIT") == b"+OK\r\n"
    assert client.closed == "after reply"


@pytest.mark.parametrize(
    ("index", "answer", "database"),
    [(b"3", b"+OK\r\n", 3), (b"16", b"-ERR DB index is out of range\r\n", 0)],
)
def test_servers_with_databases_have_as_many(
    client: FakeClient, index: bytes, answer: bytes, database: int
) -> None:
    assert FakeContext(databases=16).say(client, b"SELECT", index) == answer

    assert client.state.database == database


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (b"AUTH x", (b"x",)),
        (b"auth u x", (b"u", b"x")),
        (b"AUTH u x y", None),
        (b"HELLO 3 SETNAME n AUTH u x", (b"u", b"x")),
        (b"HELLO 3", None),
        (b"HELLO 4 AUTH u x", None),
        (b"PING", None),
    ],
)
def test_a_login_is_found_where_it_can_succeed(
    args: bytes, words: tuple[bytes, ...] | None
) -> None:
    assert login_words(FakeContext(), args.split()) == words


@pytest.mark.parametrize(
    ("args", "index"),
    [(b"SELECT 3", 3), (b"SELECT 0", None), (b"SELECT 16", None), (b"SELECT x", None)],
)
def test_only_a_change_of_the_database_is_one(
    client: FakeClient, args: bytes, index: int | None
) -> None:
    assert new_database(FakeContext(databases=16), client, args.split()) == index
