"""What a certificate says of itself: for whom it is, and until when.

Strategy: Python's ``ssl`` tells this only of a certificate that the other side has shown and
that is valid. To say that one of our own has expired, its few fields are read here: DER is
lengths and contents, and only the way to the dates and the names is walked. Nothing is
trusted because of it; OpenSSL alone decides on that.

Source: RFC 5280, section 4.1 (Certificate) and 4.2.1.6 (SubjectAltName); X.690 (DER).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

_UTC_TIME = 0x17
_OID_COMMON_NAME = bytes.fromhex("550403")
_OID_ALT_NAMES = bytes.fromhex("551d11")
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_OID = 0x06


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is read of one certificate."""

    common_name: str
    """Of its subject; empty if it has none."""
    names: tuple[str, ...]
    """DNS names and IP addresses it is for; ``*.example.org`` as it is written."""
    not_before: datetime
    not_after: datetime

    @property
    def title(self) -> str:
        """What to call it."""
        return self.common_name or ", ".join(self.names[:3]) or "a certificate without a name"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when a file of ours is good."""

    key: str
    """The setting that names it."""
    file: Path
    title: str
    """Whom the certificate is for."""
    not_after: datetime
    """Of the certificate, or of the first of its chain to expire."""


def read_certificates(pem: str) -> list[Certificate]:
    """Return the certificates in a PEM text, in their order; other blocks are passed over.

    Raises:
        ValueError: One of them is not a certificate.
    """
    found = []
    for piece in pem.split(_BEGIN)[1:]:
        body, end, _ = piece.partition(_END)
        if not end:
            raise ValueError("a certificate without its last line")
        found.append(parse_certificate(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{body}{_END}")))
    return found


def parse_certificate(der: bytes) -> Certificate:
    """Return what a certificate says.

    Raises:
        ValueError: It is not one.
    """
    try:
        return _parse(der)
    except (IndexError, StopIteration, UnicodeDecodeError):
        raise ValueError("not an X.509 certificate") from None


def _parse(der: bytes) -> Certificate:
    ((_, certificate),) = _values(der)
    _, to_be_signed = next(_values(certificate))
    fields = list(_values(to_be_signed))
    if fields[0][0] == _VERSION:
        del fields[0]
    # serial number, algorithm, issuer, validity, subject, key, and what is optional
    validity, subject = fields[3][1], fields[4][1]
    not_before, not_after = (_time(tag, value) for tag, value in _values(validity))
    return Certificate(
        common_name=_common_name(subject),
        names=tuple(_alt_names(value for tag, value in fields[6:] if tag == _EXTENSIONS)),
        not_before=not_before,
        not_after=not_after,
    )


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and contents of each value in ``data``."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise IndexError
        yield tag, data[at : at + length]
        at += length


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # years from 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _common_name(subject: bytes) -> str:
    for _, names in _values(subject):
        for _, pair in _values(names):
            (_, oid), (_, value) = _values(pair)
            if oid == _OID_COMMON_NAME:
                return value.decode("utf-8", "replace")
    return ""


def _alt_names(extensions: Iterator[bytes]) -> Iterator[str]:
    for wrapped in extensions:
        ((_, sequence),) = _values(wrapped)
        for _, extension in _values(sequence):
            oid, *_, (_, contents) = _values(extension)
            if oid != (_OID, _OID_ALT_NAMES):
                continue
            ((_, names),) = _values(contents)
            for tag, name in _values(names):
                if tag == _DNS_NAME:
                    yield name.decode("ascii").lower()
                elif tag == _IP_ADDRESS:
                    yield str(ip_address(name))
