"""A change of files is told once, when they are at rest, whatever way they were changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing
from pydantic import SecretStr

from proxy.config import Settings
from proxy.config.files import files_of
from proxy.life.file_watch import FileWatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text("one")
    return path


def watch_of(*paths: Path) -> FileWatch:
    return FileWatch(lambda: paths, lambda: 1.0)


def looks(watch: FileWatch, count: int = 3) -> list[bool]:
    return [watch.has_changed() for _ in range(count)]


def rewrite(path: Path) -> None:
    path.write_text("three")


def rewrite_with_the_old_times(path: Path) -> None:
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the kernel's clock has its ticks
        path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_another_in_its_place(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("two")
    other.replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change", [rewrite, rewrite_with_the_old_times, put_another_in_its_place, remove]
)
def test_a_change_is_told_once(file: Path, change) -> None:
    watch = watch_of(file)
    assert looks(watch) == [False] * 3

    change(file)

    assert looks(watch, 4) == [False, True, False, False]


def test_a_link_far_above_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As the kubelet does it: ``password`` -> ``..data/password``, ``..data`` -> a directory."""
    for name in ("..2026_01", "..2026_02"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "password").write_text("same length")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "password").symlink_to("..data/password")
    watch = watch_of(tmp_path / "password")

    (tmp_path / "..data_tmp").symlink_to("..2026_02")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert looks(watch) == [False, True, False]


def test_who_writes_on_is_not_interrupted(file: Path) -> None:
    watch = watch_of(file)
    seen = []

    for length in range(5, 9):
        file.write_text("x" * length)
        seen.append(watch.has_changed())

    assert seen == [False] * 4
    assert looks(watch) == [True, False, False]


def test_what_somebody_has_read_is_known(file: Path) -> None:
    watch = watch_of(file)
    rewrite(file)

    watch.note()

    assert looks(watch) == [False] * 3


def test_a_file_that_new_settings_name_is_no_change_but_watched(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    paths = [file]
    watch = FileWatch(lambda: paths, lambda: 1.0)

    paths.append(secret)
    before = looks(watch)
    rewrite(secret)

    assert before == [False] * 3
    assert looks(watch) == [False, True, False]


async def test_nobody_looks_while_the_interval_is_0(
    file: Path, autojump_clock: trio.testing.MockClock
) -> None:
    interval_s, told = 0.0, []
    watch = FileWatch(lambda: [file], lambda: interval_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run, lambda: told.append(trio.current_time()))
        rewrite(file)
        await trio.sleep(100)
        before = len(told)

        interval_s = 5.0
        await trio.sleep(20)
        nursery.cancel_scope.cancel()

    assert before == 0
    assert len(told) == 1


def test_every_file_that_settings_name_is_found(file: Path) -> None:
    other = file.with_name("other")
    other.write_text("lovelace")
    settings = Settings.model_validate(
        {
            "cluster": {"password_file": str(file)},
            "clients": {"users": {"ada": f"file:{other}", "bob": SecretStr("word")}},
            "admin": {"token_file": str(file)},
        }
    )

    assert list(files_of(settings)) == [file, other, file]
    assert list(files_of(Settings())) == []
