"""Which of the time limits a command has: a closed set, for deadlines by kind of command.

Strategy: the server's own flags decide, as for families, so a command of a new server needs
no new release. A command belongs to the first kind that fits.
"""

from __future__ import annotations

from proxy.commands.kinds import CARRY_A_SCRIPT, NAME_A_SCRIPT
from proxy.commands.spec import CommandSpec, Road

PATIENCES: tuple[str, ...] = ("request", "read", "write", "script", "admin")
"""Every kind. ``"request"`` is what has no kind of its own: commands without a row, and blocks
of several commands. Each has a setting, ``timeouts.read_s`` and so on; of the first it is
``cluster.request_timeout_s``, which also stands for every other that is not set."""


def patience_of(spec: CommandSpec) -> str:
    """Return the kind of a command, one of ``PATIENCES``."""
    if spec.name in CARRY_A_SCRIPT | NAME_A_SCRIPT:
        return "script"
    if b"admin" in spec.flags or spec.road is Road.FAN_OUT:
        return "admin"
    return "write" if spec.is_write else "read"


def setting_of(patience: str) -> str:
    """Return the name of the setting that says how long a kind may take."""
    return "cluster.request_timeout_s" if patience == "request" else f"timeouts.{patience}_s"
