"""Hourly run, backfill and single ads, from several processes at once, over the same days."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.conftest import Actuals
from actuals_pipeline_tests.journeys.conftest import FIGURES, Row, Rows


@pytest.mark.usefixtures("product")
def test_overlapping_writers_of_several_processes_leave_the_truth(
    actuals: Actuals, world: World, stored: Rows, truth: Rows, today: date
) -> None:
    window = DayWindow.trailing(today, 12)
    whole = ("backfill", "--since", str(window.since), "--until", str(window.until))
    assert actuals(*whole).returncode == 0
    ad_ids = sorted({row["ad_id"] for row in truth(DayWindow.trailing(today, 7))})[:2]

    # What all of them will find is newer than what is stored.
    world.now += timedelta(days=2)
    commands = [("sync",), whole, *(("fetch", ad_id) for ad_id in ad_ids)]
    with ThreadPoolExecutor(len(commands)) as pool:
        ended = list(pool.map(lambda command: actuals(*command), commands))
    assert [(each.returncode, each.stderr) for each in ended] == [(0, "")] * len(commands)
    figures = stored("ad_actuals", *FIGURES)
    assert [row for row in figures if row["report_date"] in window] == truth(window)
    # A single ad's days are its account's own: in the east a day more may have begun.
    begun = truth(DayWindow.trailing(today + timedelta(days=1), 1))
    assert all(row in begun for row in figures if row["report_date"] not in window)
    days = {(row["account_id"], row["report_date"]) for row in stored("meta_account_totals")}
    verdicts = {
        (row["account_id"], row["report_date"]): row["verdict"]
        for row in stored("spend_reconciliation")
    }
    assert set(verdicts) <= days
    assert set(verdicts.values()) == {"exact"}
    known = [
        {name: row[name] for name in FIGURES}
        for row in newest(stored("ad_actuals_revisions"))
        if row["is_listed"]
    ]
    assert known == figures


def newest(revisions: list[Row]) -> list[Row]:
    """The last revision of each ad's day."""
    ordered = sorted(revisions, key=lambda row: str(row["as_of_date"]))
    last = {(row["account_id"], row["ad_id"], row["report_date"]): row for row in ordered}
    return [row for _, row in sorted(last.items())]
