"""Why a handshake failed: a cause from a closed set, and words that name the setting.

Strategy: OpenSSL's reasons are many and written for those who know them. Each is one of a
few causes, which are counted; the words say whose certificate it was about and where to look.

Source: the reasons are the names in OpenSSL's ``sslerr.h``, as Python gives them in
``SSLError.reason``; an alert is what the other side has found.
"""

from __future__ import annotations

import ssl
from enum import StrEnum
from typing import Self


class Cause(StrEnum):
    """Why a handshake failed."""

    FOREIGN = "foreign"
    """The other side speaks something else than TLS."""
    VERSION = "version"
    """No version of TLS that both sides allow."""
    CIPHER = "cipher"
    """No cipher that both sides allow, or one of OpenSSL's other reasons not to go on."""
    NO_CERTIFICATE = "no_certificate"
    """A client certificate was required, and none was shown."""
    CERTIFICATE = "certificate"
    """We do not accept the other side's certificate."""
    NAME = "name"
    """The other side's certificate is for another name."""
    REFUSED = "refused"
    """The other side does not accept our certificate."""
    TIMEOUT = "timeout"
    """It was not done in time."""
    CLOSED = "closed"
    """The other side closed the connection meanwhile."""
    OTHER = "other"
    """Anything else."""

    @classmethod
    def of(cls, problem: Exception) -> Self:
        """Return the cause of an error that ``ssl`` or the kernel has raised."""
        if isinstance(problem, ssl.SSLCertVerificationError):
            return cls.NAME if problem.verify_code in _OTHER_NAME else cls.CERTIFICATE
        if isinstance(problem, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return cls.CLOSED
        if isinstance(problem, ssl.SSLError):
            return cls(_BY_REASON.get(problem.reason or "", cls.OTHER))
        return cls.CLOSED if isinstance(problem, OSError) else cls.OTHER


# X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OTHER_NAME = frozenset({62, 64})

_REASONS: dict[Cause, tuple[str, ...]] = {
    Cause.FOREIGN: (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
    ),
    Cause.VERSION: (
        "UNSUPPORTED_PROTOCOL",
        "VERSION_TOO_LOW",
        "NO_PROTOCOLS_AVAILABLE",
        "TLSV1_ALERT_PROTOCOL_VERSION",
    ),
    Cause.CIPHER: (
        "NO_SHARED_CIPHER",
        "NO_SUITABLE_SIGNATURE_ALGORITHM",
        "NO_SUITABLE_KEY_SHARE",
        "NO_CIPHERS_AVAILABLE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
    ),
    Cause.NO_CERTIFICATE: (
        "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ),
    Cause.REFUSED: (
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_UNRECOGNIZED_NAME",
        "TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    ),
}
_BY_REASON = {reason: cause for cause, reasons in _REASONS.items() for reason in reasons}

_OF_CLIENTS = {
    Cause.FOREIGN: "it spoke without TLS on a TLS port",
    Cause.VERSION: "no common version of TLS (tls.min_version)",
    Cause.CIPHER: "no common cipher (tls.ciphers)",
    Cause.NO_CERTIFICATE: "it showed no certificate (tls.client_certificates)",
    Cause.CERTIFICATE: "its certificate is not accepted (tls.ca_file)",
    Cause.REFUSED: "it does not accept the certificate that it was shown (tls.cert_file)",
    Cause.TIMEOUT: "not done within tls.handshake_timeout_s",
}
_OF_NODES = {
    Cause.FOREIGN: "it does not speak TLS there: cluster.tls and the node's tls-port do not fit",
    Cause.VERSION: "no common version of TLS (cluster.tls_min_version)",
    Cause.CIPHER: "no common cipher (cluster.tls_ciphers)",
    Cause.NO_CERTIFICATE: "it wants a client certificate (cluster.tls_cert_file)",
    Cause.CERTIFICATE: "its certificate is not accepted (cluster.tls_ca_file)",
    Cause.NAME: "its certificate is for another name (cluster.tls_server_name, cluster.tls_verify)",
    Cause.REFUSED: "it does not accept our certificate (cluster.tls_cert_file)",
    Cause.CLOSED: "it closed the connection: a port without TLS?",
}


def words_about_client(cause: Cause, problem: Exception | None) -> str:
    """Return why the handshake of a client failed."""
    return _words(_OF_CLIENTS, cause, problem)


def words_about_node(cause: Cause, problem: Exception | None) -> str:
    """Return why the handshake with a node failed."""
    return _words(_OF_NODES, cause, problem)


def _words(known: dict[Cause, str], cause: Cause, problem: Exception | None) -> str:
    told = [known[cause]] if cause in known else []
    told += [openssl_words(problem)] if problem is not None and str(problem) else []
    return "TLS handshake failed: " + ": ".join(told or ["no reason was given"])


def openssl_words(problem: Exception) -> str:
    """Return an error's own words, without the places in the source that it came from."""
    if isinstance(problem, ssl.SSLCertVerificationError) and problem.verify_message:
        return f"certificate verify failed: {problem.verify_message.rstrip('.')}"
    if isinstance(problem, ssl.SSLError) and problem.reason:
        return problem.reason.replace("_", " ").lower()
    return str(getattr(problem, "strerror", None) or problem)


class Handshakes:
    """How many handshakes there were, on one side.

    Attributes:
        done: Those that came to a good end.
        failed: The others, by cause; each cause has an entry.
    """

    def __init__(self) -> None:
        self.done = 0
        self.failed = dict.fromkeys(Cause, 0)

    def note(self, cause: Cause | None) -> None:
        """Count one; ``cause`` says why it failed, None that it did not."""
        if cause is None:
            self.done += 1
        else:
            self.failed[cause] += 1
