"""What the documents say is so: links lead somewhere, settings exist, examples are accepted."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
import yaml
from click import Command, Context, Group
from pages import ROOT, Page, all_pages

from proxy import cli
from proxy.config import Settings
from proxy.sources import LISTS, known_keys, with_text

PAGES = all_pages()
HOW_TO = ROOT / "docs" / "howto"
COMPAT = ROOT / "tests" / "compat"
# Which settings of tests/compat an application's page must give, and in which file they are used.
SHOWN_SETTINGS = {
    "celery": ("test_celery.py", "PINNED"),
    "django": ("test_django_redis.py", "SPLIT"),
    "sidekiq": ("test_sidekiq.py", "SPLIT"),
}
# Variables of the build and of the tests, not of the proxy.
OTHER_VARIABLES = {
    "SLOTWAY_CFLAGS",
    "SLOTWAY_FAULTS",
    "SLOTWAY_SOAK_COMMANDS",
    "SLOTWAY_TEST_PACE",
}

every_page = pytest.mark.parametrize("page", PAGES, ids=str)


# ---- links --------------------------------------------------------------------------------


@every_page
def test_every_link_leads_somewhere(page: Page) -> None:
    dead = []
    for link in page.links:
        place, _, anchor = link.partition("#")
        target = (page.path.parent / place).resolve() if place else page.path
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            dead.append(link)

    assert dead == []


def test_every_page_of_the_docs_is_reached_from_their_index() -> None:
    folder = ROOT / "docs"
    index = Page(folder / "README.md")

    reached = {(folder / link.partition("#")[0]).resolve() for link in index.links}

    assert sorted(set(folder.rglob("*.md")) - reached - {index.path}) == []


# ---- settings -----------------------------------------------------------------------------


@every_page
def test_every_setting_that_is_named_exists(page: Page) -> None:
    tables = "|".join(Settings.model_fields)
    code = [*page.inline_code, *page.blocks("", "sh")]
    named = {
        key
        for text in code
        for key in re.findall(rf"(?<![\w./-])((?:{tables})\.[a-z_]+)\b(?![/(])", text)
        if not key.endswith((".py", ".pyx", ".pxd", ".pyi", ".md", ".toml", ".service", ".socket"))
    }

    assert sorted(named - set(known_keys())) == []


@every_page
def test_every_variable_that_is_named_exists(page: Page) -> None:
    known = {"SLOTWAY_" + key.replace(".", "__").upper() for key in [*known_keys(), *LISTS]}

    named = set(re.findall(r"\bSLOTWAY_[A-Z]\w*", page.text))

    assert sorted(named - known - OTHER_VARIABLES) == []


@every_page
def test_every_metric_that_is_named_exists(page: Page) -> None:
    known = set(re.findall(r"`(slotway_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))

    named = {code for code in page.inline_code if re.fullmatch(r"slotway_[a-z_]+", code)}

    assert sorted(named - known) == []


@every_page
def test_every_example_of_settings_is_accepted(page: Page, tmp_path: Path) -> None:
    for block in page.blocks("toml"):
        for name in re.findall(r"/run/secrets/([\w-]+)", block):
            (tmp_path / name).write_text("secret")
        Settings.model_validate(tomllib.loads(block.replace("/run/secrets", str(tmp_path))))


@pytest.mark.parametrize("application", SHOWN_SETTINGS)
def test_an_applications_page_gives_the_settings_it_was_tested_with(
    application: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, name = SHOWN_SETTINGS[application]
    monkeypatch.syspath_prepend(str(COMPAT))
    from applications import SPLIT

    source = (COMPAT / file).read_text()
    pins = re.search(r'^PINNED = \{\*\*SPLIT, "pin": "(.+)"\}$', source, re.MULTILINE)
    tested = SPLIT | ({"pin": pins[1]} if pins and name == "PINNED" else {})

    assert f"serve(**{name})" in source
    (shown,) = Page(HOW_TO / f"{application}.md").blocks("toml")
    settings = Settings.model_validate(tomllib.loads(shown))
    assert settings == settings_of(tested)


def settings_of(texts: dict[str, str]) -> Settings:
    settings = Settings.model_validate({"pin": texts.get("pin", ())})
    for key, text in texts.items():
        settings = settings if key == "pin" else with_text(settings, key, text)
    return settings


# ---- commands and code --------------------------------------------------------------------


@pytest.fixture(scope="module")
def front_door() -> Command:
    """The command line, with all its groups."""
    cli.add_cluster_commands()
    return typer.main.get_command(cli.app)


@every_page
def test_every_call_of_slotway_is_understood(page: Page, front_door: Command) -> None:
    for _, *words in page.commands("slotway"):
        parse(front_door, words)
        for number, word in enumerate(words):
            if word == "--set":
                key, _, value = words[number + 1].partition("=")
                assert key in known_keys()
                with_text(Settings(), key, value)


def parse(command: Command, words: list[str], parent: Context | None = None) -> None:
    """Read a command line down to its last word, and run nothing of it.

    Raises:
        click.UsageError: It is none.
    """
    if "--help" in words:
        words = words[: words.index("--help")]
    context = command.make_context(command.name, list(words), parent=parent)
    if isinstance(command, Group) and (rest := [*context._protected_args, *context.args]):
        _, sub, left = command.resolve_command(context, rest)
        assert sub is not None
        parse(sub, left, context)


@every_page
def test_every_target_and_script_exists(page: Page) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for _, target, *_ in page.commands("make"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for program in ("python", "python3"):
        for _, script, *_ in page.commands(program):
            assert script.startswith("-") or (ROOT / script).is_file(), script


@every_page
def test_every_example_of_code_can_be_read(page: Page) -> None:
    for block in page.blocks("python"):
        compile(block, str(page), "exec")
    for block in page.blocks("json"):
        json.loads(block)
    for block in page.blocks("yaml"):
        list(yaml.safe_load_all(block))


# ---- generated pages ----------------------------------------------------------------------


def test_the_page_of_settings_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.delitem(sys.modules, "make_settings_page", raising=False)
    from make_settings_page import PAGE, render

    assert PAGE.read_text() == render()
