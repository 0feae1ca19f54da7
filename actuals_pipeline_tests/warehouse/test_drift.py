"""States and requests as they are kept: the newest day's word, and one request for a breach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import Boolean, Table

from actuals_pipeline.accuracy.drift.contract import DRIFT_PAIRS
from actuals_pipeline.frames import check_frame
from actuals_pipeline.warehouse import drift
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.drift import NewRequest, RetrainState
from actuals_pipeline.warehouse.tables import (
    prediction_accuracy,
    retrain_requests,
    retrain_states,
    revenue_development,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MONDAY = date(2026, 3, 2)
AS_OF = date(2026, 3, 10)
Stored = Callable[[Table], list[dict[str, Any]]]


def state(**values: Any) -> RetrainState:
    usual = RetrainState(
        *("m", "1", "ctr", AS_OF, MONDAY, "ok", MONDAY, None, None),
        *("wait", "Nothing.", [{"week": "2026-03-02"}]),
    )
    return usual._replace(**values)


def request(**values: Any) -> NewRequest:
    usual = NewRequest(
        *("m:1:2026-03-02", "m", "1", MONDAY, MONDAY, AS_OF, "recalibrate", "Off.", [{"z": None}])
    )
    return usual._replace(**values)


def write(warehouse: Warehouse, *requests: NewRequest, now: datetime = NOW) -> list[str]:
    with warehouse.transaction() as connection:
        return drift.write_requests(connection, requests, now)


def keep(warehouse: Warehouse, *states: RetrainState, as_of: date = AS_OF) -> bool:
    with warehouse.transaction() as connection:
        return drift.keep_states(connection, states, as_of, NOW)


def test_the_newest_day_has_the_last_word(warehouse: Warehouse, stored: Stored) -> None:
    assert keep(warehouse, state(), state(metric="roas"))
    assert not keep(warehouse, state(state="warn"), as_of=AS_OF - timedelta(days=1))
    assert [row["state"] for row in stored(retrain_states)] == ["ok", "ok"]
    tomorrow = AS_OF + timedelta(days=1)
    assert keep(warehouse, state(state="warn", as_of_date=tomorrow), as_of=tomorrow)
    ((row),) = stored(retrain_states)
    assert (row["metric"], row["state"], row["as_of_date"]) == ("ctr", "warn", tomorrow)
    assert row["evidence"] == [{"week": "2026-03-02"}]


def test_the_same_again_changes_no_row(warehouse: Warehouse, stored: Stored) -> None:
    keep(warehouse, state())
    before = stored(retrain_states)
    keep(warehouse, state())
    assert stored(retrain_states) == before


def test_a_breach_is_written_down_once(warehouse: Warehouse, stored: Stored) -> None:
    assert write(warehouse, request()) == ["m:1:2026-03-02"]
    before = stored(retrain_requests)
    assert write(warehouse, request(reason="Other."), now=NOW + timedelta(days=90)) == []
    assert stored(retrain_requests) == before


@pytest.mark.parametrize(
    ("weeks", "version", "is_new"),
    [(1, "1", False), (-1, "1", False), (2, "1", True), (1, "2", True)],
)
def test_what_moves_by_a_week_is_the_same_breach(
    *, warehouse: Warehouse, weeks: int, version: str, is_new: bool
) -> None:
    write(warehouse, request())
    moved = MONDAY + timedelta(weeks=weeks)
    other = request(
        request_key=f"m:{version}:{moved}", model_version=version, breach_start=moved, week=moved
    )
    assert bool(write(warehouse, other)) == is_new


def test_a_request_waits_until_it_is_handed_over(warehouse: Warehouse) -> None:
    write(warehouse, request(), request(request_key="n:1:2026-03-02", model_name="n"))
    assert [each.request_key for each in drift.undelivered(warehouse, most=1)] == ["m:1:2026-03-02"]
    key, later = "m:1:2026-03-02", NOW + timedelta(hours=1)
    drift.note_attempt(warehouse, key, NOW)
    drift.note_outcome(warehouse, key, error="it answered HTTP 500", now=NOW)
    failed = drift.stored_request(warehouse, key)
    assert failed is not None
    assert (failed.attempts, failed.last_attempt_at, failed.delivered_at) == (1, NOW, None)
    assert failed.last_error == "it answered HTTP 500"
    drift.note_attempt(warehouse, key, later)
    drift.note_outcome(warehouse, key, error=None, now=later)
    taken = drift.stored_request(warehouse, key)
    assert taken is not None
    assert (taken.attempts, taken.delivered_at, taken.last_error) == (2, later, None)
    assert [each.model_name for each in drift.undelivered(warehouse, most=9)] == ["n"]
    assert drift.stored_request(warehouse, "nothing") is None


@pytest.mark.parametrize(
    "values",
    [{"action": "panic"}, {"request_key": ""}, {"breach_start": MONDAY + timedelta(weeks=1)}],
)
def test_postgres_refuses_what_makes_no_sense(warehouse: Warehouse, values: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        write(warehouse, request(**values))


def test_matured_pairs_are_read_as_they_were_when_they_matured(
    warehouse: Warehouse, insert: Callable[..., None]
) -> None:
    def pair(as_of: date, **values: Any) -> None:
        insert(
            prediction_accuracy,
            as_of_date=as_of,
            **{
                "status": "eligible",
                "model_name": "m",
                "model_version": "1",
                "protocol": "launch_d7",
                "ctr_status": "ok",
                "roas_status": "ok",
                "video_id": "v",
                "prediction_id": "p",
                "predicted_at": NOW,
                "matures_on": MONDAY,
                **{
                    column.name: False
                    for column in prediction_accuracy.columns
                    if isinstance(column.type, Boolean)
                },
                **values,
            },
        )

    days = {age: MONDAY + timedelta(days=age) for age in (-1, 1, 2, 9)}
    # Not mature yet; then, the day after, as it is; restated later; too late to look.
    for age, clicks in ((-1, 1), (1, 2), (2, 3)):
        pair(days[age], ad_id="1", clicks=clicks)
    pair(days[9], ad_id="2")
    pair(days[1], ad_id="3", protocol="launch_to_date")
    pair(days[1], ad_id="4", matures_on=None)
    pair(
        days[1],
        ad_id="5",
        protocol="launch_ltd28",
        account_id="42",
        clicks=5,
        spend=Decimal("1.50"),
    )
    found = drift.matured_pairs(warehouse, until=days[9])
    assert found[["ad_id", "clicks"]].to_numpy().tolist() == [["1", 2], ["5", 5]]
    assert found["spend"].iloc[1] == Decimal("1.50")
    assert not found["is_provisional"].any()
    check_frame(found, DRIFT_PAIRS)
    # The curve that its revenue was grown by does not hold any more.
    for account_id in ("42", "43"):
        insert(
            revenue_development,
            as_of_date=days[1],
            account_id=account_id,
            pace="changed" if account_id == "42" else "as_before",
            source="revisions",
            computed_at=NOW,
            dating="unknown",
        )
    provisional = drift.matured_pairs(warehouse, until=days[9])
    assert provisional["is_provisional"].tolist() == [False, True]
    assert drift.matured_pairs(warehouse, until=MONDAY).empty
