"""What an asset's page in the UI shows of its table: a question with its SQL, and a few rows.

The queries are a reader's, to be copied into psql or a BI tool; no run of ours makes them.  The
rows are those of the newest day of a run, so that they cost no query, and one event a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, LiteralString

import dagster as dg
import numpy as np
import pandas as pd

PREVIEW_ROWS: Final = 5
"""Chosen: enough to see what a row is; every hour's are stored until they are pruned."""

_MOST_CHARACTERS: Final = 60
"""Of a text in a preview; names may be long."""

_DIGITS: Final = 4
"""Significant digits of a rate in a preview; money and counts are shown to the last digit."""


@dataclass(frozen=True, slots=True)
class AssetPage:
    """A question that the table answers, the query that asks it, and the columns of a preview.

    The preview has the rows with most of `most` on top, or the first rows.
    """

    question: str
    query: LiteralString
    preview: tuple[str, ...] = ()
    most: str | None = None


PAGES: Final[Mapping[str, AssetPage]] = MappingProxyType(
    {
        "videos": AssetPage(
            "The newest videos and the ads that run them",
            """\
SELECT id, title, meta_platform_id AS ad_id, created_at
FROM public.videos
ORDER BY created_at DESC
LIMIT 10""",
        ),
        "predictions": AssetPage(
            "How many predictions each model version made",
            """\
SELECT model_name, model_version, count(*) AS predictions, max(logged_at) AS last_logged_at
FROM public.predictions
GROUP BY model_name, model_version
ORDER BY last_logged_at DESC""",
        ),
        "budgets": AssetPage(
            "The plans that run today",
            """\
SELECT name, currency, amount, start_date, end_date
FROM public.budgets
WHERE CURRENT_DATE BETWEEN start_date AND end_date
ORDER BY end_date""",
        ),
        "raw_meta_insights": AssetPage(
            "What Meta answered of the ads that spent most yesterday",
            """\
SELECT ad_id, payload ->> 'spend' AS spend, payload
FROM actuals.raw_meta_insights
WHERE report_date = CURRENT_DATE - 1
ORDER BY (payload ->> 'spend')::numeric DESC NULLS LAST
LIMIT 10""",
        ),
        "meta_account_totals": AssetPage(
            "What each account spent in the last seven days, by Meta's own totals",
            """\
SELECT account_id, account_name, currency, sum(spend) AS spend, sum(revenue) AS revenue
FROM actuals.meta_account_totals
WHERE report_date > CURRENT_DATE - 7
GROUP BY account_id, account_name, currency
ORDER BY account_id""",
            ("account_name", "currency", "impressions", "clicks", "spend", "revenue"),
            most="impressions",
        ),
        "ad_actuals": AssetPage(
            "Spend, revenue and ROAS of the last seven days, by day and currency",
            """\
SELECT report_date, currency, sum(spend) AS spend, sum(revenue) AS revenue,
       sum(revenue) / nullif(sum(spend), 0) AS roas, bool_and(is_settled) AS is_settled
FROM actuals.ad_actuals
WHERE report_date > CURRENT_DATE - 7
GROUP BY report_date, currency
ORDER BY report_date, currency""",
            ("ad_name", "ctr", "currency", "spend", "revenue", "roas"),
            most="impressions",
        ),
        "spend_reconciliation": AssetPage(
            "Whether every cent is accounted for, by currency",
            """\
SELECT currency, verdict, count(*) AS account_days, sum(spend_difference) AS spend_difference
FROM actuals.spend_reconciliation
GROUP BY currency, verdict
ORDER BY currency, verdict""",
            ("account_id", "currency", "ads_spend", "meta_spend", "spend_difference", "verdict"),
            most="n_ads",
        ),
        "revenue_development": AssetPage(
            "How much of a day's revenue is known after 1, 3, 7 and 28 days",
            """\
SELECT account_id, age_days, revenue_share, revenue_share_se, source
FROM actuals.revenue_development
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.revenue_development)
  AND age_days IN (1, 3, 7, 28)
ORDER BY account_id, age_days""",
            ("account_id", "age_days", "revenue_share", "revenue_share_se", "source"),
        ),
        "prediction_accuracy": AssetPage(
            "The predictions that were furthest off so far",
            """\
SELECT ad_id, model_name, model_version, predicted_ctr, actual_ctr, ctr_error, ctr_verdict,
       predicted_roas, actual_roas, roas_error, roas_verdict
FROM actuals.prediction_accuracy
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.prediction_accuracy)
  AND protocol = 'launch_to_date' AND status = 'eligible'
ORDER BY abs(ctr_error) DESC NULLS LAST
LIMIT 10""",
            (
                *("ad_id", "model_version", "predicted_ctr", "actual_ctr", "predicted_roas"),
                *("actual_roas", "status"),
            ),
            most="impressions",
        ),
        "model_accuracy": AssetPage(
            "How good each model version is, beside what costs nothing and the best possible",
            """\
SELECT model_name, model_version, protocol, prediction_accuracy, prediction_accuracy_low,
       prediction_accuracy_high, baseline_accuracy, noise_ceiling, n_pairs
FROM actuals.model_accuracy
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.model_accuracy)
ORDER BY protocol, prediction_accuracy DESC NULLS LAST""",
            (
                *("model_name", "model_version", "protocol", "prediction_accuracy"),
                *("baseline_accuracy", "noise_ceiling", "n_pairs"),
            ),
            most="n_pairs",
        ),
        "model_statistics": AssetPage(
            "Whether clicks and revenue are predicted too high or too low on the whole",
            """\
SELECT model_name, model_version, protocol, statistic, value, low, high, unit, n_pairs
FROM actuals.model_statistics
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.model_statistics)
  AND segment = '' AND statistic IN ('ctr_calibration', 'roas_calibration')
ORDER BY model_name, model_version, statistic""",
            ("model_version", "statistic", "segment", "value", "low", "high", "unit"),
            most="n_pairs",
        ),
        "model_drift": AssetPage(
            "How each model version did in its last closed week",
            """\
SELECT DISTINCT ON (model_name, model_version, metric)
       model_name, model_version, metric, week, n_pairs, ln_calibration, lower, upper, state
FROM actuals.model_drift
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.model_drift)
ORDER BY model_name, model_version, metric, week DESC""",
            ("model_name", "model_version", "metric", "week", "ln_calibration", "state"),
            most="week",
        ),
        "retrain_states": AssetPage(
            "What is to be done about each model version, and why",
            """\
SELECT model_name, model_version, metric, state, state_since, action, reason
FROM actuals.retrain_states
ORDER BY model_name, model_version, metric""",
        ),
        "budget_snapshots": AssetPage(
            "The budgets at Meta that may spend, as they were read last",
            """\
SELECT account_id, level, name, currency, daily_budget, lifetime_budget, ends_on
FROM actuals.budget_snapshots
WHERE snapshot_date = (SELECT max(snapshot_date) FROM actuals.budget_snapshots)
  AND status = 'ACTIVE'
ORDER BY account_id, level, name""",
        ),
        "plan_snapshots": AssetPage(
            "How the plans stood last",
            """\
SELECT name, account_id, campaign_id, currency, amount, starts_on, ends_on
FROM actuals.plan_snapshots
WHERE snapshot_date = (SELECT max(snapshot_date) FROM actuals.plan_snapshots)
ORDER BY ends_on""",
            ("name", "currency", "amount", "starts_on", "ends_on"),
        ),
        "budget_pacing": AssetPage(
            "The budgets that are not on track",
            """\
SELECT level, name, currency, budget, spend, projected_spend, period_end, verdict, reason
FROM actuals.budget_pacing
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.budget_pacing)
  AND verdict <> 'on_track'
ORDER BY verdict, level, name""",
            ("level", "name", "currency", "budget", "spend", "projected_spend", "verdict"),
            most="budget",
        ),
        "investment_summary": AssetPage(
            "What was spent and earned, and until when the investment lasts",
            """\
SELECT scope, currency, spend, revenue, roas, spent_share, burn_per_day_28d, outlook,
       projected_end
FROM actuals.investment_summary
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.investment_summary)
ORDER BY scope, currency""",
            ("scope", "currency", "spend", "revenue", "roas", "projected_end"),
        ),
        "winners": AssetPage(
            "The ads that may be called the best of their ad sets",
            """\
SELECT adset_id, metric, ad_id, rate, low, high, p_best
FROM actuals.winners
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.winners) AND is_winner
ORDER BY adset_id, metric""",
            ("adset_id", "metric", "ad_id", "rate", "p_best", "is_winner"),
            most="p_best",
        ),
        "budget_advice": AssetPage(
            "Where the next unit of spend brings most",
            """\
SELECT adset_id, currency, spend_per_day, marginal_roas, advised_spend_per_day, reason
FROM actuals.budget_advice
WHERE as_of_date = (SELECT max(as_of_date) FROM actuals.budget_advice)
ORDER BY marginal_roas DESC NULLS LAST
LIMIT 10""",
            ("adset_id", "currency", "spend_per_day", "marginal_roas", "advised_spend_per_day"),
            most="marginal_roas",
        ),
    }
)
"""By asset; those without columns of a preview hand over no rows to take them from."""


def preview(asset: str, rows: pd.DataFrame) -> dict[str, dg.TableMetadataValue]:
    """A few of `rows` (of one day, as the table has them) under the key `preview`, if there are.

    As a table, which the UI shows as the text that it is, and never as Markdown: names come from
    elsewhere.
    """
    page = PAGES[asset]
    if rows.empty or not page.preview:
        return {}
    first = rows if page.most is None else _with_most(rows, page.most)
    shown = first.head(PREVIEW_ROWS)[list(page.preview)]
    records = [
        dg.TableRecord(dict(zip(page.preview, map(_cell, row), strict=True)))
        for row in shown.itertuples(index=False, name=None)
    ]
    columns = [dg.TableColumn(name) for name in page.preview]
    return {"preview": dg.MetadataValue.table(records, dg.TableSchema(columns))}


def _with_most(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return rows.sort_values(column, ascending=False, kind="stable", na_position="last")


def _cell(value: object) -> str | int | float | bool | None:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Decimal | date | datetime):
        return str(value)
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
