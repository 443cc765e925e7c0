"""How a measurement ends: with an exit code, whatever happens, and nothing left running."""

import signal
import sys
from collections.abc import Callable
from types import FrameType

GONE_WRONG = 2


def exit_code_of(run: Callable[[], int], what: str, failures: tuple[type[Exception], ...]) -> int:
    """Measure; return the exit code of ``run``, 2 if it could not go on, or that of Ctrl-C.

    Args:
        run: Ends what it starts, whatever it is left by.
        what: It is, at the beginning of a sentence.
        failures: What may go wrong without being a bug.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        return run()
    except failures as error:
        print(f"{what} cannot go on: {error}", file=sys.stderr)
        return GONE_WRONG
    except KeyboardInterrupt:
        print("Interrupted; every process is stopped.", file=sys.stderr)
        return 128 + signal.SIGINT


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)
