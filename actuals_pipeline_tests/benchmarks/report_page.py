"""What the page costs with 5,000 ads: seconds of each step, its size, and when a browser shows it.

    python -m actuals_pipeline_tests.benchmarks.report_page [--ads N] [--out FILE]

Made-up ads of 500 campaigns in one account over 60 days, each predicted by two model versions,
and revisions of the last 35 days on each of four days.  Exit 1 if all of it takes more than 5 s of
the processors, if the page is larger than 8 MB, or if Chromium, where there is one, shows its first
figures later than after a second.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, LiteralString, TypeVar

import click
import psycopg

from actuals_pipeline.serving.report import charts, reading, vega
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.warehouse import months
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import TABLES
from actuals_pipeline_tests.benchmarks.measuring import Cost, Ground, own_ground
from actuals_pipeline_tests.browser import chromium

MOST_SECONDS: Final = 5.0
MOST_BYTES: Final = 8_000_000
MOST_SECONDS_TO_FIGURES: Final = 1.0

Made = TypeVar("Made")

_TOTALS: LiteralString = """
INSERT INTO actuals.meta_account_totals (account_id, report_date, account_name, currency,
    time_zone, impressions, clicks, spend, conversions, revenue, purchase_action_type,
    is_reported, is_stand_in, api_version, run_id, fetched_at)
SELECT '42', current_date - day, 'Made up', 'EUR', 'UTC', 0, 0, 0, 0, 0, 'p', true, true, 'v',
       'r', now()
FROM generate_series(0, 59) AS day
"""

_DAYS: LiteralString = """
INSERT INTO actuals.ad_actuals (account_id, ad_id, report_date, campaign_id, campaign_name,
    ad_name, currency, purchase_action_type, impressions, clicks, link_clicks, spend,
    conversions, revenue, is_settled, fetched_at)
SELECT '42', ad::text, current_date - day, (ad %% 500)::text, 'Campaign ' || ad %% 500,
       'Ad ' || ad, 'EUR', 'p', 1000 + ad, 10 + ad %% 37, 5, 1 + ad %% 97 + 0.01 * (day %% 9),
       ad %% 4, (ad %% 4) * 41.5, day > 28, now()
FROM generate_series(1, %(ads)s) AS ad, generate_series(0, 59) AS day
"""

_REVISIONS: LiteralString = """
INSERT INTO actuals.ad_actuals_revisions (account_id, ad_id, report_date, as_of_date, is_listed,
    currency, impressions, clicks, spend, conversions, revenue)
SELECT '42', ad::text, current_date - day, current_date - day + age, true, 'EUR', 1000, 10, 1,
       age, age * 10
FROM generate_series(1, %(ads)s) AS ad, generate_series(0, 34) AS day,
     unnest(ARRAY[0, 1, 3, 7]) AS age
WHERE age <= day
"""

_PAIRS: LiteralString = """
INSERT INTO actuals.prediction_accuracy (as_of_date, ad_id, model_name, model_version, protocol,
    account_id, campaign_id, video_id, prediction_id, currency, status, ctr_status, roas_status,
    predicted_ctr, actual_ctr, ctr_low, ctr_high, ctr_verdict, ctr_accuracy, predicted_roas,
    actual_roas, roas_low, roas_high, roas_verdict, roas_accuracy, impressions, clicks, spend,
    conversions, revenue, predicted_at, days_since_prediction)
SELECT current_date, ad::text, 'ranker', version::text, 'launch_to_date', '42', (ad %% 500)::text,
       'v', 'p', 'EUR', 'eligible', 'ok', 'ok', said, was, was * 0.8, was * 1.2,
       CASE WHEN said > was * 1.2 THEN 'over' WHEN said < was * 0.8 THEN 'under'
            WHEN ad %% 3 = 0 THEN 'unresolved' ELSE 'within_tolerance' END,
       greatest(0, 1 - abs(said - was) / said), 100 * said, 100 * was, 60 * was, 160 * was,
       'unresolved', 0.8, 60000, (60000 * was)::bigint, 60 * (1 + ad %% 97), ad %% 4, 0, now(), 30
