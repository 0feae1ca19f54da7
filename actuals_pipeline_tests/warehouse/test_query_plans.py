"""What the readers read of a large warehouse: the months asked for, by the indexes made for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Table

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import queries
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import as_known, embedded, history, months, store
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.fetch_memory import StoredFetchMemory
from actuals_pipeline.warehouse.tables import ad_actuals, ad_actuals_revisions, raw_meta_insights

KNOWN = DayWindow.inclusive(date(2024, 4, 1), date(2026, 3, 31))
WINDOW = DayWindow.inclusive(date(2025, 6, 20), date(2025, 7, 10))
RECENT = DayWindow.inclusive(date(2026, 3, 1), date(2026, 3, 31))
SINGLE_DAY = DayWindow.inclusive(date(2025, 7, 7), date(2025, 7, 7))
DAY = date(2025, 7, 20)
NOON = datetime(2025, 7, 20, 12, tzinfo=UTC)

FILL = """
WITH ad_day AS (
    SELECT (42 + mod(ad, 4))::text AS account_id, (6000 + ad)::text AS ad_id,
           day::date AS report_date
    FROM generate_series(1, 140) AS ad
    CROSS JOIN generate_series(%(since)s::date, %(until)s::date, interval '1 day') AS day
), raw AS (
    INSERT INTO actuals.raw_meta_insights
    SELECT account_id, ad_id, report_date, '{}', 'v26.0', 'run', report_date + interval '40 days'
    FROM ad_day
), actual AS (
    INSERT INTO actuals.ad_actuals
        (account_id, ad_id, report_date, currency, purchase_action_type, impressions, clicks,
         link_clicks, spend, conversions, revenue, is_settled, fetched_at)
    SELECT account_id, ad_id, report_date, 'EUR', 'omni_purchase', 100, 2, 1, 1.5, 1, 3, true,
           report_date + interval '40 days'
    FROM ad_day
), total AS (
    INSERT INTO actuals.meta_account_totals
        (account_id, report_date, account_name, currency, time_zone, impressions, clicks, spend,
         conversions, revenue, purchase_action_type, is_reported, is_stand_in, api_version, run_id,
         fetched_at)
    SELECT DISTINCT account_id, report_date, 'Shoes', 'EUR', 'UTC', 1, 1, 1, 1, 1,
           'omni_purchase', true, false, 'v26.0', 'run',
           least(report_date + interval '40 days', %(until)s::date)
    FROM ad_day
), logged AS (
    INSERT INTO actuals.fetch_log
        (run_id, kind, account_id, since, until, started_at, outcome, calls, pages, rows, retries,
         rate_limits_hit, is_stand_in)
    SELECT DISTINCT 'run', 'account', account_id, report_date, report_date,
           report_date + interval '20 hours', 'complete', 1, 1, 1, 0, 0, false
    FROM ad_day
), video AS (
    -- Some of the ads never delivered.
    INSERT INTO public.videos (meta_platform_id, created_at)
    SELECT (6000 + ad)::text, %(made)s FROM generate_series(1, 200) AS ad
)
INSERT INTO actuals.ad_actuals_revisions
    (account_id, ad_id, report_date, as_of_date, is_listed, currency, impressions, clicks, spend,
     conversions, revenue)
SELECT account_id, ad_id, report_date, report_date, true, 'EUR', 100, 2, 1.5, 1, 3 FROM ad_day
"""


@pytest.fixture(scope="module")
def filled(postgres_server: embedded.EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """Two years of 140 ads: 102,200 rows in each of the large tables."""
    name = sql.Identifier("large")
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(name, sql.Identifier(database_template)))
        url = postgres_server.url("large")
        with psycopg.connect(url, autocommit=True) as filling:
            with filling.transaction():
                for table in (raw_meta_insights, ad_actuals, ad_actuals_revisions):
                    months.make(filling, table, months.months_of(KNOWN))
                made = NOON.replace(tzinfo=None) - timedelta(days=9)
                values = {"since": KNOWN.since, "until": KNOWN.until, "made": made}
                filling.execute(FILL, values)
            filling.execute("VACUUM ANALYZE")
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@dataclass(frozen=True)
class Scan:
    """How one relation was read in one place of a plan."""

    relation: str
    index: str

    @property
    def table(self) -> str:
        """The table that people know: that of a month without it."""
        return re.sub(r"_\d{4}_\d\d$", "", self.relation)

    @property
    def month(self) -> date | None:
        """The month of a partition; None for a table that has none."""
        found = re.search(r"_(\d{4})_(\d\d)$", self.relation)
        return date(int(found[1]), int(found[2]), 1) if found else None


class ExplainedWarehouse(Warehouse):
    """A warehouse that notes how Postgres carried out each query that was asked of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.scans: list[Scan] = []

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        scans = self.scans

        class Explaining(psycopg.Cursor[Any]):
            def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
                text = query if isinstance(query, str) else query.as_string(self)
                if text.lstrip().startswith(("SELECT", "WITH")):
                    explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) "
                    with psycopg.Cursor(self.connection) as plain:
                        plain.execute((explain + text).encode(), params)
                        for (plan,) in plain.fetchall():
                            scans.extend(scans_of(plan[0]["Plan"]))
                return super().execute(query, params, **options)

        with super().transaction() as connection:
            connection.cursor_factory = Explaining
            yield connection


