"""How often a key's writes may have taken effect, as its client's replies come in."""

from __future__ import annotations

from history import History, Record


class Bounds:
    """Counts the writes of one client to one key, in the order in which it sent them."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.firm = 0
        """Acknowledged, and nothing explains that they be gone."""
        self.soft = 0
        """Acknowledged, and perhaps gone with a server."""
        self.unknown = 0

    @property
    def most(self) -> int:
        """How many may have run at the most."""
        return self.firm + self.soft + self.unknown

    def note(self, record: Record) -> None:
        """Count one more write."""
        if record.is_unknown:
            self.unknown += 1
        elif record.is_acknowledged:
            is_soft = self._history.is_excused(record)
            self.soft += is_soft
            self.firm += not is_soft
