"""What becomes of each kind of command: on a plain cluster client, and behind slotway.

``a b c d`` are in four slots; ``{t}a {t}b`` are in one.
"""

from __future__ import annotations

import pytest
from written_log import analysed, log_of

from proxy.advise.judge import Kind, Need, Outcome
from proxy.advise.rules import Rules
from proxy.commands.pins import Pin, PinTable

WORKS, SLOWER, PARTIAL, BREAKS = Outcome

SPLIT = Rules(transactions="split")
ALL = Rules(cross_slot="all")
REJECT = Rules(cross_slot="reject")
PINNED = Rules(pins=PinTable([Pin(b"", b"x")]))
SIXTEEN = Rules(databases=16)

SAME_SLOT = [
    "GET a",
    "MSET {t}a 1 {t}b 2",
    "RENAME {t}a {t}b",
    "EVAL body 2 {t}a {t}b v",
    "BLPOP {t}a {t}b 0",
    "WATCH {t}a {t}b",
    "SORT a",
    "SORT a BY nosort LIMIT 0 10",
    "PING",
    "SELECT 0",
    "XREAD COUNT 2 STREAMS {t}a {t}b 0 0",
    "SSUBSCRIBE {t}a {t}b",
    "UNSUBSCRIBE",
    "SPUBLISH a message",
]

