"""Write docs/settings.md: every setting, as the models know it.

    python tools/make_settings_page.py

Keys, defaults, limits and explanations are those of ``proxy/config/``, what can change
while the proxy runs is the table of ``proxy/life/live_settings.py``. A test sees that the page is
up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from proxy.config import Settings
from proxy.config.commands import Pin
from proxy.config.restraints import Guard, Rate
from proxy.config.values import Table
from proxy.life.live_settings import LIVE, RESTART
from proxy.sources import ENV_PREFIX

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"
MODELS: dict[str, type[Table]] = {"guard": Guard, "rate": Rate, "pin": Pin}
AS_TEXT = {
    "guard": '\'[{"commands": ["flushall"], "action": "confirm"}]\'',
    "rate": '\'[{"users": ["batch"], "commands_per_s": 1000}]\'',
    "pin": "prefix=tag,prefix=tag",
}
UNITS = {2**30: "GiB", 2**20: "MiB", 2**10: "KiB"}

HEAD = """# Settings

Made by `tools/make_settings_page.py` from the settings themselves; do not edit.

A flag (`slotway serve --set cluster.request_timeout_s=5`) beats the environment (the variable
under each key; lists as `a,b`, tables as `a=b,c=d`), the environment beats the file
(`slotway serve -c proxy.toml`), the file beats the default. A key that does not exist, or a
value that is not allowed, is refused at start by name. [proxy.toml](../proxy.toml) has all
of them with their defaults.

*Live*: a changed value is taken over while the proxy runs, after `SIGHUP`, `POST /reload` or a
change of its file: all that can change, or, if anything is wrong, nothing. Else there is the
reason why not.
[`PROXY CONFIG SET`](proxy-command.md) sets one until the next reload or start.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(render())


def render() -> str:
    """Return the text of the page."""
    definitions = Settings.model_json_schema()["$defs"]
    return HEAD + "".join(
        line for table in Settings.model_fields for line in _table(table, definitions)
    )


def _table(table: str, definitions: Mapping[str, Any]) -> Iterator[str]:
    default = getattr(Settings(), table)
    is_list = table in MODELS
    model = MODELS.get(table, type(default))
    schema = definitions[model.__name__]
    words = " ".join((model.__doc__ or "").split())
    yield f"\n## `{f'[[{table}]]' if is_list else f'[{table}]'}`\n\n{words}"
    if is_list:
        yield f" One table for each; or `{ENV_PREFIX}{table.upper()}={AS_TEXT[table]}`."
    yield "\n\n| key | default | allowed | live | |\n|---|---|---|---|---|\n"
    for key, field in schema["properties"].items():
        dotted = f"{table}.{key}"
        name = f"`{key}`" if is_list else f"`{key}`<br>`{_variable(dotted)}`"
        value = _default(field["default"], key) if is_list and "default" in field else "required"
        value = value if is_list else _default(getattr(default, key), key)
        live = _live(table if is_list else dotted)
        words = field["description"].replace("|", "\\|")
        yield f"| {name} | {value} | {_allowed(field)} | {live} | {words} |\n"


def _variable(key: str) -> str:
    return ENV_PREFIX + key.replace(".", "__").upper()


def _live(key: str) -> str:
    return "yes" if key in LIVE else f"no: {RESTART[key]}"


def _default(value: object, key: str) -> str:
    match value:
        case None | "":
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case int() if key.endswith("_bytes") and value:
            return f"{value:,} ({_in_units(value)})"
        case int() | float():
            return f"{value:g}" if key == "port" else f"{value:,g}"
        case str():
            return f'`"{value}"`'
        case tuple() | list():
            words = ", ".join(f'"{word}"' for word in value)
            return f"`[{words}]`"
        case dict():
            return "none"
        case _:  # a secret
            return "empty"


def _in_units(size_bytes: int) -> str:
    unit = next(unit for unit in UNITS if size_bytes >= unit)
    return f"{size_bytes / unit:g} {UNITS[unit]}"


def _allowed(field: Mapping[str, Any]) -> str:
    """Return what a value may be, from its JSON schema."""
    match field:
        case {"enum": values}:
            return ", ".join(f'`"{value}"`' for value in values)
        case {"anyOf": [{"format": "path"}, *_]}:
            return "a path"
        case {"type": "boolean"}:
            return "`true`, `false`"
        case {"type": "array"}:
            return "a list of texts" + (", not empty" if field.get("minItems") else "")
        case {"type": "object"}:
            return "a table of texts"
        case {"type": "string"}:
            return "a text" + (", not empty" if field.get("minLength") else "")
        case _:
            kind = "a whole number" if field["type"] == "integer" else "a number"
            return f"{kind}, {_range(field)}"


def _range(field: Mapping[str, Any]) -> str:
    if (least := field.get("exclusiveMinimum")) is not None:
        return f"above {least:,}"
    if (most := field.get("maximum")) is not None:
        return f"{field['minimum']} to {most}"
    return f"at least {field['minimum']:,}"


if __name__ == "__main__":
    main()
