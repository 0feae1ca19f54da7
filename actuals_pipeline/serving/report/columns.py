"""The rows for the page's script: by column, and names by their positions, a third of the size.

Floats, for they are drawn and added up in a browser; the tables that the server writes are exact.
Amounts keep every digit that a float has, measurements keep six.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from actuals_pipeline.accuracy.protocols import LAUNCH_D7, LAUNCH_LTD28, LAUNCH_TO_DATE
from actuals_pipeline.serving.report import scores, wording
from actuals_pipeline.serving.report.money import ads_by_currency
from actuals_pipeline.serving.report.places import NOWHERE, Places, places_of
from actuals_pipeline.serving.report.reading import MOST_AD_DAYS, Reading, Row

Columns = dict[str, list[Any]]

_DIGITS = 6
"""Significant digits of a measurement."""


def data_of(reading: Reading) -> dict[str, Any]:
    """What the script draws; days are counted from the window's first."""
    window = reading.window
    if window is None:
        return {}
    places = Places.of(reading)
    ads = ads_by_currency(reading)
    currencies = places_of(sorted({row["currency"] for row in (*reading["days"], *ads)}))

    def since(day: Any) -> int:
        return int((day - window.since).days)

    def days(rows: Sequence[Row], name: str) -> list[int]:
        return [since(row[name]) for row in rows]

    return {
        "since": window.since,
        "until": window.until,
        "currencies": [[code, wording.minor_digits(code)] for code in currencies],
        "accounts": [
            [row["account_id"], row["account_name"], row["fetched_at"], row["currency"]]
            for row in reading["accounts"]
        ],
        "campaigns": [
            [row["campaign_id"], row["campaign_name"], places.account(row)]
            for row in reading["campaigns"]
        ],
        "models": list(places.models),
        "scores": scores.by_model(reading["models"]),
        "standings": scores.STANDINGS,
        "days": {
            "day": days(reading["days"], "report_date"),
            **_belonging(reading["days"], places, currencies),
            **_figures(reading["days"]),
            "settled": [int(row["is_settled"]) for row in reading["days"]],
        },
        "ads": {
            "id": [row["ad_id"] for row in ads],
            "name": [row["ad_name"] for row in ads],
            **_belonging(ads, places, currencies),
            **_figures(ads),
        },
        "ads_in_all": ads[0]["ads"] if ads else 0,
        "ad_days": _ad_days(reading["ad_days"], ads, since),
        "pairs": _pair_columns(_compared(reading["pairs"]), places),
        "accuracy": {
            "day": days(reading["accuracy"], "as_of_date"),
            "model": [places.model(row) for row in reading["accuracy"]],
            **_measured(
                reading["accuracy"],
                value="prediction_accuracy",
                low="prediction_accuracy_low",
                high="prediction_accuracy_high",
                ceiling="noise_ceiling",
                baseline="baseline_accuracy",
            ),
            "protocol": [row["protocol"] for row in reading["accuracy"]],
            "pairs": [row["n_pairs"] for row in reading["accuracy"]],
        },
        "drift": {
            "week": [row["week"] for row in reading["drift"]],
            "model": [places.model(row) for row in reading["drift"]],
            **_measured(reading["drift"], value="ln_calibration", low="lower", high="upper"),
            "metric": [row["metric"] for row in reading["drift"]],
            "alarm": [int(row["is_alarm"]) for row in reading["drift"]],
            "state": [row["state"] for row in reading["drift"]],
        },
        "development": {
            "account": [places.account(row) for row in reading["development"]],
            "age": [row["age_days"] for row in reading["development"]],
            **_measured(reading["development"], share="revenue_share", error="revenue_share_se"),
            "source": [row["source"] for row in reading["development"]],
        },
        "restated": {
            "account": [places.account(row) for row in reading["restated"]],
            "day": days(reading["restated"], "report_date"),
            "known": days(reading["restated"], "as_of_date"),
            "revenue": [_number(row["revenue"]) for row in reading["restated"]],
        },
        "reconciled": {
            "account": [places.account(row) for row in reading["reconciled"]],
            "day": days(reading["reconciled"], "report_date"),
            "code": [row["currency"] for row in reading["reconciled"]],
            "meta": [_number(row["meta_spend"]) for row in reading["reconciled"]],
            "ours": [_number(row["ads_spend"]) for row in reading["reconciled"]],
            "gap": [_number(row["spend_difference"]) for row in reading["reconciled"]],
            "verdict": [row["verdict"] for row in reading["reconciled"]],
        },
        "budgets": _budgets(reading["pacing"], places),
        "fetches": {
            "at": [row["started_at"] for row in reading["fetches"]],
            "account": [
                places.account(row) if row["account_id"] else NOWHERE for row in reading["fetches"]
            ],
            "outcome": [row["outcome"] for row in reading["fetches"]],
            **_measured(
                reading["fetches"],
                seconds="duration_seconds",
                waited="throttled_seconds",
                account_quota="account_quota_percent",
                app_quota="app_quota_percent",
            ),
            "rows": [row["rows"] for row in reading["fetches"]],
        },
    }


