"""What tests of several rooms need."""

from __future__ import annotations

import pytest

from proxy.sources import known_keys


@pytest.fixture
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the settings out of the environment that this machine may have there."""
    for key in known_keys():
        monkeypatch.delenv("SLOTWAY_" + key.replace(".", "__").upper(), raising=False)
