"""Certificates that expire are told a month before, each day, and are used all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
import trustme
from structlog.testing import capture_logs
from trio.testing import MockClock

from proxy.config import Settings
from proxy.life.certificates import LOOK_S, Certificates, Contexts

CA = trustme.CA(key_type=trustme.KeyType.ECDSA)
DAY_S = 86_400


def settings_with(tmp_path: Path, days: float) -> Settings:
    issued = CA.issue_cert("a.test", not_after=datetime.now(UTC) + timedelta(days=days))
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    return Settings.model_validate({"tls": {"mode": "only", "cert_file": tmp_path / "both.pem"}})


@pytest.mark.parametrize(
    ("days", "line"),
    [
        (31, None),
        (29, "certificate expires soon"),
        (-1, "certificate has expired"),
    ],
)
async def test_what_is_told_of_one(tmp_path: Path, days: float, line: str | None) -> None:
    contexts = Contexts.of(settings_with(tmp_path, days))
    with capture_logs() as told:
        Certificates().use(contexts.expiries)

    assert contexts.clients is not None
    assert [entry["event"] for entry in told] == ([line] if line else [])
    assert all(entry["setting"] == "tls.cert_file" for entry in told)


async def test_it_is_told_once_a_day(tmp_path: Path, autojump_clock: MockClock) -> None:
    contexts = Contexts.of(settings_with(tmp_path, 3))
    certificates = Certificates()
    with capture_logs() as told:
        certificates.use(contexts.expiries)
        certificates.use(contexts.expiries)
        with trio.move_on_after(2 * DAY_S + LOOK_S):
            await certificates.run()

    assert len(told) == 3


async def test_a_new_one_is_silence(tmp_path: Path, autojump_clock: MockClock) -> None:
    certificates = Certificates()
    certificates.use(Contexts.of(settings_with(tmp_path, 3)).expiries)
    with capture_logs() as told:
        certificates.use(Contexts.of(settings_with(tmp_path, 90)).expiries)
        with trio.move_on_after(2 * DAY_S):
            await certificates.run()

    assert told == []
