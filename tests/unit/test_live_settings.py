"""Every setting is either taken over while the proxy runs, or needs a restart and says why."""

from __future__ import annotations

from proxy.life.live_settings import LIVE, RESTART, WITH_ACL
from proxy.sources import LISTS, known_keys


def test_every_key_is_of_one_kind() -> None:
    every = [*known_keys(), *LISTS]

    assert sorted([*LIVE, *RESTART]) == sorted(every)


def test_who_waits_for_clients_acl_could_have_changed_alone() -> None:
    assert set(WITH_ACL) <= set(LIVE)
    assert "clients.acl" in RESTART


def test_every_restart_has_a_reason() -> None:
    assert all(RESTART.values())
