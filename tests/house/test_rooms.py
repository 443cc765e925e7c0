"""The house rules: rooms in layers, files of readable size, documents that name what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("proxy", "tests", "loadtest", "tools")
    for pattern in ("*.py", "*.pyx", "*.pxd")
    for path in (ROOT / folder).rglob(pattern)
)
LONGEST = 400
TABLES = {"local_dialogues.py"}  # rows of wire data, nothing to follow


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.name not in TABLES],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_file_can_be_read_at_one_sitting(path: Path) -> None:
    lines = path.read_text().count("\n")

    assert lines <= LONGEST


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_first_what_it_is(path: Path) -> None:
    text = "\n".join(
        line for line in path.read_text().splitlines() if not line.startswith("#")
    ).lstrip()

    assert not text or text.startswith(('"""', 'r"""'))


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later(word: str) -> None:
    found = [path.name for path in SOURCES if word in path.read_text() and path != Path(__file__)]

    assert found == []


def test_the_architecture_names_only_functions_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    code = "\n".join(path.read_text() for path in SOURCES if "tests" not in path.parts)
    named = set(re.findall(r"`(?:\w+\.)*(_?[a-z]\w+_\w+|[A-Z]\w+)`", text))

    missing = sorted(name for name in named if not re.search(rf"\b{name}\b", code))

    assert missing == []


def test_the_architecture_names_only_files_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*\w+\.(?:py|pyx|toml|md))`", text))
    exists = {
        str(path.relative_to(base))
        for base in (ROOT, ROOT / "proxy", ROOT / "proxy" / "dataplane")
        for path in base.rglob("*")
    }

    assert sorted(named - exists) == []


def test_each_package_is_in_the_wheel() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for path in (ROOT / "proxy").rglob("__init__.py")
    }

    assert sorted(listed) == sorted(there)


def test_each_room_is_in_the_layers_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = re.findall(r"proxy\.(\w+)", " ".join(contract["contracts"][0]["layers"]))
    there = {
        path.stem
        for path in (ROOT / "proxy").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists())
        and not path.name.startswith("__")
    }

    assert sorted(named) == sorted(there)


def test_no_two_test_files_have_the_same_name() -> None:
    """Pytest imports them by their bare name, wherever they are."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]

    assert sorted(names) == sorted(set(names))
