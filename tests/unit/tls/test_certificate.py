"""Certificates are read as a well-known library reads them, and garbage is told."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from proxy.tls.certificate import parse_certificate, read_certificates

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
END = datetime(2031, 5, 17, 11, 22, 33, tzinfo=UTC)
ISSUED = CA.issue_cert(
    *("redis.example.org", "*.Wild.example.org", "10.0.0.1", "2001:db8::1"),
    common_name="Köln",
    not_after=END,
)
PEM = ISSUED.cert_chain_pems[0].bytes().decode()
DER = ssl.PEM_cert_to_DER_cert(PEM)


def test_names_and_dates_are_found() -> None:
    found = parse_certificate(DER)

    assert found.common_name == "Köln"
    assert found.names == ("redis.example.org", "*.wild.example.org", "10.0.0.1", "2001:db8::1")
    assert found.not_after == END
    assert found.title == "Köln"


def test_they_are_what_another_reader_finds() -> None:
    theirs = x509.load_der_x509_certificate(DER)

    ours = parse_certificate(DER)

    assert (ours.not_before, ours.not_after) == (
        theirs.not_valid_before_utc,
        theirs.not_valid_after_utc,
    )


def test_a_certificate_without_names_has_a_title_all_the_same() -> None:
    (authority,) = read_certificates(CA.cert_pem.bytes().decode())

    assert authority.names == ()
    assert authority.title == "a certificate without a name"


def test_a_chain_is_read_in_order_and_keys_are_passed_over() -> None:
    text = ISSUED.private_key_pem.bytes().decode() + PEM + CA.cert_pem.bytes().decode()

    found = read_certificates(text)

    assert [each.common_name for each in found] == ["Köln", ""]
    assert read_certificates("no certificate at all") == []


def test_a_text_that_ends_in_the_middle_is_told() -> None:
    with pytest.raises(ValueError, match="without its last line"):
        read_certificates(PEM[:200])


@given(
    st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(DER)),
)
def test_garbage_is_told_and_nothing_else(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(DER)
    for place, byte in changes:
        data[place] = byte
    try:
        parse_certificate(bytes(data[:length]))
    except ValueError:
        return
