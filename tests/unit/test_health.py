"""``slotway health`` finds the admin port where the settings say it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config import Admin
from proxy.errors import ConfigError
from proxy.life.health import DEFAULTS, admin_address, read_answer
from proxy.sources import Sources

pytestmark = pytest.mark.usefixtures("no_settings_from_outside")


SOURCES: dict[str, tuple[str, dict[str, str], dict[str, object]]] = {
    "defaults": ("", {}, {}),
    "a file": ('[admin]\naddress = "0.0.0.0"\nport = 1000\n', {}, {}),
    "a variable": ("[admin]\nport = 1000\n", {"SLOTWAY_ADMIN__PORT": "2000"}, {}),
    "a variable in lower case": ("", {"slotway_admin__address": "::1"}, {}),
    "a flag": ("[admin]\nport = 1\n", {"SLOTWAY_ADMIN__PORT": "2"}, {"port": "3000"}),
    "another table": ("[listen]\nport = 1\n", {}, {}),
    "HTTPS": ('[admin]\ntls_cert_file = "/a/cert.pem"\n', {}, {}),
    "disabled in the file": ("[admin]\nenabled = false\n", {}, {}),
    "disabled by a variable": ("", {"SLOTWAY_ADMIN__ENABLED": "False"}, {}),
    "disabled by a flag": ("", {"SLOTWAY_ADMIN__ENABLED": "true"}, {"enabled": "off"}),
    "enabled after all": ("[admin]\nenabled = false\n", {"SLOTWAY_ADMIN__ENABLED": "1"}, {}),
}


@pytest.mark.parametrize(("text", "variables", "flags"), SOURCES.values(), ids=SOURCES)
def test_it_reads_the_settings_as_the_proxy_does(
    text: str,
    variables: dict[str, str],
    flags: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    admin = Sources(path, {"admin": flags}).read().admin

    found = admin_address(path, {"admin": flags})

    has_tls = admin.tls_cert_file is not None
    assert found == ((admin.address, admin.port, has_tls) if admin.enabled else None)


def test_its_defaults_are_those_of_the_settings() -> None:
    admin = Admin()

    assert {
        "enabled": str(admin.enabled).lower(),
        "address": admin.address,
        "port": str(admin.port),
        "tls_cert_file": str(admin.tls_cert_file or ""),
    } == DEFAULTS


def test_a_port_that_the_kernel_chose_cannot_be_known() -> None:
    with pytest.raises(ConfigError, match="not 0"):
        admin_address(None, {"admin": {"port": "0"}})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        admin_address(tmp_path / "nowhere.toml", {})


@pytest.mark.parametrize("text", ["admin = 5", "admin = " + "[" * 20_000], ids=["number", "deep"])
def test_a_file_that_makes_no_sense_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=r"odd\.toml"):
        admin_address(file, {})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 20_000], ids=range(4))
def test_an_answer_that_is_none_of_ours_is_told(body: bytes) -> None:
    assert read_answer(b"HTTP/1.1 503 x\r\n\r\n" + body, "a:1") == (
        False,
        "a:1 is not the admin port of slotway",
    )


# ---- what is not loaded -----------------------------------------------------------------------


def loaded_by(*modules: str) -> set[str]:
    """Return the top names of all modules that a fresh Python has after importing these."""
    code = (
        f"import {', '.join(modules)}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_health_check_loads_nothing_heavy() -> None:
    loaded = loaded_by("proxy.cli", "proxy.life.health")

    assert loaded & {"trio", "pydantic", "structlog", "hypercorn", "starlette"} == set()


def test_without_an_admin_port_nothing_of_http_is_loaded() -> None:
    loaded = loaded_by("proxy.cli", "proxy.check", "proxy.serve")

    assert loaded & {"hypercorn", "starlette", "prometheus_client"} == set()
