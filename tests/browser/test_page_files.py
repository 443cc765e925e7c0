"""The dashboard's files: whole, small, without a build step, and harmless under a strict policy."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "proxy" / "admin" / "page"
FILES = sorted(PAGE.iterdir())
SCRIPTS = [file for file in FILES if file.suffix == ".js"]
LINE_LIMIT = 400
# Names in XML are addresses that nobody asks.
NAMESPACES = {"http://www.w3.org/2000/svg"}
# What makes markup or code of a text.
DANGEROUS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|setHTML"
    r"|DOMParser|\beval\b|new Function|javascript:"
)


class _Markup(HTMLParser):
    """Collects what a strict Content-Security-Policy would refuse, and what is referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.references: set[str] = set()
        self.ids: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("script", "style") else ""
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.inline.append(f"<{tag} {name}>")
            if name in ("src", "href") and value and not value.startswith("#"):
                self.references.add(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.inline.append(f"<{self._inside}> with content")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture
def markup() -> _Markup:
    parser = _Markup()
    parser.feed((PAGE / "index.html").read_text())
    return parser


def test_nothing_stands_inline(markup: _Markup) -> None:
    assert not markup.inline


def test_every_file_is_used_and_every_reference_is_a_file(markup: _Markup) -> None:
    used = {"index.html", *(reference.removeprefix("page/") for reference in markup.references)}
    for script in SCRIPTS:
        used |= set(re.findall(r'from "\./([\w.]+)"', script.read_text()))

    assert used == {file.name for file in FILES}


def test_references_are_relative(markup: _Markup) -> None:
    """So that the page also works below a path of an ingress or a tunnel."""
    assert all(reference.startswith("page/") for reference in markup.references)
    for script in SCRIPTS:
        code = re.sub(r"^\s*(//|/?\*).*$", "", script.read_text(), flags=re.MULTILINE)
        assert not re.search(r'["`]/[a-z]{2}', code), script.name


def test_ids_are_unique(markup: _Markup) -> None:
    assert len(markup.ids) == len(set(markup.ids))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_names_no_outside_address(file: Path) -> None:
    found = set(re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]+[^\s\"'`]*", file.read_text()))

    assert found <= NAMESPACES


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_a_script_makes_no_markup_of_text(script: Path) -> None:
    assert not DANGEROUS.findall(script.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_one_idea(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LINE_LIMIT


def test_the_wheel_has_all_files() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["proxy.admin"]

    for file in FILES:
        name = f"page/{file.name}"
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
