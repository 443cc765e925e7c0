"""Progress where there is no terminal: a log file tells what happens, and is not flooded."""

from __future__ import annotations

from proxy.cli_cluster.show_progress import LINE_EVERY_S, Lines
from proxy.manage import Progress


class Page:
    """The lines that were written, and a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now_s = 100.0
        self.tell = Lines(self.lines.append, lambda: self.now_s).tell


def test_each_new_work_is_a_line_at_once() -> None:
    page = Page()

    page.tell(Progress("copy the functions"))
    page.tell(Progress("a to b", 0, 40))

    assert page.lines == ["... copy the functions", "... a to b (0 of 40)"]


def test_works_that_go_on_side_by_side_are_a_line_each_and_then_one_now_and_then() -> None:
    page = Page()

    for done in range(40):
        page.tell(Progress("a to b" if done % 2 else "c to d", done, 40))

    assert page.lines == ["... c to d (0 of 40)", "... a to b (1 of 40)"]
    page.now_s += LINE_EVERY_S
    page.tell(Progress("a to b", 40, 40))
    page.tell(Progress("c to d", 40, 40))
    assert page.lines[2:] == ["... a to b (40 of 40)"]
