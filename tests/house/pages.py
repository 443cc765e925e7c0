"""What the tests of the documents read: pages, their links, headings, code and blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "loadtest", "deploy", "examples")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """Return the blocks in one of these languages."""
        return [text for language, text in _FENCE.findall(self.text) if language in languages]

    @property
    def links(self) -> list[str]:
        """Where the page leads, images included, but not to other machines."""
        return [link for link in _LINK.findall(self.prose) if "://" not in link]

    @property
    def inline_code(self) -> list[str]:
        """What stands between backticks, outside of blocks."""
        return _INLINE.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """The names of the headings, as GitHub makes them."""
        found: dict[str, int] = {}
        for heading in _HEADING.findall(self.prose):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            found[name] = found.get(name, -1) + 1
        return {
            f"{name}-{number}" if number else name
            for name, most in found.items()
            for number in range(most + 1)
        }

    def commands(self, program: str) -> Iterator[list[str]]:
        """Return each call of a program, in blocks and between backticks, as words.

        Left out is what is no command but a pattern of one: ``slotway advise --server
        host:port [--seconds N]``.
        """
        lines = [
            line
            for block in self.blocks("", "sh")
            for line in block.replace("\\\n", " ").splitlines()
        ]
        for line in [*lines, *self.inline_code]:
            if line.startswith(f"{program} ") and not re.search(r"[\[<…]|\.\.\.", line):
                words = shlex.split(line, comments=True)
                yield words[: next((n for n, word in enumerate(words) if word in "|>&&"), None)]


def all_pages() -> list[Page]:
    """Return every page of the project, in order."""
    paths = [*ROOT.glob("*.md"), *(path for f in FOLDERS for path in (ROOT / f).rglob("*.md"))]
    return [Page(path) for path in sorted(paths)]
