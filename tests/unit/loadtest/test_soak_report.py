"""What is told of a soak: table, picture, section; and the page that has it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from load.summary import put_between_markers
from soak_samples import loaded, soak_of
from soaking.report import BEGIN, END, POINTS, draw_soak, write_markdown
from soaking.sample import read_samples, thinned, write_samples
from soaking.verdict import Limits, judge

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "loadtest" / "results"


def test_the_table_says_all_that_was_seen() -> None:
    samples = [
        replace(each, event="failover" if n == 3 else "") for n, each in enumerate(soak_of())
    ]

    assert read_samples(write_samples(samples)) == samples


@pytest.mark.parametrize("text", ["seconds,commands\n1,2\n", "nothing\nat all\n"])
def test_another_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a table of samples"):
        read_samples(text)


def test_a_thinned_table_keeps_what_was_seen_at_rest_and_what_happened() -> None:
    samples = [loaded(number) for number in range(1, 1001)]
    samples[500:502] = [
        replace(samples[500], event="failover"),
        replace(samples[501], is_quiet=True),
    ]

    kept = thinned(samples, 100)

    assert len(kept) == 101  # one of the two is also the tenth
    assert {samples[500], samples[501]} <= set(kept)


def test_the_picture_is_well_formed_and_small() -> None:
    samples = soak_of(rounds=400)
    samples[10] = replace(samples[10], event="failover")

    picture = draw_soak(samples)

    root = ElementTree.fromstring(picture)
    assert "resident memory at rest 100.0 MiB at first, 100.0 MiB at the end" in root.findtext(
        "{*}title", ""
    )
    lines = root.findall("{*}polyline")
    assert len(lines) == 3  # two under load, and the speed
    assert len(lines[0].attrib["points"].split()) <= 2 * POINTS
    assert len(picture) < 150_000


def test_the_section_says_what_was_found_and_what_would_be(tmp_path: Path) -> None:
    samples, limits = soak_of(), Limits()
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")

    section = write_markdown({"date": "today"}, samples, judge(samples, limits), limits, "soak.svg")
    put_between_markers(page, section, BEGIN, END)

    text = page.read_text()
    assert "old" not in text
    assert "- date: today\n- verdict: nothing grew\n" in text
    assert "| least leak that would be found | 0.07 bytes a command, 6.6 bytes a visit |" in text
    assert "](soak.svg)" in text


def test_the_page_of_reliability_has_a_soak_that_was_passed() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    section = page[page.index(BEGIN) : page.index(END)]
    samples = read_samples((RESULTS / "soak.csv").read_text())

    assert "- verdict: nothing grew\n" in section
    assert f"{samples[-1].commands:,}" in section
    assert samples[-1].commands >= 50_000_000
    assert judge(samples, Limits()).problems == ()
    (picture,) = re.findall(r"!\[.*\]\((.*)\)", section)
    assert (ROOT / "docs" / picture).resolve() == RESULTS / "soak.svg"
