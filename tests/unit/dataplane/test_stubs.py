"""The .pyi files say what the compiled modules have, in the same words."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy.dataplane

FOLDER = Path(proxy.dataplane.__file__).parent
STUBS = sorted(FOLDER.glob("*.pyi"))


def classes_of(stub: Path) -> Iterator[tuple[type, ast.ClassDef]]:
    """Return each class of a stub, as compiled and as written."""
    module = importlib.import_module(f"proxy.dataplane.{stub.stem}")
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef):
            yield getattr(module, node.name), node


def public_members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """Return what a stub says of a class: attributes, properties and methods."""
    members: dict[str, ast.stmt] = {}
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            members[statement.target.id] = statement
        elif isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
            members.setdefault(statement.name, statement)
    return members


def test_every_compiled_module_has_a_stub() -> None:
    assert {stub.stem for stub in STUBS} == {source.stem for source in FOLDER.glob("*.pyx")}


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.stem)
def test_a_stub_has_the_members_of_the_compiled_class(stub: Path) -> None:
    for compiled, written in classes_of(stub):
        members = {name for name in vars(compiled) if not name.startswith("_")}

        assert set(public_members(written)) == members, compiled


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.stem)
def test_a_method_is_described_as_in_the_compiled_class(stub: Path) -> None:
    for compiled, written in classes_of(stub):
        for name, member in public_members(written).items():
            described = inspect.getdoc(vars(compiled)[name]) or ""
            # A bare attribute has no words in its .pyx; a method's begin with its signature.
            if isinstance(member, ast.FunctionDef) and not described.startswith(f"{name}: "):
                assert described.endswith(ast.get_docstring(member) or "?") or not described
