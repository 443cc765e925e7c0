"""The command ``slotway advise``: read a log or watch a server, and print the report.

Strategy: the report goes to standard output and nothing else does; progress and warnings go
to standard error, progress only if that is a terminal. The exit code is for scripts.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from proxy.advise.analysis import Analysis
from proxy.advise.report import Report, Source, make_report
from proxy.advise.rules import Rules
from proxy.advise.show import show_report
from proxy.advise.watching import CannotAnalyse, Introduction, ask_server, watch_server
from proxy.advise.wording import Wording
from proxy.cluster.addresses import Address
from proxy.commands.overrides import DENIED_BY_DEFAULT
from proxy.commands.pins import Pin, PinError, PinTable
from proxy.commands.spec import CommandSpec
from proxy.commands.table import compile_table, snapshot_table
from proxy.config import Cluster, Settings
from proxy.control.connection import Credentials
from proxy.errors import BackendProtocolError, ConfigError
from proxy.tls.sides import NodeTls

EXIT_NOTHING_BREAKS, EXIT_SOMETHING_BREAKS, EXIT_CANNOT_ANALYSE = 0, 1, 2

FILE_WIDTH = 120  # columns of the only table, when the report is not for a terminal
READ_BYTES = 256 * 1024
STANDARD_INPUT = Path("-")
SNAPSHOT = "Redis 7.0, built in"

COST_WARNING = (
    "MONITOR makes the server write every command once more; a busy one may lose half of its "
    "throughput while it runs. A few minutes at a quiet hour are often enough."
)

Decides = Literal["cluster", "slotway", "either"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says."""

    log: Path | None = None
    """A file, ``-`` for standard input, or None: watch the server."""
    server: Address | None = None
    """Watch it; with a log only ask it for its commands."""
    seconds: float | None = None
    """How long to watch; None: until Ctrl-C."""
    credentials: Credentials
    tls: NodeTls
    rules: Rules
    as_json: bool = False
    hide_keys: bool = False
    show_values: bool = False
    decides: Decides = "either"
    """Whose verdict is the exit code."""


def find_server(text: str | None) -> Address | None:
    """Return the server to watch.

    Raises:
        ConfigError: The text is no address.
    """
    if text is None:
        return None
    try:
        return Address.parse(text)
    except ValueError as problem:
        raise ConfigError(
            key="--server", given=repr(text), allowed=f"host:port ({problem})"
        ) from None


def find_decider(text: str) -> Decides:
    """Return whose verdict is the exit code.

    Raises:
        ConfigError: It is none of the three.
    """
    match text:
        case "cluster" | "slotway" | "either":
            return text
    raise ConfigError(key="--for", given=repr(text), allowed="cluster, slotway or either")


def find_credentials(user: str, password: str, file: Path | None) -> Credentials:
    """Return who we are to the server.

    Raises:
        ConfigError: The file cannot be read, or the password is given twice or not at all.
    """
    if file is not None:
        if password:
            raise ConfigError(
                key="--password-file", given=repr(str(file)), allowed="nothing beside --password"
            )
        try:
            password = file.read_text("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(
                key="--password-file", given=repr(str(file)), allowed=f"a text file ({problem})"
            ) from None
    if user and not password:
        raise ConfigError(key="--user", given=repr(user), allowed="a user with a password")
    return Credentials.of(user, password)


def find_tls(
    tls: bool, cacert: Path | None, cert: Path | None, key: Path | None, sni: str, insecure: bool
) -> NodeTls:
    """Return how to speak to the server.

    Raises:
        ConfigError: A file cannot be used.
    """
    return NodeTls(Cluster.of_flags(tls, cacert, cert, key, sni, insecure).node_tls())


def find_rules(settings: Settings, pins: Iterable[str], databases: int) -> Rules:
    """Return the rules that slotway would work by.

    Args:
        settings: Its settings.
        pins: More of them, as ``prefix=tag``.
        databases: How many the cluster has.

    Raises:
        ConfigError: These pins cannot be.
    """
    made = list(settings.pin_table().pins)
    for text in pins:
        prefix, equals, tag = text.rpartition("=")
        if not equals:
            raise ConfigError(key="--pin", given=repr(text), allowed="prefix=tag")
        made.append(Pin(os.fsencode(prefix), os.fsencode(tag)))
    try:
        table = PinTable(made)
    except PinError as problem:
        raise ConfigError(key="--pin", given=problem.given, allowed=problem.allowed) from None
    return Rules(
        transactions=settings.commands.transactions,
        cross_slot=settings.commands.cross_slot,
        denied=settings.commands.denied(DENIED_BY_DEFAULT),
        pins=table,
        databases=databases,
    )


