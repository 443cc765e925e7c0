"""What all commands of ``slotway cluster`` share: who is asked, how it is shown, exit codes.

Strategy: a command is a function that takes a ``Desk`` and its own options; ``command``
adds the options that all have, makes the desk, and turns errors into words and an
exit code. Answers go to standard output, everything else to standard error.
"""

from __future__ import annotations

import functools
import inspect
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from proxy.argv import not_in_argv
from proxy.cli_cluster.show_progress import Lines, bar
from proxy.config import Cluster
from proxy.config.values import read_secret
from proxy.errors import ConfigError, ProxyError
from proxy.manage import CannotPlan, ClusterManager, Interrupted, Login, OnProgress, as_json
from proxy.manage.progress import ignore
from proxy.sources import load_settings

EXIT_PROBLEM, EXIT_USAGE = 1, 2
DAY_S = 86_400.0  # nobody waits longer, and no system counts endlessly
FILE_WIDTH = 160  # columns of tables, when the output is no terminal

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a command works: the cluster, and the two ends of the terminal."""

    manager: ClusterManager
    out: Console
    err: Console
    as_json: bool
    dry_run: bool = False
    yes: bool = False

    def answer(
        self, value: T, show: Callable[[T, Console], None], *, is_one_of_many: bool = False
    ) -> None:
        """Print an answer, as JSON or as people read it; one of many is JSON on a line."""
        if self.as_json:
            typer.echo(json.dumps(as_json(value), indent=None if is_one_of_many else 2))
        else:
            show(value, self.out)

    def show_plan(self, plan: T, show: Callable[[T, Console], None]) -> None:
        """Print what would be done: for people, and as JSON if it is all that is asked for."""
        if self.dry_run or not self.as_json:
            self.answer(plan, show)

    def say(self, words: str, style: str = "") -> None:
        """Print a line beside the answer."""
        self.err.print(words, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def is_agreed(self, question: str) -> bool:
        """Return whether the plan that was shown is to be carried out.

        Raises:
            typer.Exit: There is nobody to ask, and no ``--yes``; or the answer is no,
                or Ctrl-C.
        """
        if self.dry_run:
            self.say("dry run: nothing was changed")
            return False
        if self.yes:
            return True
        try:
            agreed = typer.confirm(question, err=True)
        except typer.Abort as problem:
            self.say("")
            if isinstance(problem.__context__, KeyboardInterrupt):
                _end("stopped; nothing was changed", EXIT_PROBLEM)
            self.say("slotway: nobody to ask; nothing was changed. With --yes it is not asked")
            raise typer.Exit(EXIT_USAGE) from None
        if not agreed:
            self.say("nothing was changed")
            raise typer.Exit(EXIT_PROBLEM)
        return True

    @contextmanager
    def progress(self) -> Iterator[OnProgress]:
        """Show the progress of a work: a bar on a terminal, else a line for each new step.

        Meanwhile SIGTERM is what Ctrl-C is: what is in flight is ended first.
        """
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if self.err.is_terminal:
                with bar(self.err) as tell:
                    yield tell
            else:
                yield ignore if self.as_json else Lines(self.say).tell
        finally:
            signal.signal(signal.SIGTERM, before)


_SHARED = {
    "seed": (
        Annotated[
            list[str] | None,
            typer.Option("--seed", "-s", help="A node to ask first, host:port. Repeatable."),
        ],
        None,
    ),
    "config": (
        Annotated[
            Path | None,
            typer.Option("--config", "-c", help="Settings; their cluster table says whom to ask."),
        ],
        None,
    ),
    "user": (Annotated[str, typer.Option(help="ACL user at the nodes.")], ""),
    "password": (
        Annotated[
            str,
            typer.Option(
                envvar="REDISCLI_AUTH", help="By its variable only.", callback=not_in_argv
            ),
        ],
        "",
    ),
    "password_file": (
        Annotated[Path | None, typer.Option(help="File that holds it instead.")],
        None,
    ),
    "tls": (Annotated[bool, typer.Option("--tls", help="Speak TLS to the nodes.")], False),
    "cacert": (
        Annotated[Path | None, typer.Option(help="CAs of their certificates; else the system's.")],
        None,
    ),
    "cert": (Annotated[Path | None, typer.Option(help="Certificate to show to the nodes.")], None),
    "key": (Annotated[Path | None, typer.Option(help="Private key of that.")], None),
    "sni": (Annotated[str, typer.Option(help="Name that the nodes' certificates are for.")], ""),
    "insecure": (
        Annotated[bool, typer.Option("--insecure", help="Accept any certificate.")],
        False,
    ),
    "timeout": (
        Annotated[
            float,
            typer.Option(
                min=0.1, max=DAY_S, help="Seconds until a node that does not answer is silent."
            ),
        ],
        10.0,
    ),
    "json": (Annotated[bool, typer.Option("--json", help="Write the answer as JSON.")], False),
}
_CHANGING = {
    "dry_run": (
        Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and end.")],
        False,
    ),
    "yes": (Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")], False),
}


def command(
    app: typer.Typer, name: str, *, changes: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that makes a function of a desk a command.

    Args:
        app: What it becomes a command of.
        name: As people type it.
        changes: It also has ``--dry-run`` and ``--yes``.
    """
    shared = {**_SHARED, **(_CHANGING if changes else {})}

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**given: Any) -> None:  # noqa: ANN401 - whatever its options are
            common = {key: given.pop(key) for key in shared}
            try:
                with _open_desk(**common) as desk:
                    function(desk, **given)
            except (ConfigError, ValueError) as problem:
                _end(str(problem), EXIT_USAGE)
            except CannotPlan as problem:
                for line in problem.problems:
                    typer.echo(f"slotway: {line}", err=True)
                raise typer.Exit(EXIT_PROBLEM) from None
            except Interrupted as problem:
                _end(f"stopped: {problem}", EXIT_PROBLEM)
            except ProxyError as problem:
                _end(str(problem), EXIT_PROBLEM)
            except KeyboardInterrupt:
                _end("stopped", EXIT_PROBLEM)

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        added = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for key, (kind, default) in shared.items()
        ]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *added]
        )
        run.__annotations__ = {}
        app.command(name)(run)
        return run

    return decorate


