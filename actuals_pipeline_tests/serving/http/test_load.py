"""Many callers at once while the database goes away and comes back.

No wrong answer, no lost write, and clean 503s in between.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import embedded, schema
from actuals_pipeline.warehouse.embedded_keeper import read_postmaster
from actuals_pipeline.warehouse.embedded_place import data_directory
from actuals_pipeline_tests.serving.http.conftest import FETCH, STATS, STATUS, SUMMARY, Serve, Start
from actuals_pipeline_tests.serving.http.load import Load
from actuals_pipeline_tests.serving.test_single_ad import truth

FIGURES = ("impressions", "clicks", "spend", "conversions", "revenue")
DAYS = 3


class Watched:
    """What a load over this world and database must have brought."""

    def __init__(self, world: World, database: str) -> None:
        self._database = database
        window = DayWindow.trailing(world.today("42"), DAYS)
        self._truth = truth(world, window)
        self.ad_ids = sorted(self._truth)

    def paths(self) -> list[str]:
        """Each ad's fetch, with readers in between."""
        readers = (STATS, SUMMARY, STATUS, "/healthz", "/readyz")
        return [
            path
            for ad_id in self.ad_ids
            for path in (f"{FETCH}/{ad_id}?days_back={DAYS}", *readers)
        ]

    def hold(self, load: Load) -> None:
        """Check every answer, and what is stored."""
        assert not load.broken
        for asked in load.asked:
            answer = asked.answer
            if answer.status == 503:
                assert answer.body["error"]["code"] == "database_unavailable", asked
                assert int(answer.headers["retry-after"]) >= 1
                continue
            assert answer.status == 200, asked
            if asked.is_fetch:
                want = self._truth[answer.body["ad_id"]]
                total = {name: sum(row[name] for row in want) for name in FIGURES}
                assert {name: answer.body["actuals"][name] for name in FIGURES} == total
        self._nothing_is_lost(load)

    def _nothing_is_lost(self, load: Load) -> None:
        fetches = [each.answer for each in load.asked if each.is_fetch]
        answered = [answer.body["ad_id"] for answer in fetches if answer.status == 200]
        assert answered
        stored: dict[str, list[dict[str, Any]]] = {}
        with psycopg.connect(self._database, row_factory=dict_row) as connection:
            figures = connection.execute("SELECT * FROM actuals.ad_actuals ORDER BY report_date")
            for row in figures:
                stored.setdefault(row["ad_id"], []).append(row)
            (logged,) = connection.execute(
                "SELECT count(*) AS fetches FROM actuals.fetch_log WHERE outcome = 'complete'"
            ).fetchall()
        for ad_id, rows in stored.items():
            want = sorted(self._truth[ad_id], key=lambda row: row["report_date"])
            assert [[row[name] for name in FIGURES] for row in rows] == [
                [row[name] for name in FIGURES] for row in want
            ]
        assert set(answered) <= set(stored)
        # Who was told of a broken connection cannot know whether its last word was heard.
        assert len(answered) <= logged["fetches"] <= len(fetches)


def test_a_database_that_goes_away_for_a_moment(serve: Serve, world: World, database: str) -> None:
    watched = Watched(world, database)
    name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(database)["dbname"])  # type: ignore[arg-type]

    def away_for_a_moment() -> None:
        # A restart as its clients see it, without one: others use this server too.
        time.sleep(1.5)
        others = psycopg.conninfo.make_conninfo(database, dbname="postgres")
        with psycopg.connect(others, autocommit=True) as connection:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            connection.execute(allow.format(name, sql.SQL("false")))
            try:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [name.as_string().strip('"')],
                )
                time.sleep(0.5)
            finally:
                connection.execute(allow.format(name, sql.SQL("true")))
        time.sleep(1.5)

    with serve(ACTUALS_API_REQUESTS_PER_MINUTE="1000000") as api:
        load = Load(api, watched.paths(), callers=8)
        load.run(away_for_a_moment)
        after = Load(api, watched.paths(), callers=1)
        after.run(lambda: time.sleep(0.5))
    assert load.by_status()[503, "database_unavailable"]
    assert set(after.by_status()) == {(200, "")}
    watched.hold(Load(api, [], 0, asked=load.asked + after.asked, broken=load.broken))


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Holds the server, and the one that comes after its crash, until the test's end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def own_database(home: Path, servers: ExitStack) -> str:
    """A database on a server of its own, as durable as a user's."""
    server = servers.enter_context(embedded.hold(home))
    embedded.ensure_database(server, "actuals")
    url = server.url("actuals")
    schema.upgrade(url)
    return url


@pytest.mark.slow
def test_fifty_callers_for_a_minute_while_the_server_crashes_and_starts_again(
    start: Start, world: World, own_database: str, home: Path, servers: ExitStack
) -> None:
    watched = Watched(world, own_database)

    def a_minute() -> None:
        time.sleep(25)
        _crash(home)
        time.sleep(2)
        servers.enter_context(embedded.hold(home))
        time.sleep(33)

    variables = {"DATABASE_URL": own_database, "ACTUALS_API_REQUESTS_PER_MINUTE": "1000000"}
    with start(**variables) as (_, api):
        load = Load(api, watched.paths(), callers=50)
        load.run(a_minute)
        after = Load(api, watched.paths(), callers=1)
        after.run(lambda: time.sleep(2))
    print(load.report())  # noqa: T201 - `make slow` shows it
    assert set(after.by_status()) == {(200, "")}
    watched.hold(load)


def _crash(home: Path) -> None:
    postmaster = read_postmaster(data_directory(home))
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGQUIT)
