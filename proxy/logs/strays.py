"""Have one log: what libraries and Python itself have to say goes through structlog too.

Strategy: a handler at the root of ``logging`` for warnings and worse of the libraries, and
Python's own hooks for exceptions that nobody caught. Printed as they are, they would not be
JSON, and the task that prints them would wait for a full pipe.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

import structlog

log = structlog.get_logger()


class _ToStructlog(logging.Handler):
    """Hands records on."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(
            max(record.levelno, logging.DEBUG) // 10 * 10,
            record.getMessage(),
            logger=record.name,
            exc_info=record.exc_info,
        )


def route_strays() -> None:
    """Take over what would be printed past the log. May be called again."""
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _ended
    sys.unraisablehook = _unraisable
    threading.excepthook = _thread_ended


def _ended(
    kind: type[BaseException], value: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, value, traceback)
    else:
        log.critical("ended by an exception", exc_info=(kind, value, traceback))


def _unraisable(problem: sys.UnraisableHookArgs) -> None:
    # Not the object: its text may hold what clients sent.
    log.error(
        "an exception that nobody could catch",
        exc_info=(problem.exc_type, problem.exc_value, problem.exc_traceback),
    )


def _thread_ended(problem: threading.ExceptHookArgs) -> None:
    log.error(
        "a thread ended by an exception",
        thread=problem.thread and problem.thread.name,
        exc_info=(problem.exc_type, problem.exc_value, problem.exc_traceback),
    )
