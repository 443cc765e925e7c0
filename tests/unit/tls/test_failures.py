"""Failures of handshakes: a cause of a closed set, and words that name the setting."""

from __future__ import annotations

import ssl

import pytest

from proxy.sources import known_keys
from proxy.tls.failures import Cause, Handshakes, words_about_client, words_about_node


def problem(reason: str) -> ssl.SSLError:
    found = ssl.SSLError(1, f"[SSL: {reason}] words (_ssl.c:1006)")
    found.reason = reason
    return found


CAUSES = {
    "WRONG_VERSION_NUMBER": Cause.FOREIGN,
    "UNSUPPORTED_PROTOCOL": Cause.VERSION,
    "NO_SHARED_CIPHER": Cause.CIPHER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Cause.NO_CERTIFICATE,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Cause.NO_CERTIFICATE,
    "TLSV1_ALERT_UNKNOWN_CA": Cause.REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": Cause.REFUSED,
    "NO_RENEGOTIATION": Cause.OTHER,
}


@pytest.mark.parametrize(("reason", "cause"), CAUSES.items())
def test_a_reason_has_a_cause(reason: str, cause: Cause) -> None:
    assert Cause.of(problem(reason)) is cause


@pytest.mark.parametrize(
    ("code", "cause"), [(62, Cause.NAME), (64, Cause.NAME), (10, Cause.CERTIFICATE)]
)
def test_a_name_is_told_from_an_authority(code: int, cause: Cause) -> None:
    found = ssl.SSLCertVerificationError(1, "certificate verify failed")
    found.verify_code, found.verify_message = code, "because."

    assert Cause.of(found) is cause
    assert words_about_node(cause, found).endswith("certificate verify failed: because")


def test_a_connection_that_ends_is_closed() -> None:
    assert Cause.of(ssl.SSLEOFError(8, "EOF")) is Cause.CLOSED
    assert Cause.of(ConnectionResetError(104, "reset")) is Cause.CLOSED
    assert Cause.of(ValueError("?")) is Cause.OTHER


@pytest.mark.parametrize("cause", Cause)
def test_words_name_settings_that_exist_and_no_place_in_a_source(cause: Cause) -> None:
    for words in (words_about_client, words_about_node):
        told = words(cause, problem("SOME_REASON"))

        named = {word.strip("(),:") for word in told.split() if word.strip("(),:").count(".") == 1}
        assert {word for word in named if "tls" in word} <= set(known_keys())
        assert "some reason" in told
        assert "_ssl.c" not in told
        assert words(cause, None)


def test_handshakes_are_counted_by_cause() -> None:
    counts = Handshakes()
    counts.note(None)
    counts.note(Cause.NAME)

    assert counts.done == 1
    assert sum(counts.failed.values()) == counts.failed[Cause.NAME] == 1
    assert set(counts.failed) == set(Cause)