@contextmanager
def _open_desk(
    *,
    seed: list[str] | None,
    config: Path | None,
    user: str,
    password: str,
    password_file: Path | None,
    tls: bool,
    cacert: Path | None,
    cert: Path | None,
    key: Path | None,
    sni: str,
    insecure: bool,
    timeout: float,
    json: bool,
    dry_run: bool = False,
    yes: bool = False,
) -> Iterator[Desk]:
    flags: dict[str, dict[str, object]] = {"cluster": {"seeds": tuple(seed)}} if seed else {}
    settings = load_settings(config, flags).cluster
    login = find_login(user, password, password_file)
    if not login.password:
        login = Login(settings.username, settings.read_password())
    by_flags = Cluster.of_flags(tls, cacert, cert, key, sni, insecure)
    with ClusterManager(
        settings.seed_addresses(),
        username=login.username,
        password=login.password,
        tls=(by_flags if tls else settings).node_tls(),
        address_map=settings.addresses_from_here(),
        timeout_s=timeout,
    ) as manager:
        yield Desk(
            manager=manager,
            out=_console(),
            err=_console(stderr=True),
            as_json=json,
            dry_run=dry_run,
            yes=yes,
        )


def find_login(user: str, password: str, file: Path | None, *, options: str = "--") -> Login:
    """Return who we are to a server.

    Args:
        options: What the names of the options begin with.

    Raises:
        ConfigError: The file cannot be read, or the password is given twice, or not at all
            for a user.
    """
    if file is not None:
        key = f"{options}password-file"
        if password:
            raise ConfigError(key=key, given=repr(str(file)), allowed="nothing beside --password")
        try:
            password = read_secret(file)
        except ValueError as problem:
            raise ConfigError(key=key, given=repr(str(file)), allowed=str(problem)) from None
    if user and not password:
        key = f"{options}user"
        raise ConfigError(key=key, given=repr(user), allowed="a user with a password")
    return Login(user, password)


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=stderr, highlight=False, width=FILE_WIDTH)
    )


def _end(words: str, code: int) -> None:
    typer.echo(f"slotway: {words}", err=True)
    raise typer.Exit(code) from None
