"""The room that all commands across slots share for their copies."""

from __future__ import annotations

import trio
import trio.testing

from proxy.sessions.across_work import Budget


async def test_who_finds_no_room_waits_and_is_served_in_turn() -> None:
    budget = Budget(10)
    log: list[str] = []
    leave = {name: trio.Event() for name in "abcd"}

    async def hold(name: str, size_bytes: int) -> None:
        async with budget.hold(size_bytes):
            log.append(name)
            await leave[name].wait()

    async with trio.open_nursery() as nursery:
        for name, size_bytes in (("a", 6), ("b", 4), ("c", 8), ("d", 1)):
            nursery.start_soon(hold, name, size_bytes)
            await trio.testing.wait_all_tasks_blocked()
        assert log == ["a", "b"]

        leave["b"].set()
        await trio.testing.wait_all_tasks_blocked()
        assert log == ["a", "b"]  # d would fit, but c was first
        leave["a"].set()
        await trio.testing.wait_all_tasks_blocked()

        assert log == ["a", "b", "c", "d"]
        assert budget.used_bytes == 9
        leave["c"].set()
        leave["d"].set()
    assert budget.used_bytes == 0


async def test_what_is_longer_than_all_the_room_passes_alone() -> None:
    budget = Budget(10)

    async with budget.hold(50):
        assert budget.used_bytes == 50

    assert budget.used_bytes == 0


async def test_who_gives_up_waiting_holds_nothing() -> None:
    budget = Budget(10)

    async with budget.hold(10):
        with trio.move_on_after(0) as scope:
            async with budget.hold(1):
                raise AssertionError
        assert scope.cancelled_caught

    assert budget.used_bytes == 0
    async with budget.hold(10):
        assert budget.used_bytes == 10
