"""`actuals db prune`: what it removes and says, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from actuals_pipeline.report_days import retention_floor
from actuals_pipeline.warehouse import months
from actuals_pipeline.warehouse.tables import raw_meta_insights
from actuals_pipeline_tests.serving.conftest import Command, Insert, Stored, sentence_of

TODAY = datetime.now(UTC).date()


@pytest.fixture
def payload(database: str, insert: Insert) -> Callable[[date], None]:
    """Add a payload of a day, into a database without any other month of payloads."""
    with psycopg.connect(database) as connection:
        months.drop(connection, raw_meta_insights, months.stored(connection, raw_meta_insights))

    def add(day: date) -> None:
        insert("raw_meta_insights", report_date=day, payload=Jsonb({}))
        insert("meta_account_totals", report_date=day)

    return add


def month_ago(months_ago: int) -> date:
    """A day of a month that lies wholly before the last so many months."""
    return retention_floor(retention_floor(TODAY, months_ago).replace(day=1), 1)


def days_kept(stored: Stored) -> list[date]:
    return [row["report_date"] for row in stored("raw_meta_insights", "report_date")]


def test_it_keeps_as_many_months_as_meta_unless_told_otherwise(
    command: Command, payload: Callable[[date], None], stored: Stored
) -> None:
    days = [month_ago(38), month_ago(37), month_ago(5), TODAY]
    for day in days:
        payload(day)
    (said,) = command("db", "prune").stdout.splitlines()
    assert said.startswith(
        f"Removed the payloads of 2 months ({days[0]:%Y-%m} to {days[1]:%Y-%m}): 2 rows, "
    )
    assert said.endswith(" bytes; the figures stay.")
    assert days_kept(stored) == days[2:]

    (said,) = command("db", "prune", ACTUALS_RAW_RETENTION_MONTHS="7").stdout.splitlines()
    assert said == "No payloads are older than 7 months: nothing to remove."
    assert days_kept(stored) == days[2:]
    (said,) = command("db", "prune", ACTUALS_RAW_RETENTION_MONTHS="5").stdout.splitlines()
    assert said.startswith(f"Removed the payloads of 1 month ({days[2]:%Y-%m}): 1 row, ")
    assert days_kept(stored) == [TODAY]
    assert len(stored("meta_account_totals")) == len(days)


def test_its_json_and_a_dry_run_say_the_same(
    command: Command, payload: Callable[[date], None], stored: Stored
) -> None:
    for day in (month_ago(3), TODAY):
        payload(day)

    def answered(*arguments: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(command("db", "prune", "--json", *arguments).stdout)
        return answer

    would = answered("--keep-months", "3", "--dry-run")
    assert len(days_kept(stored)) == 2
    size = would["bytes"]
    assert size > 0
    months_gone = [f"{month_ago(3):%Y-%m}"]
    assert would == {
        "months": months_gone, "rows": 1, "bytes": size, "keep_months": 3, "dry_run": True,
    }  # fmt: skip
    text = command("db", "prune", "--keep-months", "3", "--dry-run").stdout
    assert text.startswith(f"Would remove the payloads of 1 month ({months_gone[0]}): 1 row, ")
    assert answered("--keep-months", "3") == {**would, "dry_run": False}
    assert days_kept(stored) == [TODAY]
    nothing = {"months": [], "rows": 0, "bytes": 0, "keep_months": 3, "dry_run": False}
    assert answered("--keep-months", "3") == nothing


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--keep-months", "0"), {}, "0 is not in the range 1<=x<=1200"),
        (("--keep-months", "-1"), {}, "-1 is not in the range"),
        (("--keep-months", "1201"), {}, "1201 is not in the range"),
        (("--keep-months", "many"), {}, "'many' is not a valid integer"),
        (("--keep-months",), {}, "requires an argument"),
        (("37",), {}, "unexpected extra argument"),
        ((), {"ACTUALS_RAW_RETENTION_MONTHS": "0"}, "ACTUALS_RAW_RETENTION_MONTHS cannot be used"),
    ],
    ids=["none", "negative", "centuries", "no number", "nothing", "an argument", "the setting"],
)
def test_what_cannot_be_kept_is_refused_and_nothing_removed(
    command: Command,
    payload: Callable[[date], None],
    stored: Stored,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    words: str,
) -> None:
    payload(month_ago(40))
    assert words in sentence_of(command("db", "prune", *arguments, **variables))
    assert len(days_kept(stored)) == 1
