"""Keys used together, and what would put them together: hash tags, pins, and their price."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from written_log import analysed, log_of

from proxy.advise import together
from proxy.advise.fixes import Fix, find_fixes
from proxy.advise.patterns import text_of
from proxy.advise.rules import Rules
from proxy.cluster.slots import key_slot
from proxy.commands.pins import Pin, PinTable


def fixes_of(log: bytes, rules: Rules | None = None) -> tuple[list[Fix], list[Fix]]:
    """Return hash tags and pins."""
    fixes = find_fixes(analysed(log, rules=rules).together)
    return [fix for fix in fixes if not fix.is_pin], [fix for fix in fixes if fix.is_pin]


def users(count: int = 20) -> Iterator[str]:
    for n in range(1, count + 1):
        yield f"MULTI \n SET user:{n} x \n RPUSH user:{n}:cart x \n EXEC"


def test_a_tag_goes_up_to_what_the_keys_share() -> None:
    (fix,), _ = fixes_of(log_of("\n".join(users())))

    assert fix.patterns == (b"user:*", b"user:*:cart")
    assert fix.names == (b"{user:*}", b"{user:*}:cart")
    assert (fix.fixed_cluster, fix.fixed_slotway) == (20, 20)
    assert not fix.is_hot


@pytest.mark.parametrize(
    ("commands", "names"),
    [
        ("RENAME tmp:{n} user:{n}:name", (b"tmp:{*}", b"user:{*}:name")),
        ("RENAME a_{n} b_{n}_x", (b"a_{*}", b"b_{*}_x")),
        ("RENAME t:7{n}:u:{n} u:{n}", (b"t:*:u:{*}", b"u:{*}")),
        ("RENAME {{old:{n}}}:x new:{n}", (b"new:{*}", b"old:{*}:x")),
    ],
)
def test_a_tag_is_around_what_is_equal_in_all_names(
    commands: str, names: tuple[bytes, ...]
) -> None:
    log = log_of("\n".join(commands.format(n=n) for n in range(10, 30)))

    (fix,), _ = fixes_of(log)

    assert sorted(fix.names) == sorted(names)
    assert fix.fixed_cluster == 20


def test_the_proposed_names_do_share_a_slot() -> None:
    (fix,), _ = fixes_of(log_of("\n".join(users())))

    for value in (b"1", b"17", b"4711"):
        assert len({key_slot(name.replace(b"*", value)) for name in fix.names}) == 1


def test_names_that_only_people_can_tell_apart_are_learnt() -> None:
    words = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)]
    log = log_of("\n".join(f"RENAME user:{word}:tmp user:{word}" for word in words))

    (fix,), _ = fixes_of(log)

    assert fix.names == (b"{user:*}", b"{user:*}:tmp")
    assert fix.fixed_cluster == 300


def test_keys_with_nothing_in_common_get_a_pin_and_no_tag() -> None:
    tags, (pin,) = fixes_of(log_of("EVAL body 3 bull:q:wait bull:q:active bull:q:1 \n GET other"))

    assert tags == []
    assert (pin.names, pin.tag) == ((b"bull:q:",), b"bull")
    assert pin.fixed_slotway == 1
    assert pin.hottest_share == pytest.approx(3 / 4)
    assert pin.is_hot


def test_the_pin_that_is_proposed_helps() -> None:
    log = log_of("EVAL body 2 jobs:wait jobs:active \n EVAL body 2 queue locks:1")
    _, pins = fixes_of(log)
    table = PinTable([Pin(prefix, pin.tag) for pin in pins for prefix in pin.names])

    analysis = analysed(log, rules=Rules(pins=table))

    assert sum(pin.fixed_slotway for pin in pins) == 2
    assert all(finding.slotway == 0 for finding in analysis.findings)


def test_a_pin_is_not_proposed_for_what_slotway_does_anyway() -> None:
    tags, pins = fixes_of(log_of("MGET page:1 page:2 \n BLPOP high low 0"))

    assert (tags, pins) == ([], [])


def test_a_pin_does_not_help_a_script_that_makes_up_its_keys() -> None:
    _, pins = fixes_of(log_of("EVAL body 1 a \n lua: GET b"))

    assert pins == []


def test_no_tag_helps_a_script_that_is_given_no_key() -> None:
    tags, pins = fixes_of(log_of("EVAL body 0 \n lua: GET user:1 \n lua: GET user:1:cart"))

    assert (tags, pins) == ([], [])


def test_a_hot_value_is_named_with_its_share_of_all_traffic() -> None:
    busy = [f"RENAME user:7:tmp user:7 \n GET user:{n}" for n in range(100, 150)]
    log = log_of("\n".join([*busy, "RENAME user:8:tmp user:8"]))

    (fix,), _ = fixes_of(log)

    assert fix.hottest_value == b"7"
    assert fix.hottest_share == pytest.approx(100 / 152, abs=0.05)
    assert fix.is_hot


def test_a_pattern_has_one_tag_the_one_that_fixes_most() -> None:
    often = [f"RENAME user:{n}:{n}5 acct:{n}" for n in range(10, 30)]
    seldom = [f"RENAME user:{n}:{n}5 item:{n}5" for n in range(10, 15)]

    (fix,), _ = fixes_of(log_of("\n".join(often + seldom)))

    assert fix.patterns == (b"acct:*", b"user:*:*")
    assert fix.names == (b"acct:{*}", b"user:{*}:*")
    assert fix.fixed_cluster == 20


@pytest.mark.parametrize("extra", [0, 1])
def test_groups_and_patterns_are_kept_up_to_their_limits(
    monkeypatch: pytest.MonkeyPatch, extra: int
) -> None:
    monkeypatch.setattr(together, "GROUP_LIMIT", 3)
    monkeypatch.setattr(together, "PATTERN_LIMIT", 6)
    words = [f"x{chr(97 + n)}" for n in range(3 + extra)]

    analysis = analysed(log_of("\n".join(f"RENAME {word}:a {word}:b" for word in words)))

    assert len(analysis.together.groups()) == 3
    assert analysis.together.other_groups == extra
    assert analysis.together.other_uses == 2 * extra


@pytest.mark.parametrize(("count", "cut"), [(64, 0), (65, 1)])
def test_keys_of_one_command_are_compared_up_to_a_limit(count: int, cut: int) -> None:
    analysis = analysed(log_of("MGET " + " ".join(f"page:{n}" for n in range(count))))

    (group,) = analysis.together.groups()
    assert [text_of(pattern) for pattern in group.patterns] == [b"page:*"]
    assert analysis.together.cut == cut
    assert analysis.together.total == count


def test_uses_are_counted_by_slot_as_keys_are_named_now() -> None:
    analysis = analysed(log_of("GET a \n GET a \n SET a 1 \n GET b"))

    slots = analysis.together.slots
    assert (slots[key_slot(b"a")], slots[key_slot(b"b")], sum(slots)) == (3, 1, 4)
