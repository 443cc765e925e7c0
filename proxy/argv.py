"""What may not stand on a command line: every user of the machine can list it."""

from __future__ import annotations

import typer


def not_in_argv(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Return the value of an option with a secret, which has come by its variable.

    Raises:
        typer.BadParameter: It has been given on the command line.
    """
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "COMMANDLINE":
        variable = f"the variable {option.envvar}, or by " if option.envvar else ""
        raise typer.BadParameter(
            "every user of this machine can read a command line; give it by "
            f"{variable}{option.opts[0]}-file",
            param_hint=option.opts[0],
        )
    return value
