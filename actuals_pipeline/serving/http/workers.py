"""Blocking work beside the event loop: bounded in threads, in waiting and in time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from actuals_pipeline.serving.http.failures import busy, stopping, too_slow

Answer = TypeVar("Answer")


class Workers:
    """At most `threads` pieces of work at a time, and at most `most_waiting` that wait for one.

    Each has `seconds` from being asked for to its answer.  Its thread may go on after that, and
    holds its place until it ends.  The threads end with the process, whatever they wait for.
    """

    def __init__(self, threads: int, most_waiting: int, seconds: float) -> None:
        self._free = threads
        self._most_waiting = most_waiting
        self._turns: deque[asyncio.Future[None]] = deque()
        self._results: set[asyncio.Future[Any]] = set()
        self._seconds = seconds

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """What `work` returns or raises; `Refusal` when there is no place or no time for it."""
        until = time.monotonic() + self._seconds
        await self._take_place()
        result = self._started(work)
        try:
            left = max(until - time.monotonic(), 0)
            answer: Answer = await asyncio.wait_for(asyncio.shield(result), left)
        except TimeoutError:
            raise too_slow(self._seconds) from None
        return answer

    def give_up(self) -> None:
        """Tell all who wait for a place or an answer that the service stops."""
        for waiting in (*self._turns, *self._results):
            if not waiting.done():
                waiting.set_exception(stopping())

    async def _take_place(self) -> None:
        """Have a place, at once or after those who waited before; `Refusal` when that fails."""
        if self._free:
            self._free -= 1
            return
        if len(self._turns) >= self._most_waiting:
            raise busy()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            await asyncio.wait_for(turn, self._seconds)
        except TimeoutError:
            raise busy() from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise
        finally:
            with suppress(ValueError):
                self._turns.remove(turn)

    def _give_back(self) -> None:
        """Hand the place to who waits longest, if anybody does."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _started(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """The result of `work`, begun in a thread of its own, which gives its place back."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Any] = loop.create_future()
        self._results.add(result)
        result.add_done_callback(self._results.discard)
        # Who asked may be gone when it fails.
        result.add_done_callback(lambda ended: ended.cancelled() or ended.exception())

        def end(answer: Any, error: BaseException | None) -> None:
            self._give_back()
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
