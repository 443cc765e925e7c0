"""The image, built once for all tests of this folder, with the README's own line."""

from __future__ import annotations

import faulthandler
import re
import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import image_builder
import pytest

README = (image_builder.ROOT / "README.md").read_text()


def line_of(command: str) -> str:
    """Return the README's first line that begins with a command."""
    found = re.search(rf"{command} [^`\n]+", README)
    assert found is not None, f"no {command} in the README"
    return found[0]


@pytest.fixture(scope="session")
def run_line() -> str:
    """How the README starts a container."""
    return line_of("docker run")


@pytest.fixture(scope="session")
def image() -> str:
    """Build the image as the README says; return its name."""
    if absent := image_builder.missing():
        pytest.skip(f"an image cannot be built here: {absent}")
    words = shlex.split(line_of("docker build"))
    faulthandler.cancel_dump_traceback_later()  # the first build takes longer than any test may
    began = time.monotonic()
    image_builder.build(words[2:])
    print(f"\nbuilt in {time.monotonic() - began:.0f} s")
    return words[words.index("-t") + 1]


@pytest.fixture(scope="session")
def root(image: str) -> Iterator[Path]:
    """The image's files."""
    with image_builder.mounted(image) as path:
        yield path


@pytest.fixture(scope="session")
def settings(image: str) -> Mapping[str, Any]:
    """What the image says of how it is to be run."""
    return image_builder.settings_of(image)


@pytest.fixture(scope="session")
def health_command(settings: Mapping[str, Any]) -> list[str]:
    """What the image wants to be asked whether it is well."""
    kind, *command = settings["Healthcheck"]["Test"]
    assert kind == "CMD"
    return command


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why no image was built, for the skips themselves are only dots."""
    if absent := image_builder.missing():
        terminalreporter.write_line(f"skipped the image: {absent}", yellow=True)
