"""Settings of TLS: what goes together, and what nobody is told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from proxy.config import Settings
from proxy.config.files import files_of
from proxy.errors import ConfigError
from proxy.life.certificates import Contexts
from proxy.listeners import open_tls_listeners
from proxy.sources import load_settings


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "proxy.toml"
    path.write_text(text)
    return load_settings(path)


WRONG = {
    "no certificate": ('[tls]\nmode = "only"\n', "tls.cert_file"),
    "an unknown mode": ('[tls]\nmode = "maybe"\n', "tls.mode"),
    "nobody to judge": ('[tls]\nclient_certificates = "required"\n', "tls.ca_file"),
    "an old version": ('[tls]\nmin_version = "1.0"\n', "tls.min_version"),
    "an unknown way to verify": ('[cluster]\ntls_verify = "yes"\n', "cluster.tls_verify"),
}


@pytest.mark.parametrize(("text", "key"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_refused_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as problem:
        load(tmp_path, text)

    assert problem.value.key == key


def test_files_are_not_opened_while_tls_is_off(tmp_path: Path) -> None:
    settings = load(tmp_path, '[tls]\ncert_file = "nowhere"\n[cluster]\ntls_ca_file = "nowhere"\n')

    contexts = Contexts.of(settings)

    assert (contexts.clients, contexts.nodes, contexts.admin) == (None, None, None)
    assert contexts.expiries == ()


def test_every_file_is_watched(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[tls]\ncert_file = "a"\nkey_file = "b"\nkey_password_file = "c"\nca_file = "d"\n'
        'more_certificates = ["e", "f"]\n'
        '[cluster]\ntls_ca_file = "g"\ntls_cert_file = "h"\ntls_key_file = "i"\n'
        '[admin]\ntls_cert_file = "j"\ntls_key_file = "k"\n',
    )

    assert sorted(map(str, files_of(settings))) == list("abcdefghijk")


def test_a_password_file_that_has_gone_is_told_without_its_words(tmp_path: Path) -> None:
    settings = load(tmp_path, '[tls]\nkey_password_file = "nowhere"\n')

    with pytest.raises(ConfigError, match=r"tls\.key_password_file"):
        settings.tls.files().read_password()


@pytest.mark.parametrize("mode", ["only", "beside"])
def test_tls_needs_a_tcp_port(mode: str) -> None:
    """A Unix socket is plain: whoever asks for TLS there would believe to have it."""
    tls = Settings().tls.model_copy(update={"mode": mode})
    with socket.socket(socket.AF_UNIX) as unix, pytest.raises(ConfigError) as problem:
        open_tls_listeners(Settings().listen, tls, [unix])

    assert problem.value.key == "tls.mode"


def test_tls_beside_the_plain_port_has_a_port_of_its_own() -> None:
    """On one port nobody could be plain, and that would be said to nobody."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]
        listen = Settings().listen.model_copy(update={"port": port})
        tls = Settings().tls.model_copy(update={"mode": "beside", "port": port})
        with pytest.raises(ConfigError) as problem:
            open_tls_listeners(listen, tls, [plain])

    assert problem.value.key == "tls.port"