def run_advise(options: Options) -> int:
    """Do what the command line says, and return the exit code.

    Returns:
        0: nothing would break; 1: something would; 2: there was nothing to analyse.
    """
    screen = Console(stderr=True, highlight=False)
    try:
        report = _report(options, screen)
    except CannotAnalyse as problem:
        screen.print(f"slotway: {problem}", style="red", markup=False, soft_wrap=True)
        return EXIT_CANNOT_ANALYSE
    try:
        _print(report, as_json=options.as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read it (head, less) has seen enough; the verdict stands all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    verdicts = {"cluster": [report.cluster], "slotway": [report.slotway]}
    asked = verdicts.get(options.decides, [report.cluster, report.slotway])
    broken = sum(verdict.breaks + verdict.partial for verdict in asked)
    return EXIT_SOMETHING_BREAKS if broken else EXIT_NOTHING_BREAKS


def _print(report: Report, *, as_json: bool) -> None:
    if as_json:
        json.dump(report.as_json(), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        width = None if sys.stdout.isatty() else FILE_WIDTH
        show_report(report, Console(highlight=False, width=width))


def _report(options: Options, screen: Console) -> Report:
    if options.log is not None and options.seconds is not None:
        raise CannotAnalyse("--seconds is for watching a server; a log is read to its end")
    if options.log is None:
        if options.server is None:
            raise CannotAnalyse("give a log (or - for standard input), or --server host:port")
        analysis, source = _watch(options, options.server, screen)
    else:
        analysis, source = _read(options, options.log, screen)
    analysis.end()
    if not analysis.commands:
        raise CannotAnalyse(_nothing(analysis, source))
    return make_report(analysis, source)


def _nothing(analysis: Analysis, source: Source) -> str:
    if analysis.unreadable:
        return f"none of {analysis.unreadable:,} lines of {source.name} is one of MONITOR's"
    return f"no command was seen in {source.name}"


def _analysis(options: Options, specs: Iterable[CommandSpec]) -> Analysis:
    wording = Wording(hide_keys=options.hide_keys, show_values=options.show_values)
    return Analysis(specs, options.rules, wording)


def _specs(options: Options, said: Introduction | None) -> tuple[tuple[CommandSpec, ...], str]:
    """Return the command table, and whose it is."""
    denied = options.rules.denied
    if said is not None:
        try:
            return compile_table(said.commands, denied), f"COMMAND of {options.server}"
        except BackendProtocolError:
            pass  # the user may not ask; a table of another version is better than none
    return snapshot_table(denied), SNAPSHOT


# ---- a log ------------------------------------------------------------------------------


def _read(options: Options, path: Path, screen: Console) -> tuple[Analysis, Source]:
    said = None
    if options.server is not None:
        said = trio.run(ask_server, options.server, options.credentials, options.tls)
    specs, table = _specs(options, said)
    analysis = _analysis(options, specs)
    is_interrupted = False
    try:
        if path == STANDARD_INPUT:
            _read_all(sys.stdin.buffer, analysis, screen)
        else:
            with path.open("rb") as file:
                _read_all(file, analysis, screen)
    except OSError as problem:
        raise CannotAnalyse(f"cannot read {path}: {problem.strerror}") from None
    except KeyboardInterrupt:
        is_interrupted = True
    return analysis, Source("log", str(path), table, is_interrupted)


def _read_all(file: BinaryIO, analysis: Analysis, screen: Console) -> None:
    details = os.fstat(file.fileno())
    size = details.st_size if stat.S_ISREG(details.st_mode) else None
    done = 0
    with _Progress(screen, "reading", size) as progress:
        # What is there, and not a whole block: standard input may be a MONITOR that goes on.
        while data := os.read(file.fileno(), READ_BYTES):
            analysis.feed(data)
            done += len(data)
            progress.reach(done, analysis)


# ---- a server ---------------------------------------------------------------------------


def _watch(options: Options, server: Address, screen: Console) -> tuple[Analysis, Source]:
    screen.print(COST_WARNING, style="yellow", soft_wrap=True)
    tables = []

    def begin(said: Introduction) -> Analysis:
        specs, table = _specs(options, said)
        tables.append(table)
        analysis = _analysis(options, specs)
        for address, name in said.names.items():
            analysis.conversation.introduce(address, name)
        return analysis

    with _Progress(screen, "watching; Ctrl-C for the report", options.seconds) as progress:
        analysis, notes, was_stopped = trio.run(
            partial(
                watch_server,
                server,
                options.credentials,
                options.tls,
                seconds=options.seconds,
                begin=begin,
                show=lambda analysis, gone_s: progress.reach(gone_s, analysis),
            )
        )
    is_interrupted = was_stopped and options.seconds is not None
    return analysis, Source("server", str(server), tables[0], is_interrupted, notes)


class _Progress(AbstractContextManager["_Progress"]):
    """How far it is, on a terminal; nothing elsewhere."""

    def __init__(self, screen: Console, title: str, total: float | None) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        if screen.is_terminal:
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                *(() if total is None else (BarColumn(),)),
                TextColumn("{task.fields[words]}"),
                console=screen,
                transient=True,
            )
            self._task = self._progress.add_task(title, total=total, words="")
        self._showing: AbstractContextManager[object] = self._progress or nullcontext()

    def __enter__(self) -> _Progress:
        self._showing.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self._showing.__exit__(None, None, None)

    def reach(self, done: float, analysis: Analysis) -> None:
        """Say how much of the total is done, and what was found in it."""
        if self._progress is None or self._task is None:
            return
        words = f"{analysis.commands:,} commands, {analysis.breaks:,} would break on a cluster"
        self._progress.update(self._task, completed=done, words=words)
