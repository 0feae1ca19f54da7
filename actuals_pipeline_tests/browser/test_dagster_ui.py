"""Dagster's UI as people use it: a backfill, the schedule on and off, one ad, today by hand.

What they click is found by its role and its words; in the end it must be in the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from actuals_pipeline.graph_stand_in.server import running_stand_in
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline_tests.conftest import environment_of
from actuals_pipeline_tests.serving.conftest import eventually
from actuals_pipeline_tests.serving.up import started

RUN_SECONDS = 90
"""Longest for a run of a small world, where others use the machine as well; usually 10."""


@dataclass(frozen=True)
class Installation:
    """Where the UI is served, and the database beneath it."""

    address: str
    database_url: str
    today: date

    def found(self, query: str) -> list[tuple[Any, ...]]:
        """What is in the tables."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture
def installation(database: str, tmp_path: Path) -> Iterator[Installation]:
    """`actuals up` over one account, with a handful of partitions and nothing fetched."""
    now = datetime.now(UTC)
    world = World(now=now, accounts=[AccountPlan("42", "Stand-in Berlin", "EUR", "UTC", 6)])
    with running_stand_in(world) as graph:
        environment = environment_of(graph, database, tmp_path)
        environment["ACTUALS_START_DATE"] = str(now.date() - timedelta(days=4))
        with started(environment, tmp_path) as up:
            eventually(up.answers, seconds=90)
            up.switch_schedule_off()
            yield Installation(f"http://127.0.0.1:{up.port}", database, now.date())


def test_what_people_do_in_dagsters_ui(installation: Installation, page: Page) -> None:
    # One story: the server takes longest, and the daemon looks for backfills every 30 seconds.
    backfill_is_launched(page, installation)
    schedule_is_switched_on_and_off(page, installation)
    ad_is_asked_for(page, installation)
    today_is_materialized(page, installation)
    asset_page_tells_what_it_holds(page, installation)
    backfill_is_done(page, installation)


def history(installation: Installation) -> tuple[date, date]:
    """Two days before yesterday."""
    return installation.today - timedelta(days=3), installation.today - timedelta(days=2)


def backfill_is_launched(page: Page, installation: Installation) -> None:
    since, until = history(installation)
    page.goto(f"{installation.address}/assets/raw_meta_insights?view=overview")
    dialog = dialog_of(page, "Materialize")
    days = dialog.get_by_role("textbox").first
    days.fill(f"[{since}...{until}]")
    days.press("Enter")
    expect(dialog.get_by_text("Backfills all partitions in a single run.")).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    expect(page.get_by_text("Created backfill")).to_be_visible()


def schedule_is_switched_on_and_off(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.address}/locations/actuals_pipeline/schedules/hourly_actuals")
    expect(page.get_by_text("Every hour the last 2 days")).to_be_visible()
    switch = page.get_by_role("checkbox").first
    state = "SELECT status FROM dagster.jobs WHERE job_body LIKE '%hourly_actuals%'"
    expect(switch).not_to_be_checked()
    for status, is_on in (("RUNNING", True), ("STOPPED", False)):
        expected = [(status,)]

        def is_switched(is_on: bool = is_on, expected: list[tuple[str]] = expected) -> bool:
            # While the UI waits for the answer to a click before, it takes none.
            if switch.is_checked() != is_on:
                switch.press("Space")
                page.wait_for_timeout(500)
            return switch.is_checked() == is_on and installation.found(state) == expected

        eventually(is_switched, RUN_SECONDS)


def ad_is_asked_for(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.address}/locations/actuals_pipeline/jobs/single_ad_job/playground")
    expect(page.get_by_text('Missing required config entry "ad_id"')).to_be_visible()
    expect(page.get_by_role("button", name="Launch Run")).to_be_disabled()
    expect(page.get_by_text("actuals/tier: by hand")).to_be_visible()


def today_is_materialized(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.address}/locations/actuals_pipeline/jobs/actuals_job")
    dialog = dialog_of(page, "Materialize all")
    dialog.get_by_role("button", name="Latest").click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_text("Launched run")).to_be_visible()
    page.goto(f"{installation.address}/locations/actuals_pipeline/jobs/actuals_job/runs")
    expect(page.get_by_text("actuals/tier: by hand")).to_be_visible()
    succeeded = page.get_by_text("Success", exact=True).first
    expect(succeeded).to_be_visible(timeout=RUN_SECONDS * 1000)
    held = "SELECT DISTINCT report_date FROM actuals.ad_actuals"
    assert installation.found(held) == [(installation.today,)]


def asset_page_tells_what_it_holds(page: Page, installation: Installation) -> None:
    page.goto(f"{installation.address}/assets/ad_actuals?view=overview")
    expect(page.get_by_text("One row is one ad's figures for one report day.")).to_be_visible()
    expect(page.get_by_text("Spend, revenue and ROAS of the last seven days")).to_be_visible()
    most = "SELECT ad_name FROM actuals.ad_actuals ORDER BY impressions DESC LIMIT 1"
    ((name,),) = installation.found(most)
    expect(page.get_by_role("cell", name=" ".join(name.split())).first).to_be_visible()
    expect(page.get_by_text(" new, 0 changed, 0 unchanged, 0 removed").first).to_be_visible()
    report = page.get_by_role("link", name="http://127.0.0.1:8003/").first
    expect(report).to_have_attribute("href", "http://127.0.0.1:8003/")


def backfill_is_done(page: Page, installation: Installation) -> None:
    since, until = history(installation)
    runs = (
        "SELECT status, count(*) FROM dagster.runs JOIN dagster.run_tags USING (run_id) "
        "WHERE key = 'dagster/backfill' GROUP BY status"
    )
    # What the page says of a day that is opened stays as it was, so it is opened afterwards.
    eventually(lambda: installation.found(runs) == [("SUCCESS", 1)], RUN_SECONDS)
    page.goto(f"{installation.address}/assets/raw_meta_insights?view=partitions&partition={until}")
    expect(page.get_by_text("Materialized", exact=True).first).to_be_visible()
    expect(page.get_by_role("cell", name="accounts_not_fetched")).to_be_visible()
    held = "SELECT DISTINCT report_date FROM actuals.raw_meta_insights ORDER BY 1"
    assert installation.found(held) == [(since,), (until,), (installation.today,)]


def dialog_of(page: Page, button: str) -> Locator:
    """The dialog that a button opens."""
    page.get_by_role("button", name=button).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog
