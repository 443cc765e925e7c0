"""From a run's seconds to steps, knee, plot and text."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from load.panels import nice_ceiling
from load.plot import draw_ramp
from load.steps import Knee, Step, cores_between, find_knee, steps_of
from load.summary import BEGIN, END, put_between_markers, write_csv, write_markdown
from load.timeline import Second, Timeline, percentile, rounded_ms


def step(users: int, rate: float, **more: object) -> Step:
    figures = {"start": 0, "seconds": 10, "failures": 0, "p50_ms": 1.0, "p99_ms": 9.0}
    return Step(users=users, requests=round(rate * 10), **{**figures, **more})


def test_the_knee_is_where_throughput_stops_growing() -> None:
    rates = {10: 1000, 20: 2000, 30: 2900, 40: 3050, 50: 3010, 60: 2900}

    knee = find_knee([step(users, rate) for users, rate in rates.items()])

    assert knee is not None
    assert knee.step.users == 30
    assert knee.is_reached


def test_a_ramp_that_grows_to_its_end_has_not_reached_the_knee() -> None:
    knee = find_knee([step(users, users * 100.0) for users in (10, 20, 30)])

    assert knee is not None
    assert knee.step.users == 30
    assert not knee.is_reached


def test_the_knee_does_not_depend_on_the_order_of_the_steps() -> None:
    steps = [step(30, 990.0), step(10, 500.0), step(20, 1000.0)]

    knee = find_knee(steps)

    assert knee is not None
    assert knee.step.users == 20


def test_nothing_has_no_knee() -> None:
    assert find_knee([]) is None


def test_a_step_leaves_out_the_seconds_in_which_users_come_and_go() -> None:
    seconds = {
        moment: Second(users=users, failures=moment % 2, times=Counter({float(moment): 10}))
        for moment, users in enumerate([5] * 6 + [10] * 5 + [15] * 3)
    }

    steps = steps_of(seconds, settle_s=2)

    assert [(s.users, s.start, s.seconds, s.requests, s.failures) for s in steps] == [
        (5, 2, 3, 30, 1),  # 2, 3, 4
        (10, 8, 2, 20, 1),  # 8, 9; of fifteen users nothing is left
    ]
    assert steps[0].rate == 10
    assert (steps[0].p50_ms, steps[0].p99_ms) == (3.0, 4.0)


def test_seconds_without_users_belong_to_no_step() -> None:
    seconds = {n: Second(users=users, times=Counter({1.0: 1})) for n, users in enumerate([0, None])}

    assert steps_of(seconds, settle_s=0) == []


@pytest.mark.parametrize(
    ("time_ms", "rounded"),
    [(0.0, 0.0), (0.0004, 0.0), (0.354, 0.35), (1.249, 1.2), (14.4, 14.0), (147.0, 150.0)],
)
def test_times_keep_two_digits(time_ms: float, rounded: float) -> None:
    assert rounded_ms(time_ms) == rounded


@pytest.mark.parametrize(
    ("share", "time_ms"), [(0.0, 1.0), (0.5, 1.0), (0.51, 2.0), (0.99, 2.0), (1.0, 50.0)]
)
def test_a_percentile_is_the_time_that_enough_requests_kept(share: float, time_ms: float) -> None:
    assert percentile({50.0: 1, 1.0: 50, 2.0: 49}, share) == time_ms


def test_a_percentile_of_nothing_is_nothing() -> None:
    assert percentile({}, 0.99) == 0.0


def test_timelines_of_several_processes_add_up_through_json() -> None:
    master, workers = Timeline(), [Timeline(), Timeline()]
    master.note_users(100.2, 7)
    for worker in workers:
        worker.note(100.9, 1.26, is_failure=False)
        worker.note(101.0, 3.0, is_failure=True)

    for worker in workers:
        master.merge(json.loads(json.dumps(worker.take())))

    assert workers[0].take() == []
    assert master.seconds[100] == Second(users=7, failures=0, times=Counter({1.3: 2}))
    assert master.seconds[101] == Second(users=None, failures=2, times=Counter({3.0: 2}))


def test_cpu_is_counted_in_cores_between_two_moments() -> None:
    samples = [(t, {"proxy": int(t * 0.25e9), "late": 5}) for t in (0.0, 1.0, 2.0, 3.0)]

    assert cores_between(samples, 0.5, 3.5) == {"proxy": 0.25, "late": 0.0}
    assert cores_between(samples, 0.5, 1.5) == {}


@pytest.mark.parametrize(
    ("value", "ceiling"),
    [(0, 1), (0.03, 0.05), (1, 1), (1.1, 2), (2.2, 2.5), (4100, 5000), (5001, 10000)],
)
def test_an_axis_ends_at_a_round_number(value: float, ceiling: float) -> None:
    assert nice_ceiling(value) == pytest.approx(ceiling)


RAMPS = {
    "slotway": [step(10, 900.0, cores={"proxy": 0.1}), step(20, 1000.0, failures=3)],
    "a <plain> server": [step(10, 950.0), step(20, 1900.0)],
}


def knees() -> dict[str, Knee]:
    return {name: knee for name, steps in RAMPS.items() if (knee := find_knee(steps))}


def test_the_plot_is_well_formed_and_stays_on_its_paper() -> None:
    root = ElementTree.fromstring(draw_ramp(RAMPS, knees()))

    _, _, width, height = map(float, root.attrib["viewBox"].split())
    lines = root.findall("{*}polyline")
    assert len(lines) == 2 + 4 + 2
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert "a <plain> server: knee at 20 users" in root.findtext("{*}title", "")


def test_the_csv_has_a_row_for_each_step() -> None:
    rows = write_csv(RAMPS).splitlines()

    assert rows[0].endswith("requests/s,p50 ms,p99 ms,cores of proxy")
    assert rows[1] == "slotway,10,10,9000,0,900.0,1,9,0.10"
    assert rows[2] == "slotway,20,10,10000,3,1000.0,1,9,"
    assert len(rows) == 5


def test_the_section_replaces_the_one_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")

    put_between_markers(page, write_markdown({"date": "today"}, RAMPS, knees(), "results/ramp.svg"))
    put_between_markers(page, write_markdown({"date": "later"}, RAMPS, knees(), "results/ramp.svg"))

    text = page.read_text()
    assert text.startswith(f"before\n\n{BEGIN}\n\n- date: later\n")
    assert text.endswith(f"\n\n{END}\n\nafter\n")
    assert "old" not in text
    assert "today" not in text
    assert "the knee is at 10 users (900 requests/s" in text
    assert "no knee up to 20 users" in text
    assert re.search(r"^\| 10 \| 900 \| 1 \| 9 \| 0 \| 0\.10 \|$", text, re.MULTILINE)


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")

    with pytest.raises(ValueError, match="has no lines"):
        put_between_markers(page, "section")
