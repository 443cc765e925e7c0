"""From lines to what runs as a whole: clients, transactions, scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from written_log import written

from proxy.advise import conversation
from proxy.advise.conversation import Client, Conversation, Unit, host_of
from proxy.advise.monitor_log import parse_line
from proxy.commands.table import snapshot_table
from proxy.dataplane.tables import CommandTable

ONE, TWO = "10.0.0.1:5000", "10.0.0.2:5000"


@pytest.fixture
def talk() -> Conversation:
    return Conversation(CommandTable(snapshot_table()))


def units(talk: Conversation, *lines: tuple[str, str]) -> Iterator[Unit]:
    """Take (source, command) after (source, command)."""
    for source, command in lines:
        line = parse_line(written(*command.split(), source=source))
        assert line is not None
        yield from talk.take(line)
    yield from talk.end()


def names(unit: Unit) -> list[bytes]:
    return [call.name for call in unit.calls]


def test_commands_of_one_client_between_multi_and_exec_are_one_unit(talk: Conversation) -> None:
    found = list(
        units(
            talk,
            (ONE, "MULTI"),
            (TWO, "GET x"),
            (ONE, "SET a 1"),
            (ONE, "INCR b"),
            (ONE, "EXEC"),
            (ONE, "GET a"),
        )
    )

    assert [(names(unit), unit.is_transaction) for unit in found] == [
        ([b"get"], False),
        ([b"set", b"incr"], True),
        ([b"get"], False),
    ]
    assert [unit.client.host for unit in found] == ["10.0.0.2", "10.0.0.1", "10.0.0.1"]


def test_what_was_watched_belongs_to_the_transaction_and_ends_with_it(talk: Conversation) -> None:
    commands = "WATCH a b", "WATCH c", "MULTI", "SET a 1", "EXEC", "MULTI", "EXEC"

    found = list(units(talk, *((ONE, command) for command in commands)))

    assert [unit.watched for unit in found] == [(), (b"a", b"b"), (b"a", b"b", b"c"), ()]


@pytest.mark.parametrize("end", ["DISCARD", "RESET", "QUIT"])
def test_what_ends_a_transaction_forgets_it(talk: Conversation, end: str) -> None:
    found = list(units(talk, (ONE, "WATCH w"), (ONE, "MULTI"), (ONE, end), (ONE, "SET a 1")))

    last = found[-1]
    assert (names(last), last.is_transaction, last.watched) == ([b"set"], False, ())


def test_unwatch_forgets_the_keys(talk: Conversation) -> None:
    found = list(units(talk, (ONE, "WATCH w"), (ONE, "UNWATCH"), (ONE, "MULTI"), (ONE, "EXEC")))

    assert found[-1].watched == ()


def test_exec_without_multi_is_a_gap(talk: Conversation) -> None:
    found = list(units(talk, (ONE, "SET a 1"), (ONE, "EXEC")))

    assert [names(unit) for unit in found] == [[b"set"]]
    assert talk.gaps.unknown_beginnings == 1


def test_what_a_script_touches_belongs_to_the_script(talk: Conversation) -> None:
    found = list(
        units(
            talk,
            (ONE, "EVAL body 1 k v"),
            ("lua", "GET k"),
            ("lua", "MSET k 1 other 2"),
            ("lua", "GET other"),
            (TWO, "GET a"),
            ("lua", "GET late"),
        )
    )

    assert [call.touched for unit in found for call in unit.calls] == [[b"other"], []]
    assert talk.gaps.orphans == 1


def test_a_script_inside_a_transaction_has_what_it_touches(talk: Conversation) -> None:
    found = list(
        units(
            talk,
            (ONE, "MULTI"),
            (ONE, "SET a 1"),
            (ONE, "FCALL f 0"),
            ("lua", "INCR z"),
            (ONE, "EXEC"),
        )
    )

    (unit,) = found
    assert [call.touched for call in unit.calls] == [[], [b"z"]]


@pytest.mark.parametrize(
    "command", ["CLIENT SETNAME worker", "HELLO 3 AUTH (redacted) (redacted) SETNAME worker"]
)
def test_a_client_is_known_by_the_name_it_gave(talk: Conversation, command: str) -> None:
    found = list(units(talk, (ONE, "GET a"), (ONE, command), (ONE, "GET a"), (TWO, "GET a")))

    assert [unit.client for unit in found] == [
        Client("10.0.0.1", ""),
        Client("10.0.0.1", "worker"),
        Client("10.0.0.1", "worker"),
        Client("10.0.0.2", ""),
    ]


def test_a_name_that_was_given_before_the_log_can_be_told(talk: Conversation) -> None:
    talk.introduce(ONE, "old")

    (unit,) = units(talk, (ONE, "GET a"))

    assert unit.client == Client("10.0.0.1", "old")


def test_keys_of_a_line_that_was_cut_are_those_that_are_whole(talk: Conversation) -> None:
    line = parse_line(written("MSET", "a", "1", "b", "2", "c")[:-1], is_cut=True)
    assert line is not None

    (unit,) = talk.take(line)

    assert unit.calls[0].keys == [b"a", b"b"]


def test_a_gap_in_the_log_ends_what_is_open(talk: Conversation) -> None:
    list(units(talk, (ONE, "MULTI")))

    talk.interrupt()

    (unit,) = units(talk, (ONE, "SET a 1"), (ONE, "EXEC"))
    assert not unit.is_transaction


@pytest.mark.parametrize("extra", [0, 1])
def test_a_transaction_is_looked_at_up_to_its_limit(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(conversation, "TRANSACTION_LIMIT", 3)
    commands = [(ONE, "SET a 1")] * (3 + extra)

    (unit,) = units(talk, (ONE, "MULTI"), *commands, (ONE, "EXEC"))

    assert len(unit.calls) == 3
    assert talk.gaps.unseen == extra


@pytest.mark.parametrize("extra", [0, 1])
def test_connections_are_remembered_up_to_their_limit(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(conversation, "CONNECTION_LIMIT", 3)
    others = [(f"10.0.1.{n}:1", "PING") for n in range(2 + extra)]

    list(units(talk, (ONE, "MULTI"), *others, (ONE, "SET a 1"), (ONE, "EXEC")))

    assert talk.gaps.forgotten == extra
    assert talk.gaps.unknown_beginnings == extra


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.1:5000", "10.0.0.1"),
        ("[fe80::1]:5000", "fe80::1"),
        ("unix:/tmp/r:1.sock", "unix:/tmp/r:1.sock"),
        ("", ""),
    ],
)
def test_the_host_of_an_address_is_without_its_port(address: str, host: str) -> None:
    assert host_of(address) == host
