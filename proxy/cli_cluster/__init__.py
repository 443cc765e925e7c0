"""``slotway cluster``: create, inspect, check, grow, shrink and repair the cluster behind the port.

``desk`` is what all commands share; ``creating``, ``looking``, ``moving``, ``members`` and
``shapes`` are the commands, one short function each; ``show_*`` is how answers look on a
terminal. What is answered and what is done is in ``proxy.manage``.
"""

from proxy.cli_cluster.app import app

__all__ = ["app"]
