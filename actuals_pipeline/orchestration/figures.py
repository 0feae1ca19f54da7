"""Per-day figures of a frame as materialization metadata, so that the UI can plot them.

Money is named with its currency (`spend_eur`): amounts of different currencies are never added.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg
import pandas as pd

from actuals_pipeline.accuracy.protocols import LAUNCH_TO_DATE

_FETCHES_SHOWN = 10
"""Fetches of a run in its metadata, those that failed first; `fetch_log` has them all."""

_DIGITS = 6
"""Significant digits of a rate: more are noise, and stored for each day of each run."""


def fetches_by_day(context: dg.AssetExecutionContext, log: Sequence[Mapping[str, Any]]) -> None:
    """Attach how many accounts failed to each day's partition, and the fetches to the newest.

    `log` has the rows of `fetch_log` that the run wrote.
    """
    failed = [row for row in log if row["outcome"] != "complete"]
    newest = max(context.partition_keys)
    for key in context.partition_keys:
        missing = {
            row["account_id"] for row in failed if str(row["since"]) <= key <= str(row["until"])
        }
        shown: dict[str, Any] = {"accounts_not_fetched": len(missing)}
        if key == newest and log:
            shown["fetches"] = _fetches(log)
        context.add_asset_metadata(shown, asset_key="raw_meta_insights", partition_key=key)


def _fetches(log: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    rows = sorted(log, key=lambda row: row["outcome"] == "complete")[:_FETCHES_SHOWN]
    records = [
        dg.TableRecord(
            {
                "account_id": row["account_id"],
                "days": (row["until"] - row["since"]).days + 1,
                "outcome": row["outcome"],
                "calls": row["calls"],
                "rows": row["rows"],
                "retries": row["retries"],
                "seconds": round(row["duration_seconds"], 1),
                "throttled": round(row["throttled_seconds"], 1),
            }
        )
        for row in rows
    ]
    columns = [dg.TableColumn(name) for name in records[0].data]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def figures_by_day(
    context: dg.AssetExecutionContext, figures: pd.DataFrame, *, asset: str | None = None
) -> None:
    """Attach spend, revenue, ROAS, CTR, clicks and conversions of each day to its partition.

    And, where the rows say so, which share of them Meta restates no more.
    """
    for day, rows in figures.groupby("report_date"):
        context.add_asset_metadata(_figures(rows), asset_key=asset, partition_key=str(day))


def scores_by_day(context: dg.AssetExecutionContext, models: pd.DataFrame) -> None:
    """Attach each model version's accuracies as of each day to its partition."""
    for key, day in models.groupby("as_of_date"):
        scores: dict[str, float | int] = {}
        for protocol, name, version, n_pairs, accuracy in zip(
            day["protocol"],
            day["model_name"],
            day["model_version"],
            day["n_pairs"],
            day["prediction_accuracy"],
            strict=True,
        ):
            which = "" if protocol == LAUNCH_TO_DATE else f"{protocol.replace('_', ' ')} "
            scores[f"{which}pairs of {name} {version}"] = int(n_pairs)
            if not math.isnan(accuracy):
                scores[f"{which}accuracy of {name} {version} (%)"] = _rounded(accuracy)
        context.add_asset_metadata(scores, partition_key=str(key))


def investment_by_day(context: dg.AssetExecutionContext, summary: pd.DataFrame) -> None:
    """Attach what is spent, and of the total, and the burn as of each day to its partition."""
    overall = summary[summary["scope"].eq("overall")]
    for day, currency, spend, share, burn in zip(
        overall["as_of_date"],
        overall["currency"],
        overall["spend"],
        overall["spent_share"],
        overall["burn_per_day_28d"],
        strict=True,
    ):
        code = str(currency).lower()
        figures = {f"spend_{code}": spend, "spent_share": share, f"burn_per_day_{code}": burn}
        known = {name: float(value) for name, value in figures.items() if pd.notna(value)}
        context.add_asset_metadata(known, partition_key=str(day))


def _figures(day: pd.DataFrame) -> dict[str, float | int]:
    impressions, clicks = int(day["impressions"].sum()), int(day["clicks"].sum())
    figures: dict[str, float | int] = {
        "impressions": impressions,
        "clicks": clicks,
        "conversions": int(day["conversions"].sum()),
    }
    if impressions:
        figures["ctr"] = _rounded(clicks / impressions)
    if "is_settled" in day:
        figures["settled_share"] = _rounded(day["is_settled"].mean())
    for currency, part in day.groupby("currency"):
        code = str(currency).lower()
        spend, revenue = sum(part["spend"], Decimal(0)), sum(part["revenue"], Decimal(0))
        figures |= {f"spend_{code}": float(spend), f"revenue_{code}": float(revenue)}
        if spend:
            figures[f"roas_{code}"] = _rounded(revenue / spend)
    return figures


def _rounded(rate: float | Decimal) -> float:
    return float(f"{rate:.{_DIGITS}g}")
