"""Where the process begins: ``slotway``, and ``python -m proxy``.

Strategy: loading the command line takes a few tenths of a second, in which nothing is begun
that would have to be ended. Ctrl-C in it ends the process at once and without a word;
afterwards each command sees to it itself. Standard streams that are closed are opened on
nothing, so that no socket gets their numbers; one that cannot be written to ends the command.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

# What a shell says of a command that Ctrl-C has ended: 128 + SIGINT.
EXIT_INTERRUPTED = 130
EXIT_PROBLEM = 1

# A full disk, a full quota, a file as long as it may be, a disk that fails.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Load the command line and run it."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, _leave)
    _open_standard_streams()
    from proxy import cli

    cli.load()
    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            cli.app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        os._exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os._exit(EXIT_PROBLEM)  # who read has gone, as head does: nothing is to be said
    except OSError as problem:
        if problem.errno not in _CANNOT_WRITE:
            raise
        with suppress(OSError):
            os.write(2, f"slotway: cannot write: {problem.strerror}\n".encode())
        # Not by an exception: what is left in the buffer would fail once more, with a traceback.
        os._exit(EXIT_PROBLEM)


def _open_standard_streams() -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _leave(number: int, frame: FrameType | None) -> None:
    # Not by an exception: one that is raised inside an import is told by whoever is loading.
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
