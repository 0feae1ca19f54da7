"""The page's tables, as text, and what each row belongs to, by which the page's script filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import itemgetter

from actuals_pipeline.serving.report import scores, wording
from actuals_pipeline.serving.report.money import ads_by_currency, ratio
from actuals_pipeline.serving.report.places import Places
from actuals_pipeline.serving.report.reading import Reading, Row

FIRST_ADS = 25
"""Ads in the page's table before its script runs."""

MOST_GAPS = 50
"""Account-days in the table of gaps, the largest first."""

Belonging = Mapping[str, int]
"""A row's account, campaign or model, by its place among those that can be chosen."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; `numbers` are the positions of the columns that are set flush right.

    Those of `unbroken` stay on one line, as dates must.  `belonging` has what each row belongs to,
    where the page's script hides what was not chosen.
    """

    key: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int]
    empty: str
    belonging: Sequence[Belonging] = ()
    unbroken: frozenset[int] = frozenset()


def tables_of(reading: Reading) -> list[Table]:
    """All tables."""
    names = {row["account_id"]: row["account_name"] for row in reading["accounts"]}
    places = Places.of(reading)
    return [
        _ads_table(reading),
        _reconciled_table(reading["reconciled"], names),
        _gaps_table(reading["reconciled"], names),
        _models_table(reading, places),
        _pacing_table(reading["pacing"], places),
        _winners_table(reading, places),
        _fetches_table(reading, names, places),
    ]


def last_fetches(fetches: Sequence[Row]) -> dict[str, Row]:
    """Each account's newest whole fetch, by account."""
    last: dict[str, Row] = {}
    for row in fetches:
        if row["kind"] == "account" and row["account_id"] is not None:
            last.setdefault(row["account_id"], row)
    return dict(sorted(last.items()))


def _ads_table(reading: Reading) -> Table:
    rows = [
        (
            row["ad_name"] or row["ad_id"],
            wording.amount(row["spend"], row["currency"]),
            wording.amount(row["revenue"], row["currency"]),
            wording.multiple(ratio(row["revenue"], row["spend"])),
            wording.share(ratio(row["clicks"], row["impressions"]), 2),
            wording.count(row["conversions"]),
        )
        for row in ads_by_currency(reading)[:FIRST_ADS]
    ]
    return Table(
        "ads",
        "Ads with most spend; choose one for its story",
        ("Ad", "Spend", "Revenue", "ROAS", "CTR", "Purchases"),
        rows,
        frozenset(range(1, 6)),
        "No ad had delivery on these days.",
    )


def _reconciled_table(rows: Sequence[Row], names: Mapping[str, str]) -> Table:
    return Table(
        "reconciled",
        "Each account: Meta's own total, the sum over its ads, and the difference",
        ("Account", "Meta's total", "Ours", "Gap", "Days to the cent", "Days with a gap"),
        [
            _reconciled_row(_account(account_id, names), currency, list(days))
            for (account_id, currency), days in groupby(rows, itemgetter("account_id", "currency"))
        ],
        frozenset(range(1, 6)),
        "No account-day was compared yet: run `actuals sync`.",
    )


def _reconciled_row(account: str, currency: str, days: Sequence[Row]) -> tuple[str, ...]:
    exact = sum(row["verdict"] == "exact" for row in days)
    sums = (
        sum((row[name] for row in days), Decimal(0))
        for name in ("meta_spend", "ads_spend", "spend_difference")
    )
    return (
        account,
        *(wording.amount(each, currency) for each in sums),
        f"{exact:,} of {len(days):,}",
        wording.count(len(days) - exact),
    )


def _gaps_table(rows: Sequence[Row], names: Mapping[str, str]) -> Table:
    gaps = sorted(
        (row for row in rows if row["verdict"] != "exact"),
        key=lambda row: (-abs(row["spend_difference"]), -row["report_date"].toordinal()),
    )
    more = len(gaps) - MOST_GAPS
    caption = "Account-days with a gap, the largest first"
    return Table(
        "gaps",
        f"{caption}; {more:,} more in spend_reconciliation" if more > 0 else caption,
        ("Day", "Account", "Meta's total", "Ours", "Gap", "Verdict"),
        [
            (
                wording.day(row["report_date"]),
                _account(row["account_id"], names),
                wording.amount(row["meta_spend"], row["currency"]),
                wording.amount(row["ads_spend"], row["currency"]),
                wording.amount(row["spend_difference"], row["currency"]),
                wording.verdict(row["verdict"]),
            )
            for row in gaps[:MOST_GAPS]
        ],
        frozenset({2, 3, 4}),
        "",
    )


