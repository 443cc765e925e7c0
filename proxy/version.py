"""Which version of the package this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version


def find_version() -> str | None:
    """Return the version; None in a source tree that is not installed."""
    try:
        return distribution_version("slotway")
    except PackageNotFoundError:
        return None
