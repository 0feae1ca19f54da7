"""Blocking work beside the event loop: bounded in threads, in waiting and in time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from actuals_pipeline.serving.http.failures import Refusal
from actuals_pipeline.serving.http.workers import Workers


def test_work_is_answered_or_raises_and_gives_its_place_back() -> None:
    async def asked() -> None:
        workers = Workers(1, 1, 5)
        assert await workers.run(lambda: 42) == 42
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 // 0)
        assert await workers.run(lambda: threading.current_thread().daemon) is True

    asyncio.run(asked())


def test_no_more_run_or_wait_than_may() -> None:
    async def asked() -> None:
        workers, release, most = Workers(2, 3, 5), threading.Event(), [0, 0]
        lock = threading.Lock()

        def work() -> None:
            with lock:
                most[0] += 1
                most[1] = max(most[0], most[1])
            release.wait(5)
            with lock:
                most[0] -= 1

        under_way = [asyncio.create_task(workers.run(work)) for _ in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(Refusal) as refused:
            await workers.run(work)
        assert (refused.value.status, refused.value.code) == (503, "busy")
        assert refused.value.retry_after
        release.set()
        await asyncio.gather(*under_way)
        assert most == [0, 2]

    asyncio.run(asked())


def test_who_goes_away_while_waiting_leaves_the_place_to_others() -> None:
    async def asked() -> None:
        workers, release = Workers(1, 3, 5), threading.Event()
        first = asyncio.create_task(workers.run(lambda: release.wait(5)))
        await asyncio.sleep(0.05)
        gone = asyncio.create_task(workers.run(lambda: 1))
        next_one = asyncio.create_task(workers.run(lambda: 2))
        await asyncio.sleep(0.05)
        gone.cancel()
        release.set()
        assert await first is True
        assert await next_one == 2
        assert await workers.run(lambda: 3) == 3

    asyncio.run(asked())


def test_who_waits_when_the_service_stops_is_told_so() -> None:
    async def asked() -> None:
        workers, release = Workers(1, 1, 60), threading.Event()
        waiting = [asyncio.create_task(workers.run(lambda: release.wait(5))) for _ in range(2)]
        await asyncio.sleep(0.05)
        workers.give_up()
        for answer in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(answer, Refusal)
            assert (answer.status, answer.code, answer.retry_after) == (503, "stopping", 5)
        release.set()
        await asyncio.sleep(0.1)
        assert await workers.run(lambda: 42) == 42

    asyncio.run(asked())


def test_what_takes_too_long_is_said_in_time_and_keeps_its_place_until_it_ends() -> None:
    async def asked() -> None:
        workers, release = Workers(1, 1, 0.2), threading.Event()
        begun = time.monotonic()
        with pytest.raises(Refusal) as refused:
            await workers.run(lambda: release.wait(5))
        assert (refused.value.status, refused.value.code) == (504, "took_too_long")
        with pytest.raises(Refusal) as refused:
            await workers.run(lambda: None)
        assert refused.value.code == "busy"
        assert time.monotonic() - begun < 2
        release.set()
        await asyncio.sleep(0.1)
        assert await workers.run(lambda: 42) == 42

    asyncio.run(asked())
