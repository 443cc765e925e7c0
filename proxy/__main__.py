"""Where the process begins: ``slotway``, and ``python -m proxy``.

Strategy: loading the command line takes a few tenths of a second, in which nothing is begun
that would have to be ended. Ctrl-C in it ends the process at once and without a word;
afterwards each command sees to it itself.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

# What a shell says of a command that Ctrl-C has ended: 128 + SIGINT.
EXIT_INTERRUPTED = 130


def main() -> None:
    """Load the command line and run it."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, _leave)
    from proxy import cli

    cli.load()
    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        cli.app()
    except KeyboardInterrupt:
        os._exit(EXIT_INTERRUPTED)


def _leave(number: int, frame: FrameType | None) -> None:
    # Not by an exception: one that is raised inside an import is told by whoever is loading.
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
