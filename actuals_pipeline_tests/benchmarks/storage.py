"""What a year of an ad takes on disk: payloads, figures, and everything that was restated.

    python -m actuals_pipeline_tests.benchmarks.storage [--ads 40] [--days 60]

The stand-in's world, which restates its days for 28 days as Meta does, is fetched once a day for
`--days` days, 29 days each time, so that each report day passes through all of its restatements.
Then the rows are counted that have, and the bytes of their tables, vacuumed, with indexes and
what is stored out of line.  Printed per report day of an ad, and per year of one that always
delivers.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click
import psycopg
from psycopg import sql

from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.frames import empty_frame
from actuals_pipeline.graph_stand_in.graph import Graph, Request
from actuals_pipeline.graph_stand_in.world import AccountPlan, World
from actuals_pipeline.meta.parse import parse_insights
from actuals_pipeline.meta.queries import Query
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.videos import VIDEOS
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice, replace_in_transaction
from actuals_pipeline.warehouse.tables import (
    ad_actuals,
    ad_actuals_revisions,
    raw_meta_insights,
)
from actuals_pipeline_tests.benchmarks.fetch_month import ACCOUNT, omni
from actuals_pipeline_tests.benchmarks.load import raw_rows
from actuals_pipeline_tests.benchmarks.measuring import own_ground

LAST: Final = datetime(2026, 3, 8, 15, tzinfo=UTC)
REFRESHED_DAYS: Final = 29

TABLES: Final = (raw_meta_insights, ad_actuals, ad_actuals_revisions)

_BYTES: Final = """
SELECT sum(pg_total_relation_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = %s::regclass
"""


def payloads(world: World, window: DayWindow) -> list[dict[str, Any]]:
    """What the stand-in answers for `window`."""
    graph = Graph(world, access_token="t")
    query = Query.of_ads(ACCOUNT, filter_statuses=True).params(window)
    params = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in query.items()
    } | {"access_token": "t", "limit": "500"}
    rows: list[dict[str, Any]] = []
    while True:
        answer = graph.answer(Request("GET", f"/v26.0/act_{ACCOUNT}/insights", params, ""))
        page = json.loads(answer.body)
        rows += page["data"]
        if "next" not in page.get("paging", {}):
            return rows
        params["after"] = page["paging"]["cursors"]["after"]


def refresh(warehouse: Warehouse, plan: AccountPlan, now: datetime) -> int:
    """Fetch and store the trailing days as of `now`; returns the rows."""
    window = DayWindow.trailing(now.date(), REFRESHED_DAYS)
    rows = payloads(World(now=now, accounts=[plan]), window)
    insights = parse_insights(rows, purchase_action_type=omni, fetched_at=now)
    fetched_on = {(ACCOUNT, day): now.date() for day in window}
    covered = (Slice(window, ACCOUNT, None, now, now.date()),)
    for table, frame in (
        (raw_meta_insights, raw_rows(rows, now)),
        (ad_actuals, normalize(insights, empty_frame(VIDEOS), fetched_on)),
    ):
        replace_in_transaction(warehouse, table, CoveredRows(frame, covered))
    return len(rows)


def rows_and_bytes(url: str, name: str) -> tuple[int, int]:
    with psycopg.connect(url, autocommit=True) as connection:
        table = sql.Identifier(*name.split("."))
        connection.execute(sql.SQL("VACUUM (FULL) {}").format(table))
        counted = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
        taken = connection.execute(_BYTES, [name]).fetchone()
    return (counted[0], taken[0]) if counted and taken else (0, 0)


@click.command()
@click.option("--ads", default=40, show_default=True)
@click.option("--days", default=60, show_default=True, help="Days on which is fetched.")
def main(*, ads: int, days: int) -> None:
    """Print a row for each table."""
    plan = AccountPlan(ACCOUNT, "Benchmark", "EUR", "UTC", ads)
    with own_ground() as ground:
        warehouse = Warehouse(ground.url)
        for day in range(days):
            refresh(warehouse, plan, LAST - timedelta(days=days - 1 - day))
        found = {table.name: rows_and_bytes(ground.url, table.fullname) for table in TABLES}
    ad_days = found["ad_actuals"][0]
    click.echo(f"{'':>22}{'rows':>9}{'MB':>7}{'rows/ad-day':>13}{'B/ad-day':>10}{'kB/ad-year':>12}")
    for name, (rows, taken) in found.items():
        click.echo(
            f"{name:>22}{rows:>9,}{taken / 1e6:>7.1f}{rows / ad_days:>13.2f}"
            f"{taken / ad_days:>10,.0f}{365 * taken / ad_days / 1e3:>12,.0f}"
        )


if __name__ == "__main__":
    main()