def _models_table(reading: Reading, places: Places) -> Table:
    states = {
        (row["model_name"], row["model_version"], row["metric"]): row for row in reading["states"]
    }
    rows = reading["models"]
    return Table(
        "models",
        f"Each model version under each protocol{_as_of(rows)}",
        (
            *("Model", "Compared", "Accuracy", "95 % interval", "Best possible", "Without a model"),
            *("Ads", "Drift"),
        ),
        [
            (
                f"{row['model_name']} {row['model_version']}",
                scores.STANDINGS[row["protocol"]],
                wording.percent(row["prediction_accuracy"]),
                scores.interval(row),
                wording.percent(row["noise_ceiling"]),
                wording.percent(row["baseline_accuracy"]),
                wording.count(row["n_pairs"]),
                _drift_said(row, states),
            )
            for row in rows
        ],
        frozenset({2, 3, 4, 5, 6}),
        "No prediction was scored yet: load predictions with `actuals predictions import FILE`.",
        [{"model": places.model(row)} for row in rows],
    )


def _drift_said(row: Row, states: Mapping[tuple[str, str, str], Row]) -> str:
    model = (row["model_name"], row["model_version"])
    found = [states[*model, metric] for metric in ("ctr", "roas") if (*model, metric) in states]
    return (
        "; ".join(f"{each['metric'].upper()} {each['state']}" for each in found) or wording.UNKNOWN
    )


def _pacing_table(rows: Sequence[Row], places: Places) -> Table:
    return Table(
        "pacing",
        f"Each budget and where it ends if days go on as they did{_as_of(rows)}",
        (
            *("Budget", "From", "To", "Planned", "Spent", "Expected by now", "Projected"),
            *("Verdict", "Why"),
        ),
        [
            (
                row["name"] or row["budget_id"],
                wording.day(row["period_start"]),
                wording.day(row["period_end"]) if row["period_end"] else "no end",
                wording.amount(row["budget"], row["currency"]),
                wording.amount(row["spend"], row["currency"]),
                _about(row["expected_spend"], row["currency"]),
                _about(row["projected_spend"], row["currency"]),
                wording.verdict(row["verdict"]),
                row["reason"].replace("_", " "),
            )
            for row in rows
        ],
        frozenset({3, 4, 5, 6}),
        "No budget is known yet: they are read from Meta with the next fetch, and your own plans "
        "from public.budgets.",
        [{"account": places.account(row), "campaign": places.campaign(row)} for row in rows],
        frozenset({1, 2}),
    )


def _winners_table(reading: Reading, places: Places) -> Table:
    ads = {row["ad_id"]: row for row in reading["ads"]}
    rows = reading["winners"]
    return Table(
        "winners",
        f"The best ad of each ad set with several{_as_of(rows)}",
        ("Ad", "Metric", "Rate", "95 % interval", "P(best)", "Days", "Verdict"),
        [
            (
                ads.get(row["ad_id"], {}).get("ad_name") or row["ad_id"],
                row["metric"].upper(),
                _rate(row["metric"], row["rate"]),
                f"{_rate(row['metric'], row['low'])} to {_rate(row['metric'], row['high'])}",
                wording.share(row["p_best"], 1),
                wording.count(row["n_days"]),
                "winner" if row["is_winner"] else f"not yet: it lacks {row['missing']}",
            )
            for row in rows
        ],
        frozenset({2, 3, 4, 5}),
        "No ad set has several ads with delivery to compare yet.",
        [
            {
                "account": places.account(row),
                "campaign": places.campaign(ads.get(row["ad_id"], {})),
            }
            for row in rows
        ],
    )


def _fetches_table(reading: Reading, names: Mapping[str, str], places: Places) -> Table:
    last = last_fetches(reading["fetches"])
    return Table(
        "fetches",
        "Each account's last fetch",
        (
            *("Account", "Started", "Outcome", "Rows", "Calls", "Waited"),
            *("Account's limit used", "App's limit used", "Said"),
        ),
        [
            (
                _account(account, names),
                wording.instant(row["started_at"]),
                row["outcome"].replace("_", " "),
                wording.count(row["rows"]),
                wording.count(row["calls"]),
                f"{row['throttled_seconds'] or 0:.0f} s",
                wording.percent(row["account_quota_percent"]),
                wording.percent(row["app_quota_percent"]),
                row["error_message"] or "",
            )
            for account, row in last.items()
        ],
        frozenset({3, 4, 5, 6, 7}),
        "Nothing was fetched yet: run `actuals sync`, or `actuals backfill` for history.",
        [{"account": places.account(row)} for row in last.values()],
        frozenset({1}),
    )


def _as_of(rows: Sequence[Row]) -> str:
    return f", as of {rows[0]['as_of_date']}" if rows else ""


def _account(account_id: str, names: Mapping[str, str]) -> str:
    name = names.get(account_id)
    return f"{name} ({account_id})" if name else account_id


def _rate(metric: str, value: float | None) -> str:
    return wording.share(value, 2) if metric == "ctr" else wording.multiple(value)


def _about(value: float | None, currency: str) -> str:
    return wording.UNKNOWN if value is None else wording.amount(Decimal(value), currency)
