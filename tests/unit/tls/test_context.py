"""Contexts of files: what is wrong with one is told by the key that names it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from proxy.errors import ConfigError
from proxy.tls.context import Files, context_of_clients, context_of_nodes

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
NODE = CA.issue_cert("node.test", key_type=trustme.KeyType.ECDSA)
OTHER = CA.issue_cert("other.test", key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a CA, two certificates and their keys, and a few that are wrong."""
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, issued in (("node", NODE), ("other", OTHER)):
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    both = NODE.cert_chain_pems[0].bytes() + NODE.private_key_pem.bytes()
    (tmp_path / "both.pem").write_bytes(both)
    key = serialization.load_pem_private_key(NODE.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "cut.pem").write_bytes(both[:100])
    return tmp_path


def refused(make: Callable[[], object]) -> str:
    with pytest.raises(ConfigError) as problem:
        make()
    return f"{problem.value.key}: {problem.value.allowed}"


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no file": ({"cert_file": "nowhere"}, "tls.cert_file: .*No such file"),
    "a directory": ({"cert_file": "."}, "tls.cert_file: .*Is a directory"),
    "nothing in it": ({"cert_file": "empty.pem"}, "tls.cert_file: .*no certificate in it"),
    "cut off": ({"cert_file": "cut.pem"}, "tls.cert_file: .*without its last line"),
    "no key": ({"cert_file": "node.crt"}, "tls.cert_file: a PEM file with a private key"),
    "no key file": ({"cert_file": "node.crt", "key_file": "nowhere"}, "tls.key_file: .*No such"),
    "the key of another": (
        {"cert_file": "node.crt", "key_file": "other.key"},
        "tls.key_file: the key of the certificate in tls.cert_file",
    ),
    "a key with a password": (
        {"cert_file": "node.crt", "key_file": "locked.key"},
        "tls.key_file: a key that the password in tls.key_password_file opens",
    ),
    "no CA": (
        {"cert_file": "both.pem", "ca_file": "nowhere"},
        "tls.ca_file: .*No such file",
    ),
    "a CA without certificate": (
        {"cert_file": "both.pem", "ca_file": "other.key"},
        "tls.ca_file: .*no certificate in it",
    ),
}


@pytest.mark.parametrize(("files", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_by_its_key(place: Path, files: dict[str, str], words: str) -> None:
    given = {key: place / name for key, name in files.items()}
    wanted = "required" if "ca_file" in given else "none"

    told = refused(lambda: context_of_clients(Files(keys="tls.", **given), wanted))

    assert re.match(words, told), told


def test_a_password_opens_a_key(place: Path) -> None:
    files = Files(
        keys="tls.",
        cert_file=place / "node.crt",
        key_file=place / "locked.key",
        read_password=lambda: "sesame",
    )

    assert context_of_clients(files, "none")


def test_no_list_of_ciphers_is_told(place: Path) -> None:
    files = Files(keys="cluster.tls_", ca_file=place / "ca.pem", ciphers="ROT13")

    assert refused(lambda: context_of_nodes(files, "full")).startswith("cluster.tls_ciphers: ")


def test_more_certificates_bring_their_keys(place: Path) -> None:
    files = Files(keys="tls.", cert_file=place / "both.pem")

    told = refused(lambda: context_of_clients(files, "none", (place / "other.crt",)))

    assert told == "tls.more_certificates: a PEM file with a private key"


def test_how_much_is_verified(place: Path) -> None:
    files = Files(keys="cluster.tls_", ca_file=place / "ca.pem", min_version="1.3")
    full, chain, none = (context_of_nodes(files, how) for how in ("full", "chain", "none"))

    assert (full.check_hostname, full.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (chain.check_hostname, chain.verify_mode) == (False, ssl.CERT_REQUIRED)
    assert (none.check_hostname, none.verify_mode) == (False, ssl.CERT_NONE)
    assert full.minimum_version == ssl.TLSVersion.TLSv1_3


def test_nobody_renegotiates_and_nothing_is_compressed(place: Path) -> None:
    for context in (
        context_of_clients(Files(keys="tls.", cert_file=place / "both.pem"), "none"),
        context_of_nodes(Files(keys="cluster.tls_", ca_file=place / "ca.pem"), "full"),
    ):
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
