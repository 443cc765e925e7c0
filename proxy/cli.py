"""The front door: ``slotway serve``, ``health``, ``check``, ``advise``, ``cluster``, ``demo``.

Strategy: a flag is a key of the settings with another spelling, and goes the
same way: ``--set table.key=value`` reaches every one of them, and the few that
people use daily have a short form. What a command does is in its own room, which is
loaded when the command is called.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from proxy.argv import not_in_argv
from proxy.errors import ConfigError
from proxy.version import find_version

if TYPE_CHECKING:
    from proxy.config import Settings
    from proxy.sources import Sources


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
    import trio

    from proxy.logs import configure_logging

    loaded, sources = _find(config, listen, seed, settings)
    configure_logging(loaded.log.level, loaded.log.format)
    # Late, so that a wrong setting is told before the data plane is loaded.
    from proxy.serve import serve as serve_until_stopped

    try:
        trio.run(serve_until_stopped, loaded, sources)
    except* ConfigError as problems:
        _refuse(problems.exceptions[0])


@app.command()
def health(config: ConfigOption = None, settings: SetOption = None) -> None:
    """Ask the running proxy on this machine whether it is ready; give it the same settings.

    Exit code 0: it is; 1: it is not, or does not answer; 2: there is no admin port to ask.
    """
    from proxy.life.health import admin_address, ask_readiness

    try:
        place = admin_address(config, _flags(None, None, settings))
    except ConfigError as problem:
        _refuse(problem)
    if place is None:
        _refuse("admin.enabled is false, so there is nobody to ask")
    is_ready, words = ask_readiness(*place)
    typer.echo(words, err=not is_ready)
    if not is_ready:
        raise typer.Exit(EXIT_PROBLEM)


@app.command()
def check(config: ConfigOption = None, seed: SeedOption = None, settings: SetOption = None) -> None:
    """Load the settings, connect, and say in plain words what would go wrong.

    Exit code 0: nothing; 1: the cluster has a problem; 2: the settings have one.
    """
    import trio

    from proxy.check import check_cluster

    loaded = _load(config, None, seed, settings)
    try:
        problems = trio.run(check_cluster, loaded, typer.echo)
    except ConfigError as problem:
        _refuse(problem)
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
        str,
        typer.Option(envvar="REDISCLI_AUTH", help="By its variable only.", callback=not_in_argv),
    ] = "",
    password_file: Annotated[Path | None, typer.Option(help="File that holds it instead.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="The server speaks TLS.")] = False,
    cacert: Annotated[
        Path | None, typer.Option(help="CAs of its certificate; else the system's.")
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="Certificate to show it.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of that.")] = None,
    sni: Annotated[str, typer.Option(help="Name that its certificate is for.")] = "",
    insecure: Annotated[bool, typer.Option(help="Accept any certificate.")] = False,
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
            tls=command.find_tls(tls, cacert, cert, key, sni, insecure),
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
        int | None,
        typer.Option(
            min=1, max=65535, help="Port of the proxy; by default 6379 or the next free one."
        ),
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
    typer.echo(f"slotway {find_version() or 'of a source tree that is not installed'}")


def _flags(
    listen: str | None, seeds: list[str] | None, settings: list[str] | None
) -> dict[str, dict[str, object]]:
    """Return what the command line gives, by table and key."""
    from proxy.sources import SECRET_KEYS

    flags: dict[str, dict[str, object]] = {}
    for assignment in settings or ():
        key, equals, value = assignment.partition("=")
        table, dot, name = key.partition(".")
        if not equals or not dot:
            raise ConfigError(key="--set", given=repr(assignment), allowed="table.key=value")
        if key in SECRET_KEYS:  # everybody can read a command line
            raise ConfigError(
                key="--set",
                given=key,
                allowed="what is no secret; secrets come by files and by variables",
            )
        flags.setdefault(table, {})[name] = value
    if listen is not None:
        address, colon, port = listen.rpartition(":")
        if not colon:
            raise ConfigError(key="--listen", given=repr(listen), allowed="address:port")
        flags.setdefault("listen", {}).update(address=address.strip("[]"), port=port)
    if seeds:
        flags.setdefault("cluster", {})["seeds"] = tuple(seeds)
    return flags


def _find(
    config: Path | None,
    listen: str | None,
    seeds: list[str] | None,
    settings: list[str] | None,
) -> tuple[Settings, Sources]:
    """Return the settings, and where they come from; end if they are wrong."""
    from proxy.sources import Sources

    try:
        sources = Sources(config, _flags(listen, seeds, settings))
        return sources.read(), sources
    except ConfigError as problem:
        _refuse(problem)


def _load(
    config: Path | None,
    listen: str | None,
    seeds: list[str] | None,
    settings: list[str] | None,
) -> Settings:
    return _find(config, listen, seeds, settings)[0]


def _refuse(problem: Exception | str) -> NoReturn:
    typer.echo(f"slotway: {problem}", err=True)
    sys.exit(EXIT_USAGE)


@cache
def add_cluster_commands() -> None:
    """Put the group ``cluster`` among the commands."""
    from proxy.cli_cluster import app as cluster_app

    app.add_typer(cluster_app)


def load() -> None:
    """Load what the command line needs before it is run."""
    # A health check comes every few seconds, and the group ``cluster`` takes 0.3 s to load.
    if sys.argv[1:2] != ["health"]:
        add_cluster_commands()
