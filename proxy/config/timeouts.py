"""The table ``[timeouts]``: how long requests of each kind may take."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from proxy.config.values import Table


class Timeouts(Table):
    """How long requests of a kind may take, where that is not cluster.request_timeout_s."""

    read_s: NonNegativeFloat = 0.0
    """Commands that only read; 0: cluster.request_timeout_s, as for the others."""
    write_s: NonNegativeFloat = 0.0
    """Commands that may write; 0: cluster.request_timeout_s."""
    script_s: NonNegativeFloat = 0.0
    """EVAL, FCALL and the like; 0: cluster.request_timeout_s."""
    admin_s: NonNegativeFloat = 0.0
    """Commands to all shards (KEYS, FLUSHALL) or flagged admin; 0: cluster.request_timeout_s."""
    blocking_margin_s: PositiveFloat = 0.5
    """How long after its own time a blocking command still waits for the server's nil."""

    def by_kind(self, general_s: float) -> dict[str, float]:
        """Return the seconds by kind, as ``commands.patience`` names them.

        Args:
            general_s: ``cluster.request_timeout_s``.
        """
        return {
            "request": general_s,
            "read": self.read_s or general_s,
            "write": self.write_s or general_s,
            "script": self.script_s or general_s,
            "admin": self.admin_s or general_s,
        }
