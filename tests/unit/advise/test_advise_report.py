"""The report: its JSON, its text, what it hides, what it says of its limits."""

from __future__ import annotations

import io
import json
from dataclasses import asdict

import pytest
from rich.console import Console
from written_log import log_of, written

from proxy.advise.analysis import Analysis
from proxy.advise.judge import Kind, Need
from proxy.advise.monitor_log import LINE_LIMIT_BYTES, parse_line
from proxy.advise.printing import printable
from proxy.advise.report import NOT_SEEN, SCHEMA, Report, Source, make_report
from proxy.advise.rules import Rules
from proxy.advise.show import TITLES, show_report
from proxy.advise.wording import Wording
from proxy.commands.pins import Pin, PinTable
from proxy.commands.table import snapshot_table

LOG = (
    log_of("CLIENT SETNAME shop \n MULTI \n SET user:1 v1 \n INCR stats \n EXEC \n GET user:1")
    + log_of("MGET page:1 page:2 \n EVAL return-1 1 k secret", source="10.0.0.2:1")
    + log_of("SELECT 3 \n KEYS secret* \n NOSUCH a", source="10.0.0.3:1", database=3)
)
SOURCE = Source("log", "app.log", "a table")

# Names are only added while SCHEMA keeps its number.
FIELDS = {
    "": "schema source rules totals cluster slotway findings databases clients unknown_commands "
    "hottest_slot hottest_slot_share groups settings hash_tags pins limits not_seen",
    "source": "kind name table is_interrupted notes",
    "rules": "transactions cross_slot databases pins",
    "totals": "lines commands units transactions empty_transactions watched_transactions "
    "longest_transaction scripts key_uses seconds",
    "cluster": "works slower partial breaks unknown",
    "findings": "kind command count share cluster slotway need clients more_clients examples",
    "clients": "host name count",
    "databases": "name count",
    "groups": "patterns count broken_cluster broken_slotway commands linked",
    "settings": "setting fixes share",
    "hash_tags": "patterns names tag fixes_cluster share_cluster fixes_slotway share_slotway "
    "hottest_share hottest_value is_hot",
}


def report_of(*logs: bytes, wording: Wording | None = None, rules: Rules | None = None) -> Report:
    rules = rules or Rules()
    analysis = Analysis(snapshot_table(rules.denied), rules, wording)
    for log in logs:
        analysis.feed(log)
    analysis.end()
    return make_report(analysis, SOURCE)


def text_of(report: Report, *, is_terminal: bool = False) -> str:
    out = io.StringIO()
    show_report(report, Console(file=out, width=100, force_terminal=is_terminal, highlight=False))
    return out.getvalue()


def test_the_json_has_the_documented_fields_in_their_order() -> None:
    log = LOG + log_of("MULTI \n SET user:2 v \n SET user:2:cart v \n EXEC")

    found = json.loads(json.dumps(report_of(log).as_json()))

    for place, names in FIELDS.items():
        value = found[place] if place else found
        assert list(value[0] if isinstance(value, list) else value) == names.split(), place
    assert found["schema"] == SCHEMA == "slotway-advise/1"


def test_the_words_of_the_json_do_not_change() -> None:
    assert sorted(kind.value for kind in Kind) == sorted(TITLES)
    assert {need.value for need in Need} >= {"nothing", 'commands.transactions = "split"'}


def test_findings_are_told_the_worst_first_with_who_and_an_example() -> None:
    report = report_of(LOG)

    found = [
        (finding.kind, finding.command, finding.count, finding.clients[0].host)
        for finding in report.findings
    ]
    assert found == [
        ("database_other_than_0", "any in database 3", 1, "10.0.0.3"),
        ("database_other_than_0", "select", 1, "10.0.0.3"),
        ("transaction_in_several_slots", "multi", 1, "10.0.0.1"),
        ("keys_in_several_slots", "mget", 1, "10.0.0.2"),
        ("concerns_all_shards", "keys", 1, "10.0.0.3"),
    ]
    assert report.findings[2].clients[0].name == "shop"
    assert report.findings[2].examples == ("MULTI; SET user:1 ?; INCR stats; EXEC",)


def test_verdicts_add_up_to_all_commands_and_transactions() -> None:
    report = report_of(LOG)

    for verdict in (report.cluster, report.slotway):
        assert sum(asdict(verdict).values()) == report.totals.units == 8
        assert verdict.unknown == 1


def test_settings_that_would_help_are_named() -> None:
    report = report_of(
        log_of("MULTI \n SET a 1 \n SET b 1 \n EXEC \n RENAME a b \n MIGRATE h 1 k 0 1")
    )

    assert {each.setting: each.fixes for each in report.settings} == {
        'commands.transactions = "split"': 1,
        'commands.cross_slot = "all"': 1,
        'commands.deny without "migrate"': 1,
    }


@pytest.mark.parametrize("is_terminal", [False, True])
def test_the_text_tells_everything_that_matters(is_terminal: bool) -> None:
    text = text_of(report_of(LOG), is_terminal=is_terminal)

    for words in ("plain cluster client", "behind slotway", "shop@10.0.0.1", "nosuch", "MGET"):
        assert words in text
    assert ("\x1b[" in text) == is_terminal


