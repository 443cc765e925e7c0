"""A breaker opens late and closes at once: law 6 first."""

from __future__ import annotations

import math

from proxy.control.breaker import Breaker

AFTER_S = 20.0


def gave_up(
    breaker: Breaker, now: float, *, waited_s: float = 20.0, silent_s: float = math.inf
) -> bool:
    """Tell a breaker that a request was given up."""
    return breaker.gave_up(now, waited_s=waited_s, silent_s=silent_s, after_s=AFTER_S)


def test_it_opens_when_a_request_has_waited_in_vain_for_so_long() -> None:
    breaker = Breaker()

    assert gave_up(breaker, 100.0, silent_s=21.0)
    assert breaker.opened_at == 100.0


def test_it_opens_once() -> None:
    breaker = Breaker()

    assert [gave_up(breaker, 100.0), gave_up(breaker, 100.1)] == [True, False]


def test_a_node_that_was_heard_meanwhile_is_only_slow() -> None:
    breaker = Breaker()

    assert not gave_up(breaker, 100.0, silent_s=19.0)
    assert not gave_up(breaker, 100.1, silent_s=0.0)


def test_short_deadlines_add_up_while_the_node_stays_silent() -> None:
    breaker = Breaker()

    opened = [gave_up(breaker, now, waited_s=1.0, silent_s=now) for now in range(1, 23)]

    # The first one began to wait at 0, when nobody had heard of the node either.
    assert opened.index(True) == 19


def test_a_byte_between_begins_the_wait_anew() -> None:
    breaker = Breaker()
    for now in range(1, 19):
        gave_up(breaker, now, waited_s=1.0, silent_s=now)

    opened = [gave_up(breaker, now, waited_s=1.0, silent_s=now - 18.5) for now in range(19, 42)]

    assert opened.index(True) == 39 - 19


def test_a_sign_of_life_closes_it() -> None:
    breaker = Breaker()
    gave_up(breaker, 100.0)

    assert breaker.heard()
    assert breaker.opened_at is None
    assert not breaker.heard()
