"""Blocking work beside the event loop: bounded in threads, in waiting and in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from actuals_pipeline.serving.http.failures import busy, too_slow

Answer = TypeVar("Answer")


class Workers:
    """At most `threads` pieces of work at a time, and at most `most_waiting` that wait for one.

    Each has `seconds` from being asked for to its answer.  Its thread may go on after that, and
    holds its place until it ends.  The threads end with the process, whatever they wait for.
    """

    def __init__(self, threads: int, most_waiting: int, seconds: float) -> None:
        self._places = asyncio.Semaphore(threads)
        self._most_waiting = most_waiting
        self._waiting = 0
        self._seconds = seconds

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What `work` returns or raises; `Refusal` when there is no place or no time for it."""
        if self._waiting >= self._most_waiting:
            raise busy()
        until = time.monotonic() + self._seconds
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), self._seconds)
        except TimeoutError:
            raise busy() from None
        finally:
            self._waiting -= 1
        result = self._started(work)
        try:
            left = max(until - time.monotonic(), 0)
            answer: Answer = await asyncio.wait_for(asyncio.shield(result), left)
        except TimeoutError:
            raise too_slow(self._seconds) from None
        return answer

    def _started(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """The result of `work`, begun in a thread of its own, which gives its place back."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()
        # Who asked may be gone when it fails.
        result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

        def end(answer: Any, error: BaseException | None) -> None:
            self._places.release()
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(answer)

        def worked() -> None:
            answer, error = None, None
            try:
                answer = work()
            except BaseException as raised:  # noqa: BLE001 - it is raised where it was asked for
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, answer, error)

        threading.Thread(target=worked, name="worker", daemon=True).start()
        return result