def test_plain_text_has_no_colours_and_no_blanks_at_the_end_of_paragraphs() -> None:
    lines = text_of(report_of(LOG)).splitlines()

    assert not any("\x1b" in line for line in lines)
    assert "      MULTI; SET user:1 ?; INCR stats; EXEC" in lines


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    log = log_of("CLIENT SETNAME [red]evil \n EVAL b 2 [red]x[/red] [bold]y")

    for is_terminal in (False, True):
        text = text_of(report_of(log), is_terminal=is_terminal)
        assert text.count("[red]x[/red]") == 4
        assert "[red]evil@10.0.0.1" in text


def test_values_are_hidden_unless_asked_for() -> None:
    hidden = json.dumps(report_of(LOG).as_json())
    shown = json.dumps(report_of(LOG, wording=Wording(show_values=True)).as_json())

    assert "secret" not in hidden
    assert "secret*" in shown


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("MSET a 1 b 2", "MSET a ? b ?"),
        ("ZADD a 1 b 2 c", "ZADD a (4 values)"),
        ("EVAL body 2 a b v", "EVAL sha1:02083f4579e08a612425c0c1a17ee47add783b94 2 a b ?"),
        ("MGET " + " ".join("abcdefghijklmn"), "MGET a b c d e f g h i j k l ..."),
        ("client setname x", "CLIENT SETNAME ?"),
    ],
)
def test_an_example_has_the_keys_and_is_short(command: str, example: str) -> None:
    analysis = Analysis(snapshot_table(), Rules())
    line = parse_line(written(*command.split()))
    assert line is not None

    (unit,) = [*analysis.conversation.take(line), *analysis.conversation.end()]

    assert Wording().unit(unit) == example


def test_hidden_keys_are_nowhere_and_stay_equal_within_a_report() -> None:
    log = LOG + log_of("MULTI \n SET user:2 v \n SET user:2:cart v \n EXEC \n EVAL b 2 user:1 jobs")
    report = report_of(log, wording=Wording(hide_keys=True))

    written_out = json.dumps(report.as_json()) + text_of(report)

    for word in ("user", "page", "cart", "stats", "jobs"):
        assert word not in written_out
    user = report.hash_tags[0].patterns[0].partition(":")[0]
    assert any(example.count(f"{user}:") for each in report.findings for example in each.examples)


def test_hidden_keys_cannot_be_compared_between_reports() -> None:
    one, other = Wording(hide_keys=True), Wording(hide_keys=True)

    assert one.name(b"user:*") != other.name(b"user:*")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"user:1", "user:1"),
        (b"", '""'),
        (b"a\nb", "a\\nb"),
        (b"\xff\x00", "\\xff\\x00"),
        ("caf\u00e9".encode(), "caf\u00e9"),
        (b"\x1b[31m", "\\x1b[31m"),
        (b"x" * 80, "x" * 80),
        (b"x" * 81, "x" * 77 + "..."),
    ],
)
def test_any_bytes_are_printable(data: bytes, text: str) -> None:
    assert printable(data) == text


def test_pins_and_settings_that_were_assumed_are_told() -> None:
    rules = Rules(transactions="split", pins=PinTable([Pin(b"bull:", b"bull")]))

    assert report_of(LOG, rules=rules).rules == {
        "transactions": "split",
        "cross_slot": "reads",
        "databases": 1,
        "pins": [{"prefix": "bull:", "tag": "bull"}],
    }


def test_what_was_left_out_is_told() -> None:
    log = log_of("EXEC \n lua: GET a \n GET a")

    report = report_of(log, b"what is this\n", log)

    words = "\n".join(report.limits)
    assert "1 lines are not MONITOR's and were left out, the first is line 4" in words
    assert "2 transactions had begun before the log did" in words
    assert "2 commands are of scripts that had begun before the log did" in words


def test_a_command_longer_than_is_kept_is_known_by_its_beginning() -> None:
    log = written("SET", "user:1", b"x" * LINE_LIMIT_BYTES) + b"\n" + written("GET", "a") + b"\n"

    report = report_of(log)

    assert (report.totals.commands, report.totals.key_uses) == (2, 2)
    assert "1 commands are longer than 1,048,576 bytes" in report.limits[0]


def test_a_gap_is_told_and_what_follows_is_read() -> None:
    analysis = Analysis(snapshot_table(), Rules())
    analysis.feed(written("GET", "a") + b"\n" + b'1.000001 [0 10.0.0.1:1] "GE')

    analysis.skip()
    analysis.feed(b'T" "b"\n' + written("GET", "c") + b"\n")
    analysis.end()

    assert (analysis.commands, analysis.unreadable) == (2, 0)
    assert "1 times commands came faster" in make_report(analysis, SOURCE).limits[0]


def test_nothing_is_left_out_of_a_clean_log() -> None:
    assert report_of(LOG).limits == ()


def test_what_no_log_can_tell_is_always_said() -> None:
    assert report_of(LOG).not_seen == NOT_SEEN
    assert "Pipelines" in text_of(report_of(LOG))
