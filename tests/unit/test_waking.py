"""Waking: many waiters, told by another thread, and none forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from maysend.web.recording import Waking


def test_everybody_is_told_their_own_by_whatever_thread() -> None:
    async def main(pool: ThreadPoolExecutor) -> list[int]:
        waking: Waking[int] = Waking()

        def asked(number: int) -> Callable[[Callable[[int], None]], None]:
            return lambda told: pool.submit(told, number) and None

        return await asyncio.gather(*(waking.wait(asked(number)) for number in range(5_000)))

    with ThreadPoolExecutor(8) as pool:
        assert asyncio.run(asyncio.wait_for(main(pool), 60)) == list(range(5_000))


def test_who_stops_waiting_keeps_nobody_else_from_being_told() -> None:
    async def main() -> int:
        waking: Waking[int] = Waking()
        tell: list[Callable[[int], None]] = []
        gone, stays = (asyncio.create_task(waking.wait(tell.append)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        for number, told in enumerate(tell):
            told(number)
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(asyncio.wait_for(main(), 10)) == 1


def test_a_loop_that_is_gone_is_told_nothing_and_stops_no_thread() -> None:
    tell: list[Callable[[int], None]] = []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Waking[int]().wait(tell.append), 0.01)

    asyncio.run(main())
    tell[0](1)
