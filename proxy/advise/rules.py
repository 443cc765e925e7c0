"""With which settings slotway is imagined, when it is asked what would work behind it.

Strategy: plain values, filled from the settings that ``slotway serve`` would use, so that
after changing one the same traffic can be asked about again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.pins import PinTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decide what works."""

    transactions: Literal["strict", "split"] = "strict"
    cross_slot: Literal["reject", "reads", "all"] = "reads"
    denied: frozenset[bytes] = DENIED_BY_DEFAULT
    pins: PinTable = field(default_factory=lambda: PinTable(()))
    databases: int = 1
    """How many databases the cluster's servers have (``cluster-databases`` of Valkey 9)."""
