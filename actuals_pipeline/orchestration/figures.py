"""Per-day figures of a frame as materialization metadata, so that the UI can plot them.

Money is named with its currency (`spend_eur`): amounts of different currencies are never added.
"""

import math
from decimal import Decimal

import dagster as dg
import pandas as pd

from actuals_pipeline.accuracy.protocols import LAUNCH_TO_DATE


def figures_by_day(
    context: dg.AssetExecutionContext, figures: pd.DataFrame, *, asset: str | None = None
) -> None:
    """Attach spend, revenue, ROAS, CTR, clicks and conversions of each day to its partition."""
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
                scores[f"{which}accuracy of {name} {version} (%)"] = float(accuracy)
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
        figures["ctr"] = clicks / impressions
    for currency, part in day.groupby("currency"):
        code = str(currency).lower()
        spend, revenue = sum(part["spend"], Decimal(0)), sum(part["revenue"], Decimal(0))
        figures |= {f"spend_{code}": float(spend), f"revenue_{code}": float(revenue)}
        if spend:
            figures[f"roas_{code}"] = float(revenue / spend)
    return figures