# command, rules, kind, plain cluster client, slotway, what slotway needs
CASES = [
    # Split by slot: the six, and only if they can be.
    ("MGET a b", Rules(), Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("MSET a 1 b 2", REJECT, Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("DEL a b", Rules(), Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    # Across slots, by the setting.
    ("SUNION a b", Rules(), Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("SUNION a b", REJECT, Kind.KEYS, BREAKS, BREAKS, Need.CROSS_SLOT_READS),
    ("SUNIONSTORE a b c", Rules(), Kind.KEYS, BREAKS, BREAKS, Need.CROSS_SLOT_ALL),
    ("SUNIONSTORE a b c", ALL, Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("RENAME a b", Rules(), Kind.KEYS, BREAKS, BREAKS, Need.CROSS_SLOT_ALL),
    ("MSETNX a 1 b 2", ALL, Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("LMOVE a b LEFT LEFT", Rules(), Kind.KEYS, BREAKS, BREAKS, Need.CROSS_SLOT_ALL),
    ("SORT a STORE b", Rules(), Kind.KEYS, BREAKS, BREAKS, Need.CROSS_SLOT_ALL),
    ("XREAD STREAMS a b 0 0", Rules(), Kind.KEYS, BREAKS, SLOWER, Need.NOTHING),
    ("RENAME a b", PINNED, Kind.KEYS, BREAKS, WORKS, Need.NOTHING),
    # Blocking.
    ("BLPOP a b 0", Rules(), Kind.BLOCKING, BREAKS, SLOWER, Need.NOTHING),
    ("BZMPOP 0 2 a b MIN", Rules(), Kind.BLOCKING, BREAKS, SLOWER, Need.NOTHING),
    ("XREAD BLOCK 0 STREAMS a b 0 0", Rules(), Kind.BLOCKING, BREAKS, SLOWER, Need.NOTHING),
    ("BLMOVE a b LEFT LEFT 0", Rules(), Kind.BLOCKING, BREAKS, BREAKS, Need.CROSS_SLOT_ALL),
    ("BLMOVE a b LEFT LEFT 0", ALL, Kind.BLOCKING, BREAKS, SLOWER, Need.NOTHING),
    ("BLMOVE a b LEFT LEFT 0", PINNED, Kind.BLOCKING, BREAKS, WORKS, Need.NOTHING),
    # Scripts.
    ("EVAL body 2 a b", ALL, Kind.SCRIPT_KEYS, BREAKS, BREAKS, Need.COMMON_SLOT),
    ("FCALL f 2 a b", PINNED, Kind.SCRIPT_KEYS, BREAKS, WORKS, Need.NOTHING),
    ("EVAL b 0 \n lua: GET a", Rules(), Kind.SCRIPT_TOUCHES, BREAKS, BREAKS, Need.KNOWN_KEYS),
    ("EVAL b 1 a \n lua: GET b", PINNED, Kind.SCRIPT_TOUCHES, BREAKS, BREAKS, Need.KNOWN_KEYS),
    ("EVAL b 1 a \n lua: GET a:1", Rules(), Kind.SCRIPT_TOUCHES, BREAKS, BREAKS, Need.KNOWN_KEYS),
    ("EVAL b 1 a \n lua: GET a:1", PINNED, Kind.SCRIPT_TOUCHES, BREAKS, WORKS, Need.NOTHING),
    # Transactions.
    (
        "MULTI \n SET a 1 \n SET b 1 \n EXEC",
        Rules(),
        Kind.TRANSACTION,
        BREAKS,
        BREAKS,
        Need.TRANSACTIONS_SPLIT,
    ),
    ("MULTI \n MGET a b \n EXEC", SPLIT, Kind.TRANSACTION, BREAKS, SLOWER, Need.NOTHING),
    ("MULTI \n RENAME a b \n EXEC", SPLIT, Kind.TRANSACTION, BREAKS, BREAKS, Need.COMMON_SLOT),
    ("MULTI \n RENAME a b \n EXEC", ALL, Kind.TRANSACTION, BREAKS, BREAKS, Need.COMMON_SLOT),
    ("MULTI \n RENAME a b \n EXEC", PINNED, Kind.TRANSACTION, BREAKS, WORKS, Need.NOTHING),
    (
        "WATCH a \n MULTI \n SET b 1 \n EXEC",
        Rules(),
        Kind.TRANSACTION,
        BREAKS,
        BREAKS,
        Need.TRANSACTIONS_SPLIT,
    ),
    ("WATCH a \n MULTI \n SET b 1 \n EXEC", SPLIT, Kind.TRANSACTION, BREAKS, SLOWER, Need.NOTHING),
    ("WATCH a b", SPLIT, Kind.WATCH, BREAKS, BREAKS, Need.COMMON_SLOT),
    ("WATCH a \n WATCH b", SPLIT, Kind.WATCH, BREAKS, BREAKS, Need.COMMON_SLOT),
    ("WATCH a b", PINNED, Kind.WATCH, BREAKS, WORKS, Need.NOTHING),
    # The whole keyspace, and every server.
    ("KEYS *", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("SCAN 0", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("FLUSHALL", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("SCRIPT LOAD body", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("MULTI \n DBSIZE \n EXEC", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    # Publish and subscribe.
    ("PUBLISH a message", Rules(), Kind.PUBSUB, SLOWER, WORKS, Need.NOTHING),
    ("SUBSCRIBE a b", Rules(), Kind.PUBSUB, SLOWER, WORKS, Need.NOTHING),
    ("PSUBSCRIBE __keyspace@0__:*", Rules(), Kind.PUBSUB, PARTIAL, WORKS, Need.NOTHING),
    ("SSUBSCRIBE a b", Rules(), Kind.PUBSUB, BREAKS, WORKS, Need.NOTHING),
    # Databases.
    ("SELECT 1", Rules(), Kind.DATABASE, BREAKS, BREAKS, Need.DATABASES),
    ("SELECT 16", SIXTEEN, Kind.DATABASE, BREAKS, BREAKS, Need.DATABASES),
    ("MOVE a 1", Rules(), Kind.BETWEEN_DATABASES, BREAKS, BREAKS, Need.DATABASES),
    ("COPY {t}a {t}b DB 1", Rules(), Kind.BETWEEN_DATABASES, BREAKS, BREAKS, Need.DATABASES),
    ("SWAPDB 0 1", SIXTEEN, Kind.BETWEEN_DATABASES, BREAKS, BREAKS, Need.REWRITE),
    # The rest.
    ("SORT a BY w_*", Rules(), Kind.SORT, BREAKS, BREAKS, Need.REWRITE),
    ("SORT_RO a GET #", Rules(), Kind.SORT, BREAKS, BREAKS, Need.REWRITE),
    ("MIGRATE h 1 a 0 1", Rules(), Kind.DENIED, WORKS, BREAKS, Need.ALLOWED),
    ("RANDOMKEY", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("SCRIPT EXISTS sha", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("FUNCTION LOAD body", Rules(), Kind.ALL_SHARDS, PARTIAL, SLOWER, Need.NOTHING),
    ("INFO", Rules(), Kind.ALL_SHARDS, SLOWER, SLOWER, Need.NOTHING),
    ("MEMORY DOCTOR", Rules(denied=frozenset()), Kind.ALL_SHARDS, SLOWER, SLOWER, Need.NOTHING),
    ("GET a", Rules(denied=frozenset({b"get"})), Kind.DENIED, WORKS, BREAKS, Need.ALLOWED),
]


@pytest.mark.parametrize("command", SAME_SLOT)
def test_what_is_harmless_is_not_told(command: str) -> None:
    analysis = analysed(log_of(command))

    assert list(analysis.findings) == []
    assert analysis.cluster[WORKS] == analysis.slotway[WORKS] == analysis.units


@pytest.mark.parametrize(
    ("commands", "rules", "kind", "cluster", "slotway", "need"),
    CASES,
    ids=lambda value: value.replace("\n", ";") if isinstance(value, str) else "",
)
def test_each_problem_is_found_and_judged(
    commands: str, rules: Rules, kind: Kind, cluster: Outcome, slotway: Outcome, need: Need
) -> None:
    analysis = analysed(log_of(commands), rules=rules)

    (finding,) = analysis.findings
    assert (finding.kind, finding.cluster, finding.slotway, finding.need) == (
        kind,
        cluster,
        slotway,
        need,
    )


@pytest.mark.parametrize("rules", [Rules(), SIXTEEN])
def test_commands_in_another_database_are_counted(rules: Rules) -> None:
    analysis = analysed(log_of("GET a \n PING \n KEYS * ", database=3), rules=rules)

    counts = {finding.command: tally.count for finding, tally in analysis.findings.items()}
    assert counts.get("any in database 3") == (2 if rules.databases == 1 else None)
    assert analysis.databases.most() == [(3, 3)]


def test_a_transaction_counts_once_however_many_of_its_commands_are_found() -> None:
    analysis = analysed(log_of("MULTI \n KEYS * \n KEYS * \n SET a 1 \n SET b 1 \n EXEC"))

    assert {finding.kind: tally.count for finding, tally in analysis.findings.items()} == {
        Kind.ALL_SHARDS: 1,
        Kind.TRANSACTION: 1,
    }
    assert analysis.cluster[BREAKS] == analysis.units == 1


def test_a_command_that_the_table_lacks_is_not_judged_and_is_told() -> None:
    analysis = analysed(log_of("NOSUCH.THING a b \n GET a"))

    assert analysis.unknown.most() == [("nosuch.thing", 1)]
    assert list(analysis.findings) == []