def scans_of(node: dict[str, Any]) -> Iterator[Scan]:
    """The scans of a plan that were carried out; what was found out to be not needed was not."""
    if not node["Actual Loops"]:
        return
    if "Relation Name" in node:
        # Of a bitmap the index is told one step below.
        (index, *_) = (each.get("Index Name", "") for each in (*node.get("Plans", ()), node))
        yield Scan(node["Relation Name"], index)
    for part in node.get("Plans", ()):
        yield from scans_of(part)


def of_months(*named: str) -> set[date]:
    return {date.fromisoformat(f"{each}-01") for each in named}


JUNE_AND_JULY = of_months("2025-06", "2025-07")
LAST_QUARTER = of_months("2025-12", "2026-01", "2026-02", "2026-03")
"""The months of the 90 days that settled last, and of the 28 that have not settled yet."""

Reader = Callable[[Warehouse], object]


@pytest.mark.parametrize(
    ("read", "table", "want"),
    [
        (lambda warehouse: queries.money(warehouse, WINDOW), ad_actuals, JUNE_AND_JULY),
        (
            lambda warehouse: queries.money(warehouse, WINDOW, DAY),
            ad_actuals_revisions,
            JUNE_AND_JULY,
        ),
        (
            lambda warehouse: queries.days_known(warehouse, WINDOW, DAY),
            ad_actuals_revisions,
            JUNE_AND_JULY,
        ),
        (
            lambda warehouse: queries.provisional(warehouse, RECENT),
            ad_actuals,
            of_months("2026-03"),
        ),
        (
            lambda warehouse: queries.provisional(warehouse, RECENT),
            ad_actuals_revisions,
            LAST_QUARTER,
        ),
        (
            lambda warehouse: history.cohorts(warehouse, WINDOW, DAY),
            ad_actuals_revisions,
            JUNE_AND_JULY,
        ),
        (
            lambda warehouse: StoredFetchMemory(warehouse).known_ads("42", WINDOW),
            raw_meta_insights,
            of_months("2025-05", "2025-06", "2025-07"),
        ),
        (
            lambda warehouse: StoredFetchMemory(warehouse).known_ads("42", WINDOW),
            ad_actuals,
            of_months("2025-05", "2025-06", "2025-07"),
        ),
        (
            lambda warehouse: len(store.read(warehouse, raw_meta_insights, WINDOW)),
            raw_meta_insights,
            JUNE_AND_JULY,
        ),
        (
            lambda warehouse: store.StoredDays(warehouse, ad_actuals, WINDOW).parts(),
            ad_actuals,
            JUNE_AND_JULY,
        ),
    ],
    ids=[
        "money",
        "money as of a day",
        "days known as of a day",
        "provisional days",
        "completeness by age",
        "cohorts",
        "payloads of known ads",
        "figures of known ads",
        "rows",
        "parts",
    ],
)
def test_a_reader_of_days_reads_their_months_only(
    filled: str, read: Reader, table: Table, want: set[date]
) -> None:
    warehouse = ExplainedWarehouse(filled)
    assert read(warehouse), "something was there to be read"
    assert {scan.month for scan in warehouse.scans if scan.table == table.name} == want


@pytest.mark.parametrize(
    "read",
    [
        lambda warehouse: queries.ad_outcomes(
            warehouse, WINDOW, ["run"], Settings.from_environment({}), NOON
        ),
        lambda warehouse: (
            as_known.known_changes(warehouse, ["6001", "6190"], DayWindow.inclusive(DAY, DAY), {})[
                "ad_id"
            ].size
        ),
    ],
    ids=["outcomes of ads", "ads as known"],
)
def test_a_reader_of_ads_finds_them_by_their_id_in_every_month(filled: str, read: Reader) -> None:
    warehouse = ExplainedWarehouse(filled)
    assert read(warehouse)
    scans = [scan for scan in warehouse.scans if scan.table == ad_actuals.name]
    assert len({scan.month for scan in scans}) > 12
    assert {scan.index.partition("_ad_id_")[1] for scan in scans} == {"_ad_id_"}, scans


@pytest.mark.parametrize(
    ("read", "index"),
    [
        (lambda warehouse: queries.money(warehouse, SINGLE_DAY), "_report_date_idx"),
        (
            lambda warehouse: store.read(warehouse, raw_meta_insights, SINGLE_DAY),
            "_report_date_idx",
        ),
        (
            lambda warehouse: store.read(warehouse, ad_actuals, SINGLE_DAY, account_ids=["42"]),
            "_report_date_idx",
        ),
    ],
    ids=["money", "payloads", "an account's figures"],
)
def test_a_single_day_is_found_by_its_index(filled: str, read: Reader, index: str) -> None:
    warehouse = ExplainedWarehouse(filled)
    read(warehouse)
    (scan,) = [scan for scan in warehouse.scans if scan.month]
    assert scan.index == f"{scan.relation}{index}"
