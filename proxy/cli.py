"""The front door: ``slotway serve``, ``check``, ``advise``, ``demo``, ``version``.

Strategy: a flag is a key of the settings with another spelling, and goes the
same way: ``--set table.key=value`` reaches every one of them, and the few that
people use daily have a short form. What a command does is in its own room.
"""

from __future__ import annotations

import gc
import signal
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated, NoReturn

import structlog
import trio
import typer

from proxy.config import Settings
from proxy.errors import ConfigError
from proxy.logs import configure_logging
from proxy.sources import load_settings

log = structlog.get_logger()

app = typer.Typer(
    name="slotway",
    help="One plain Redis port in front of a whole Redis or Valkey cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

# Exit codes for scripts.
EXIT_PROBLEM = 1
EXIT_USAGE = 2

# How long requests in flight may take after SIGTERM. Chosen: half of what Kubernetes grants
# (30 s) less the time that the pod's address may still be in use.
DRAIN_S = 10.0

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings, a TOML file like proxy.toml.")
]
SeedOption = Annotated[
    list[str] | None,
    typer.Option("--seed", "-s", help="A node to ask for the map first, host:port. Repeatable."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, as table.key=value. Repeatable."),
]


@app.command()
def serve(
    config: ConfigOption = None,
    listen: Annotated[
        str | None, typer.Option("--listen", "-l", help="Where clients connect, address:port.")
    ] = None,
    seed: SeedOption = None,
    settings: SetOption = None,
) -> None:
    """Serve clients until Ctrl-C or SIGTERM."""
    loaded = _load(config, listen, seed, settings)
    configure_logging(loaded.log.level, loaded.log.format)
    try:
        trio.run(_serve, loaded)
    except* ConfigError as problems:
        _refuse(problems.exceptions[0])


async def _serve(settings: Settings) -> None:
    # Late, so that a wrong setting is told before the data plane is loaded.
    from proxy.app import Proxy

    proxy = Proxy(settings)
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxy.run)
            async for number in signals:
                log.info("stopping", signal=signal.Signals(number).name)
                await proxy.drain(DRAIN_S)
                nursery.cancel_scope.cancel()
                break


@app.command()
def check(config: ConfigOption = None, seed: SeedOption = None, settings: SetOption = None) -> None:
    """Load the settings, connect, and say in plain words what would go wrong.

    Exit code 0: nothing; 1: the cluster has a problem; 2: the settings have one.
    """
    from proxy.check import check_cluster

    loaded = _load(config, None, seed, settings)
    problems = trio.run(check_cluster, loaded, typer.echo)
    if problems:
        raise typer.Exit(EXIT_PROBLEM)


@app.command()
def advise(
    log_file: Annotated[
        Path | None,
        typer.Argument(metavar="[LOG]", help="Saved output of redis-cli MONITOR; - for stdin."),
    ] = None,
    server: Annotated[
        str | None,
        typer.Option(help="Watch this server, host:port; with LOG, ask it for its commands only."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Watch for so long; else until Ctrl-C.")
    ] = None,
    user: Annotated[str, typer.Option(help="ACL user at the server.")] = "",
    password: Annotated[
        str, typer.Option(envvar="REDISCLI_AUTH", help="Password at the server.")
    ] = "",
    password_file: Annotated[Path | None, typer.Option(help="File that holds it instead.")] = None,
    pin: Annotated[
        list[str] | None, typer.Option(help="As if slotway had this pin, prefix=tag. Repeatable.")
    ] = None,
    cluster_databases: Annotated[
        int, typer.Option(min=1, help="How many databases the cluster has (Valkey 9).")
    ] = 1,
    decides: Annotated[
        str, typer.Option("--for", help="Whose verdict is the exit code: cluster, slotway, either.")
    ] = "either",
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    hide_keys: Annotated[
        bool, typer.Option("--hide-keys", help="Write hashes for the words of keys.")
    ] = False,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Write the arguments that are no keys, too.")
    ] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Tell what of an application's traffic would break on a cluster, and what would help.

    Exit code 0: nothing would break; 1: something would; 2: nothing could be analysed.
    """
    from proxy.advise import command

    loaded = _load(config, None, None, settings)
    try:
        options = command.Options(
            log=log_file,
            server=command.find_server(server),
            seconds=seconds,
            credentials=command.find_credentials(user, password, password_file),
            rules=command.find_rules(loaded, pin or (), cluster_databases),
            as_json=json,
            hide_keys=hide_keys,
            show_values=show_values,
            decides=command.find_decider(decides),
        )
    except ConfigError as problem:
        _refuse(problem)
    raise typer.Exit(command.run_advise(options))


@app.command()
def demo(
    port: Annotated[
        int | None, typer.Option(help="Port of the proxy; by default 6379 or the next free one.")
    ] = None,
    engine: Annotated[str, typer.Option(help="valkey, from its wheel, or redis.")] = "valkey",
    tour: Annotated[
        bool, typer.Option("--tour", help="Also show what a client sees while things break.")
    ] = False,
) -> None:
    """Start a cluster of six servers and the proxy in front of it."""
    try:
        from proxy.demo import run_demo
    except ModuleNotFoundError as problem:
        typer.echo(f"slotway: demo needs {problem.name}: pip install 'slotway[demo]'", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    raise typer.Exit(run_demo(port=port, tour=tour, engine=engine))


@app.command()
def version() -> None:
    """Print the version."""
    try:
        found = distribution_version("slotway")
    except PackageNotFoundError:
        found = "of a source tree that is not installed"
    typer.echo(f"slotway {found}")


def _load(
    config: Path | None,
    listen: str | None,
    seeds: list[str] | None,
    settings: list[str] | None,
) -> Settings:
    flags: dict[str, dict[str, object]] = {}
    try:
        for assignment in settings or ():
            key, equals, value = assignment.partition("=")
            table, dot, name = key.partition(".")
            if not equals or not dot:
                raise ConfigError(key="--set", given=repr(assignment), allowed="table.key=value")
            flags.setdefault(table, {})[name] = value
        if listen is not None:
            address, colon, port = listen.rpartition(":")
            if not colon:
                raise ConfigError(key="--listen", given=repr(listen), allowed="address:port")
            flags.setdefault("listen", {}).update(address=address.strip("[]"), port=port)
        if seeds:
            flags.setdefault("cluster", {})["seeds"] = tuple(seeds)
        return load_settings(config, flags)
    except ConfigError as problem:
        _refuse(problem)


def _refuse(problem: Exception) -> NoReturn:
    typer.echo(f"slotway: {problem}", err=True)
    sys.exit(EXIT_USAGE)


def main() -> None:
    """Run the command line."""
    app()
