"""Two hundred accounts in one run: at once within limits, each by itself, over few connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.accounts import CONCURRENT_ACCOUNTS
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.orchestration.resources import MetaApi
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.orchestration.conftest import (
    FIGURES,
    RECONCILED,
    Pipeline,
    Row,
    checks_of,
    examples,
)

N_ACCOUNTS = 200

HANDFUL = 6
"""Connections of a step: one for each of Dagster's storages, the asset's, and one over which
fetches remember."""

ZONES = {"Europe/Berlin": "EUR", "America/New_York": "USD", "Asia/Tokyo": "JPY"}

NO_PERMISSION = {"error": {"code": 200}}
NO_ROW = {"merge": {"data": ["no row"]}}
TEN_HOURS = {
    "error": {"code": 80000},
    "headers": {
        "X-Business-Use-Case-Usage": json.dumps({"1": [{"estimated_time_to_regain_access": 600}]})
    },
}
FAILING: dict[int, tuple[dict[str, Any], tuple[str, str]]] = {
    3: (NO_PERMISSION, ("refused", "MetaRefused")),
    50: (NO_ROW, ("failed", "UnexpectedPayload")),
    51: (TEN_HOURS, ("rate_limited", "MetaThrottled")),
    120: ({"error": {"code": 12345}}, ("failed", "MetaError")),
    199: ({"truncate": True}, ("failed", "MetaUnavailable")),
}
"""What befalls some accounts, by number, and how their fetches end."""


class MetaThatNeedsNoSleep(MetaApi):
    """Meta's API at the real time, whose client repeats at once what passing trouble stopped."""

    def limits(self) -> Limits:
        return Limits(sleep=lambda _seconds: None)


@pytest.fixture
def world() -> World:
    """Two hundred accounts of three time zones and currencies, with about one ad each."""
    zones = list(ZONES.items())
    accounts = [
        AccountPlan(str(1000 + number), f"Account {number}", currency, zone, 2 + number % 3)
        for number in range(N_ACCOUNTS)
        for zone, currency in [zones[number % len(zones)]]
    ]
    return World(now=datetime.now(UTC), accounts=accounts)


@contextmanager
def most_connections(database: str) -> Iterator[list[int]]:
    """How many connections of others to the database there were, looked at all the time."""
    seen: list[int] = []
    ended = Event()

    def watch() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not ended.wait(0.005):
                counted = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchone()
                seen.append(counted[0] if counted else 0)

    watcher = Thread(target=watch, name="watcher", daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def most_at_once(fetches: list[Row]) -> int:
    """Most fetches that were under way at the same instant."""
    spans: list[tuple[datetime, datetime]] = [
        (row["started_at"], row["started_at"] + timedelta(seconds=row["duration_seconds"]))
        for row in fetches
    ]
    return max(sum(start <= instant < end for start, end in spans) for instant, _ in spans)


def test_two_hundred_accounts_are_fetched_at_once_within_limits_and_fail_alone(
    pipeline: Pipeline, today: date
) -> None:
    window = DayWindow.trailing(today, 2)
    ids = pipeline.graph.world.account_ids
    failing = {ids[number]: ends for number, (_, ends) in FAILING.items()}
    for number, (effect, _) in FAILING.items():
        pipeline.graph.faults.add(
            Fault(effect, kind="insights", account_id=ids[number], times=None)
        )
    with most_connections(pipeline.environment["DATABASE_URL"]) as connections:
        run = pipeline.run(window, meta=MetaThatNeedsNoSleep.of, assets=RECONCILED)

    assert run.success
    healthy = [row for row in pipeline.truth(window) if row["account_id"] not in failing]
    assert pipeline.rows("ad_actuals", *FIGURES) == healthy
    assert len({row["account_id"] for row in healthy}) > N_ACCOUNTS / 2
    reconciled = pipeline.rows("spend_reconciliation")
    assert {row["verdict"] for row in reconciled} == {"exact"}
    assert {row["account_id"] for row in reconciled} == set(ids) - failing.keys()

    fetches = pipeline.rows("fetch_log")
    assert len(fetches) == len({row["account_id"] for row in fetches}) == N_ACCOUNTS
    ends = {row["account_id"]: (row["outcome"], row["error_class"]) for row in fetches}
    assert ends == dict.fromkeys(ids, ("complete", None)) | failing
    named = examples(checks_of(run)["every_account_was_fetched"])
    assert {row["account_id"] for row in named} == failing.keys()

    assert most_at_once(fetches) == CONCURRENT_ACCOUNTS
    assert {row["calls"] for row in fetches if row["account_id"] not in failing} == {5}
    assert max(row["calls"] for row in fetches) <= 7, "repeated a few times at most"
    assert {row["throttled_seconds"] for row in fetches} == {0}
    assert max(connections) <= HANDFUL
