"""Whether the service can answer: one look at the database, shared by all who ask meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from actuals_pipeline.errors import WarehouseError, WarehouseUnavailable
from actuals_pipeline.serving.http.failures import Refusal, refusal_of_class
from actuals_pipeline.serving.http.workers import Workers

LOOK_SECONDS = 5.0
"""Longest that a look may take.  Chosen: below the 10 s that a load balancer usually waits."""

FRESH_SECONDS = 1.0
"""How long a look is told again, so that no number of callers asks the database more often."""


class Readiness:
    """Tells whether `look`, which raises a `WarehouseError`, found the database in order."""

    def __init__(
        self,
        look: Callable[[], None],
        seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._clock = clock
        self._workers = Workers(1, 1, seconds)
        self._newest: asyncio.Task[Refusal | None] | None = None
        self._looked_at = -FRESH_SECONDS

    async def refused(self) -> Refusal | None:
        """None when it is ready, otherwise a 503 that says why not."""
        is_under_way = self._newest is not None and not self._newest.done()
        if self._newest is None or not (is_under_way or self._is_fresh()):
            self._newest = asyncio.create_task(self._looked())
        # Who asked first may go away; the others wait on.
        return await asyncio.shield(self._newest)

    def give_up(self) -> None:
        """Tell all who wait that the service stops."""
        self._workers.give_up()

    def _is_fresh(self) -> bool:
        return self._clock() - self._looked_at < FRESH_SECONDS

    async def _looked(self) -> Refusal | None:
        try:
            await self._workers.run(self._look)
        except WarehouseError as error:
            return _refusal(type(error))
        except Refusal as refusal:
            # Of the time, which is the database's fault; or because the service stops.
            return refusal if refusal.code == "stopping" else _refusal(WarehouseUnavailable)
        else:
            return None
        finally:
            self._looked_at = self._clock()


def _refusal(kind: type[WarehouseError]) -> Refusal:
    # Anybody may ask, so the database's name and address are left out.
    return refusal_of_class(kind, str(kind.__doc__))
