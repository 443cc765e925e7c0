"""Run a comparison from the command line: its section for a page, or why there is none."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from load.summary import put_between_markers

_GONE_WRONG = 2


def tell_comparison(
    make_section: Callable[[], str],
    page: Path | None,
    markers: tuple[str, str],
    failures: tuple[type[Exception], ...],
) -> int:
    """Print what was compared, and put it between a page's markers.

    Args:
        make_section: Measures, and returns the section as Markdown.
        page: None: it is only printed.
        markers: Where it begins and ends there.
        failures: What may go wrong without being a bug.

    Returns:
        The exit code: 0, 2 if something could not be run, or that of Ctrl-C.
    """
    try:
        section = make_section()
        if page is not None:
            put_between_markers(page, section, *markers)
    except failures as error:
        print(f"The comparison cannot go on: {error}", file=sys.stderr)
        return _GONE_WRONG
    except KeyboardInterrupt:
        print("Interrupted; every process is stopped.", file=sys.stderr)
        return 128 + signal.SIGINT
    print(section)
    return 0