def _ad_days(
    rows: Sequence[Row], ads: Sequence[Row], since: Callable[[Any], int]
) -> Columns | None:
    """Each ad's days, by which the ads of chosen days are told; None where they are too many."""
    if len(rows) > MOST_AD_DAYS:
        return None
    keys = ("account_id", "ad_id", "currency")
    place = {tuple(row[key] for key in keys): number for number, row in enumerate(ads)}
    kept = [(place.get(tuple(row[key] for key in keys), NOWHERE), row) for row in rows]
    kept = sorted(
        (each for each in kept if each[0] != NOWHERE),
        key=lambda each: (each[0], each[1]["report_date"]),
    )
    return {
        "ad": [number for number, _ in kept],
        "day": [since(row["report_date"]) for _, row in kept],
        **_figures([row for _, row in kept]),
    }


def _budgets(rows: Sequence[Row], places: Places) -> Columns:
    return {
        "name": [row["name"] or row["budget_id"] for row in rows],
        "account": [places.account(row) for row in rows],
        "campaign": [places.campaign(row) for row in rows],
        "code": [row["currency"] for row in rows],
        "budget": [_number(row["budget"]) for row in rows],
        "spend": [_number(row["spend"]) for row in rows],
        **_measured(
            rows,
            expected="expected_spend",
            projected="projected_spend",
            low="projected_spend_low",
            high="projected_spend_high",
        ),
        "verdict": [row["verdict"] for row in rows],
    }


def _compared(pairs: Sequence[Row]) -> list[Row]:
    """One row an ad and model version: each metric final where it is, provisional otherwise."""
    by_key: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in pairs:
        key = (row["ad_id"], row["model_name"], row["model_version"])
        by_key.setdefault(key, {})[row["protocol"]] = row
    return [_one_pair(found) for found in by_key.values()]


def _one_pair(found: Mapping[str, Row]) -> Row:
    any_row = next(iter(found.values()))
    pair = {name: any_row[name] for name in _KEYS}
    for metric, final in (("ctr", LAUNCH_D7.name), ("roas", LAUNCH_LTD28.name)):
        chosen = found.get(final)
        is_final = chosen is not None and chosen[f"actual_{metric}"] is not None
        row = chosen if is_final else found.get(LAUNCH_TO_DATE)
        for name in _OF_METRIC[metric]:
            pair[name] = row[name] if row else None
        pair[f"{metric}_final"] = int(is_final)
    return pair


_KEYS = ("ad_id", "model_name", "model_version", "account_id", "campaign_id", "currency")
_OF_METRIC = {
    "ctr": (
        *("predicted_ctr", "actual_ctr", "ctr_low", "ctr_high", "ctr_verdict", "ctr_accuracy"),
        *("impressions", "clicks"),
    ),
    "roas": (
        *("predicted_roas", "actual_roas", "roas_low", "roas_high", "roas_verdict"),
        *("roas_accuracy", "spend"),
    ),
}

VERDICTS = ("within_tolerance", "over", "under", "unresolved")
"""In the order of the legend; the script has positions."""


def _pair_columns(pairs: Sequence[Row], places: Places) -> Columns:
    verdicts = {name: place for place, name in enumerate(VERDICTS)}
    columns: Columns = {
        "ad": [row["ad_id"] for row in pairs],
        "model": [places.model(row) for row in pairs],
        "account": [places.account(row) for row in pairs],
        "campaign": [places.campaign(row) for row in pairs],
        "impressions": [row["impressions"] for row in pairs],
        "clicks": [row["clicks"] for row in pairs],
    }
    for metric in _OF_METRIC:
        columns |= _measured(
            pairs,
            **{
                f"{metric}_said": f"predicted_{metric}",
                f"{metric}_was": f"actual_{metric}",
                f"{metric}_low": f"{metric}_low",
                f"{metric}_high": f"{metric}_high",
                f"{metric}_accuracy": f"{metric}_accuracy",
            },
        )
        columns[f"{metric}_verdict"] = [verdicts.get(row[f"{metric}_verdict"], -1) for row in pairs]
        columns[f"{metric}_final"] = [row[f"{metric}_final"] for row in pairs]
    return columns


def _belonging(rows: Sequence[Row], places: Places, currencies: Mapping[str, int]) -> Columns:
    return {
        "account": [places.account(row) for row in rows],
        "campaign": [places.campaign(row) for row in rows],
        "currency": [currencies[row["currency"]] for row in rows],
    }


def _figures(rows: Sequence[Row]) -> Columns:
    return {
        "spend": [_number(row["spend"]) for row in rows],
        "revenue": [_number(row["revenue"]) for row in rows],
        "conversions": [row["conversions"] for row in rows],
        "impressions": [row["impressions"] for row in rows],
        "clicks": [row["clicks"] for row in rows],
    }


def _measured(rows: Sequence[Row], **names: str) -> Columns:
    return {name: [_measurement(row[column]) for row in rows] for name, column in names.items()}


def _measurement(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _number(value: Decimal | None) -> float | int | None:
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)
