"""A time that somebody may wait, and the setting that says so, for the texts that name it."""

from __future__ import annotations

from typing import Self

GENERAL = "cluster.request_timeout_s"


class TimeLimit(float):
    """Seconds that know which setting they are from.

    Attributes:
        setting: ``table.key``.
    """

    setting: str

    def __new__(cls, seconds: float, setting: str = GENERAL) -> Self:
        """Return so many seconds, by this setting."""
        limit = super().__new__(cls, seconds)
        limit.setting = setting
        return limit


def told(timeout_s: float) -> bytes:
    """Return a limit as texts name it; one without a name is ``cluster.request_timeout_s``."""
    setting = timeout_s.setting if isinstance(timeout_s, TimeLimit) else GENERAL
    return b"%b (%g)" % (setting.encode(), timeout_s)
