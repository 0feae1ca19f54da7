"""An ad's story: what was predicted of it, what came day by day, what Meta changed since."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.rows import dict_row

from actuals_pipeline.serving.report.reading import Reading, Row
from actuals_pipeline.warehouse.connection import Warehouse

MOST_ROWS = 400
"""Newest rows of each part: more than a year of days."""

STORIES_IN_A_FILE = 50
"""Ads whose story a file brings along, those with most spend."""

ROWS_IN_A_FILE = 30
"""Rows of each part of a story in a file."""

_PREDICTIONS: LiteralString = """
SELECT model_name, model_version, predicted_ctr, predicted_roas, logged_at, claimed_at, is_attested
FROM actuals.prediction_log
WHERE video_id IN (
    SELECT id::text FROM public.videos WHERE trim(meta_platform_id::text) = %(ad_id)s
)
ORDER BY sequence DESC
LIMIT %(most)s
"""

_COMPARED: LiteralString = """
SELECT model_name, model_version, protocol, status, predicted_ctr, actual_ctr, ctr_verdict,
       predicted_roas, actual_roas, roas_verdict, first_delivery_on, matures_on
FROM actuals.prediction_accuracy
WHERE ad_id = %(ad_id)s AND as_of_date = (
    SELECT max(as_of_date) FROM actuals.prediction_accuracy WHERE ad_id = %(ad_id)s
)
ORDER BY model_name, model_version, protocol
LIMIT %(most)s
"""

_DAYS: LiteralString = """
SELECT report_date, impressions, clicks, ctr, spend, currency, conversions, revenue, roas,
       is_settled, fetched_at
FROM actuals.ad_actuals
WHERE ad_id = %(ad_id)s
ORDER BY report_date DESC
LIMIT %(most)s
"""

_REVISIONS: LiteralString = """
SELECT report_date, as_of_date, is_listed, impressions, clicks, spend, currency, conversions,
       revenue
FROM actuals.ad_actuals_revisions
WHERE account_id = ANY(%(account_ids)s) AND ad_id = %(ad_id)s
ORDER BY report_date DESC, as_of_date DESC
LIMIT %(most)s
"""

_PAYLOAD: LiteralString = """
SELECT report_date, payload
FROM actuals.raw_meta_insights
WHERE account_id = ANY(%(account_ids)s) AND ad_id = %(ad_id)s
ORDER BY report_date DESC
LIMIT 1
"""

_ACCOUNTS: LiteralString = """
SELECT array_agg(DISTINCT account_id) AS account_ids FROM actuals.ad_actuals WHERE ad_id = %(ad_id)s
"""


def story_of(warehouse: Warehouse, ad_id: str, most: int = MOST_ROWS) -> dict[str, Any] | None:
    """The ad's story for the page's script, or None for an ad of which there is nothing."""
    values: dict[str, Any] = {"ad_id": ad_id, "most": most}
    with warehouse.transaction() as connection:
        cursor = connection.cursor(row_factory=dict_row)

        def rows(query: LiteralString) -> list[Row]:
            return cursor.execute(query, values).fetchall()

        values["account_ids"] = rows(_ACCOUNTS)[0]["account_ids"] or []
        predictions, compared = rows(_PREDICTIONS), rows(_COMPARED)
        days, revisions, payload = rows(_DAYS), rows(_REVISIONS), rows(_PAYLOAD)
    if not (predictions or compared or days or revisions):
        return None
    return {
        "ad_id": ad_id,
        "parts": [
            _part("Predictions, as they were received", predictions, "Nobody predicted this ad."),
            _part("Predicted against actual", compared, "Nothing was compared yet."),
            _part("Day by day", days, "It had no delivery.", most),
            _part("What was known, and since when", revisions, "Nothing was revised.", most),
        ],
        "payload": payload[0]["payload"] if payload else None,
        "payload_day": payload[0]["report_date"].isoformat() if payload else None,
    }


def stories_of(warehouse: Warehouse, reading: Reading, asked: Sequence[str]) -> dict[str, Any]:
    """The stories that a file brings along, by ad: those asked for, and of most spend."""
    biggest = [row["ad_id"] for row in reading["ads"][:STORIES_IN_A_FILE]]
    found = {
        ad_id: story_of(warehouse, ad_id, MOST_ROWS if ad_id in asked else ROWS_IN_A_FILE)
        for ad_id in dict.fromkeys([*asked, *biggest])
    }
    return {ad_id: story for ad_id, story in found.items() if story is not None}


def _part(title: str, rows: Sequence[Row], empty: str, most: int | None = None) -> dict[str, Any]:
    return {
        "title": title,
        "columns": list(rows[0]) if rows else [],
        "rows": [{name: _told(value) for name, value in row.items()} for row in rows],
        "empty": empty,
        "note": f"The newest {most:,} of them." if most and len(rows) == most else "",
    }


def _told(value: Any) -> Any:
    """As the script shows it: amounts with the digits they have, the rest in ISO form."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    return value if isinstance(value, int | float | str) else value.isoformat()
