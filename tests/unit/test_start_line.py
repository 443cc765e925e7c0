"""The line that a proxy starts with."""

from __future__ import annotations

from proxy.config import Settings
from proxy.life.announce import changed_keys, start_facts


def test_it_says_where_the_proxy_is_and_what_it_fronts() -> None:
    settings = Settings.model_validate({"cluster": {"seeds": ["a:1", "b:2"]}})

    facts = start_facts(
        settings, port=6380, admin_port=9379, server=(b"valkey", b"9.1.0"), topology=None
    )

    assert facts.pop("version")
    assert facts == {
        "address": "127.0.0.1:6380",
        "admin": "127.0.0.1:9379",
        "server": b"valkey 9.1.0",
        "primaries": 0,
        "nodes": 0,
        "seeds": "a:1, b:2",
        "set": "nothing else",
    }


def test_many_seeds_are_counted() -> None:
    seeds = [f"h:{port}" for port in range(1, 51)]
    settings = Settings.model_validate({"cluster": {"seeds": seeds}})

    facts = start_facts(settings, port=1, admin_port=None, server=(b"", b""), topology=None)

    assert facts["seeds"] == "h:1, h:2, h:3 and 47 more"
    assert facts["admin"] == "none"


def test_settings_are_named_and_their_values_are_not_told() -> None:
    settings = Settings.model_validate(
        {
            "listen": {"port": 7},
            "cluster": {"password": "hunter2"},
            "log": {"level": "debug"},
            "pin": [{"prefix": "bull:", "tag": "bull"}],
        }
    )

    facts = start_facts(settings, port=7, admin_port=None, server=(b"", b""), topology=None)

    assert changed_keys(settings) == ["cluster.password", "log.level", "pin"]
    assert facts["set"] == "cluster.password, log.level, pin"
    assert "hunter2" not in repr(facts)


def test_a_setting_that_is_given_its_default_was_not_changed() -> None:
    assert changed_keys(Settings.model_validate({"log": {"level": "info"}})) == []


def test_it_says_where_tls_is_spoken() -> None:
    settings = Settings.model_validate({"listen": {"unix_socket": "/run/slotway.sock"}})

    def address(port: int, tls_port: int) -> object:
        return start_facts(
            settings,
            port=port,
            tls_port=tls_port,
            admin_port=None,
            server=(b"", b""),
            topology=None,
        )["address"]

    assert address(6379, 0) == "127.0.0.1:6379, /run/slotway.sock"
    assert address(6379, 6379) == "tls://127.0.0.1:6379, /run/slotway.sock"
    assert address(6379, 6380) == "127.0.0.1:6379, tls://127.0.0.1:6380, /run/slotway.sock"