FROM generate_series(1, %(ads)s) AS ad, generate_series(1, 2) AS version,
     LATERAL (SELECT 0.01 + 0.00001 * (ad %% 2000) AS was) AS w,
     LATERAL (SELECT was * (0.75 + 0.0005 * ((ad * 7 + version * 13) %% 1000)) AS said) AS s
"""

_MODELS: LiteralString = """
INSERT INTO actuals.model_accuracy (as_of_date, model_name, model_version, protocol,
    prediction_accuracy, n_pairs, n_ctr, n_roas, n_predicted, n_leaked, n_no_delivery, n_invalid,
    n_too_young, n_too_old, n_unscored, n_no_prediction, prediction_accuracy_low,
    prediction_accuracy_high, n_clusters, noise_ceiling, baseline_accuracy, coverage_spend)
SELECT current_date - day, 'ranker', version::text, protocol, 84 + version - day * 0.05,
       %(ads)s, %(ads)s, %(ads)s, %(ads)s, 0, 0, 0, 0, 0, 0, 0, 82 + version, 87 + version, 500,
       93, 74, 0.97
FROM generate_series(0, 59) AS day, generate_series(1, 2) AS version,
     unnest(ARRAY['headline', 'launch_to_date']) AS protocol
"""


@click.command()
@click.option("--ads", default=5000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Keep the page, to look at it.")
def main(ads: int, out: Path | None) -> None:
    """Fill a warehouse, make the page of it and say what that took."""
    with own_ground() as ours, tempfile.TemporaryDirectory() as folder:
        _fill(ours.url, ads)
        # Once a process, and the script once an installation.
        vega.bundled(Path(folder))
        charts.specs()
        read, seen = _cost(ours, lambda: reading.read(Warehouse(ours.url)))
        told, contents = _cost(ours, lambda: contents_of(seen))
        written, page = _cost(ours, lambda: page_of(contents, Path(folder), is_live=True))
    html = page.html.encode()
    steps = {"read the tables": read, "tell them": told, "write the page": written}
    for name, cost in steps.items():
        click.echo(f"{cost.wall:6.2f} s, {cost.cpu:.2f} s of the processors:  {name}")
    seconds = sum(cost.cpu for cost in steps.values())
    click.echo(f"{len(html) / 1e6:6.2f} MB the page, {len(gzip.compress(html)) / 1e6:.2f} MB sent")
    painted = _painted(html)
    click.echo("no Chromium to show it" if painted is None else f"{painted:6.2f} s  to its figures")
    if out is not None:
        out.write_bytes(html)
    is_slow = painted is not None and painted > MOST_SECONDS_TO_FIGURES
    sys.exit(seconds > MOST_SECONDS or len(html) > MOST_BYTES or is_slow)


def _cost(ours: Ground, step: Callable[[], Made]) -> tuple[Cost, Made]:
    made: list[Made] = []
    return ours.cost(lambda: made.append(step())), made[0]


def _painted(html: bytes) -> float | None:
    """Seconds from asking for the page to the first paint with figures; None without Chromium."""
    program = chromium.found()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder, chromium.started(program) as browser:
        file = Path(folder) / "page.html"
        file.write_bytes(html)
        with chromium.watched(browser) as page:
            page.goto(file.as_uri())
            name = "first-contentful-paint"
            milliseconds: float = page.evaluate(
                "(name) => performance.getEntriesByName(name)[0].startTime", name
            )
    return milliseconds / 1000


def _fill(url: str, ads: int) -> None:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT current_date - day FROM generate_series(0, 59) AS day")
        days = [day for (day,) in found]
        for name in ("ad_actuals", "ad_actuals_revisions"):
            months.make(connection, TABLES[name], months.months_of(days))
        for query in (_TOTALS, _DAYS, _REVISIONS, _PAIRS, _MODELS):
            connection.execute(query, {"ads": ads})
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


if __name__ == "__main__":
    main()
