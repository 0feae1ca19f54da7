"""Any number of callers is told 200 or 503, by one look at the database."""

from __future__ import annotations

import asyncio
import threading

from actuals_pipeline.errors import SchemaOutOfDate
from actuals_pipeline.serving.http.readiness import FRESH_SECONDS, Readiness


def test_who_asks_meanwhile_shares_one_look_which_is_soon_made_anew() -> None:
    async def asked() -> None:
        looks, release, now = [0], threading.Event(), [0.0]

        def look() -> None:
            looks[0] += 1
            release.wait(5)

        readiness = Readiness(look, clock=lambda: now[0])
        first = asyncio.create_task(readiness.refused())
        callers = [asyncio.create_task(readiness.refused()) for _ in range(200)]
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.sleep(0.05)
        release.set()
        assert await asyncio.gather(*callers) == [None] * 200
        assert await readiness.refused() is None
        assert looks == [1]
        now[0] += FRESH_SECONDS
        assert await readiness.refused() is None
        assert looks == [2]

    asyncio.run(asked())


def test_a_database_that_hangs_is_a_503_like_one_that_refuses() -> None:
    async def asked() -> None:
        release = threading.Event()

        def hang() -> None:
            release.wait(5)

        def refuse() -> None:
            raise SchemaOutOfDate("postgresql://somebody@somewhere is at revision 0001.")

        hanging = Readiness(hang, seconds=0.05)
        told = await asyncio.gather(*(hanging.refused() for _ in range(50)))
        assert {(each.status, each.code) for each in told if each} == {
            (503, "database_unavailable")
        }
        assert len([each for each in told if each]) == 50
        release.set()
        refused = await Readiness(refuse).refused()
        assert refused is not None
        assert (refused.status, refused.code) == (503, "schema_out_of_date")
        assert "somewhere" not in refused.message

    asyncio.run(asked())


def test_who_waits_when_the_service_stops_is_told_so() -> None:
    async def asked() -> None:
        release = threading.Event()

        def hang() -> None:
            release.wait(5)

        readiness = Readiness(hang)
        waiting = asyncio.create_task(readiness.refused())
        await asyncio.sleep(0.05)
        readiness.give_up()
        refused = await waiting
        release.set()
        assert refused is not None
        assert (refused.status, refused.code) == (503, "stopping")

    asyncio.run(asked())
