"""Run a comparison from the command line: its section for a page, or why there is none."""

from collections.abc import Callable
from pathlib import Path

from ending import exit_code_of
from load.summary import put_between_markers


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

    def run() -> int:
        section = make_section()
        if page is not None:
            put_between_markers(page, section, *markers)
        print(section)
        return 0

    return exit_code_of(run, "The comparison", failures)
