"""Where log lines go and what they look like: standard error, for people or as JSON.

Strategy: structlog for all. A line passes the level, then the limit of its kind, then it is
made harmless and rendered, and a thread writes it (``writer.py``). What libraries tell
``logging`` goes the same way, and what Python itself would print. The level is looked at for
each line, so that it can be changed at any time.

Cost: a line that is below the level 12 us, one that is written 20 us as JSON and 40 us for
people, in the task that logs (CPython 3.11, CI machine).
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from typing import Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from proxy.logs.limits import LineLimits
from proxy.logs.strays import route_strays
from proxy.logs.text import Harmless
from proxy.logs.writer import LineWriter

Form = Literal["console", "json"]

# How long a proxy that ends waits for whoever reads its log.
FLUSH_S = 1.0
# A field of lines that somebody has asked for: no level and no limit holds them back.
ALWAYS = "_always"

log = structlog.get_logger()


class _Level:
    """Lets through what is important enough."""

    def __init__(self) -> None:
        self.name = "info"
        self._number = logging.INFO

    def set(self, name: str) -> None:
        self._number = logging.getLevelNamesMapping()[name.upper()]
        self.name = name

    def __call__(self, logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        number = logging.getLevelNamesMapping()[method.upper()]
        if number < self._number and ALWAYS not in fields:
            raise structlog.DropEvent
        return fields


class _Limit:
    """Lets through so many lines of a kind."""

    def __init__(self) -> None:
        self._limits = LineLimits()
        self._lock = threading.Lock()

    def __call__(self, logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
        if fields.pop(ALWAYS, False):
            return fields
        # What foreign loggers say is no closed set of names; who says it is.
        name = fields.get("logger", fields["event"])
        with self._lock:
            is_allowed = self._limits.allow(name, time.monotonic())
        if not is_allowed:
            raise structlog.DropEvent
        return fields

    def tell(self) -> None:
        """Say what was left out since this was last called."""
        with self._lock:
            left_out = self._limits.take_left_out()
        for name, lines in left_out.items():
            log.warning("lines left out", of=name, lines=lines, **{ALWAYS: True})


class _Lines:
    """What structlog calls a logger: every method takes a rendered line."""

    def __init__(self, writer: LineWriter) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = writer.write


_level = _Level()


def configure_logging(level: str, form: Form) -> None:
    """Set up the logging of the whole process, to standard error as it is now."""
    limit = _Limit()
    writer = LineWriter(sys.stderr.fileno(), on_dropped=_tell_dropped, when_due=limit.tell)
    lines = _Lines(writer)
    _level.set(level)
    structlog.configure(
        processors=[
            _level,
            limit,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Harmless(form),
            _renderer(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda *names: lines,
        cache_logger_on_first_use=False,
    )
    route_strays()
    atexit.register(writer.close, FLUSH_S)


def set_level(level: str) -> None:
    """Write from now on what is as important as this, and more.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
    """
    _level.set(level)


def current_level() -> str:
    """Return the level that was set last."""
    return _level.name


def requested_lines() -> FilteringBoundLogger:
    """Return a logger for lines that were asked for by name: no level and no limit holds."""
    bound: FilteringBoundLogger = structlog.get_logger().bind(**{ALWAYS: True})
    return bound


def _tell_dropped(lines: int) -> None:
    log.warning("lines dropped, nobody read them", lines=lines, **{ALWAYS: True})


def _renderer(form: Form) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )
