"""What a check of health finds."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.cluster.addresses import Address


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    code: str
    """From a closed set, for programs: ``state``, ``coverage``, ``silent``, ..."""
    severity: str
    """``problem``: requests fail or data is lost now. ``warning``: when one more thing happens."""
    node: Address | None
    """Where; None if it concerns the whole."""
    words: str
    """For people; without the node."""
