"""What the page says, as plain data: sentences, tiles and tables, and columns for the charts.

Nothing here depends on a clock: the same rows make the same page.  How old the newest fetch is
gets told by the reader's own clock, in the browser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from actuals_pipeline.serving.report import columns, wording
from actuals_pipeline.serving.report.headline import Headline, headline_of
from actuals_pipeline.serving.report.reading import Reading, Row

_ADDED = ("spend", "revenue", "conversions", "impressions", "clicks")

FIRST_ADS = 25
"""Ads in the page's table before its script runs."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline number, and beside it what it rests on."""

    key: str
    label: str
    values: Sequence[str]
    note: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; `numbers` are the positions of the columns that are set flush right."""

    key: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int]
    empty: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the page shows; `data` is what its script draws and filters."""

    title: str
    source: str
    window: str
    fetched_at: str
    is_empty: bool
    headline: Headline
    tiles: Sequence[Tile]
    tables: Mapping[str, Table]
    notes: Mapping[str, str]
    data: Mapping[str, Any]


def contents_of(reading: Reading) -> Contents:
    """The page's contents."""
    window = reading.window
    accounts = reading["accounts"]
    newest = max((row["fetched_at"] for row in accounts), default=None)
    return Contents(
        title="What the ads did",
        source=_source(accounts),
        window=f"{window.since} to {window.until}" if window else "no day yet",
        fetched_at=newest.isoformat() if newest else "",
        is_empty=not accounts,
        headline=headline_of(reading["models"], is_empty=not accounts),
        tiles=[] if window is None else _tiles(reading),
        tables={table.key: table for table in _tables(reading)},
        notes=_notes(reading),
        data={} if window is None else columns.data_of(reading),
    )


def money_by_currency(days: Sequence[Row]) -> dict[str, Row]:
    """The sums of the days in each currency; currencies with most account-days first."""
    sums: dict[str, Row] = {}
    seen: dict[str, int] = {}
    for row in days:
        into = sums.setdefault(row["currency"], dict.fromkeys(_ADDED, 0))
        seen[row["currency"]] = seen.get(row["currency"], 0) + 1
        for name in _ADDED:
            into[name] += row[name]
    return {currency: sums[currency] for currency in sorted(sums, key=lambda c: (-seen[c], c))}


def _tiles(reading: Reading) -> list[Tile]:
    money = money_by_currency(reading["days"])

    def each(name: str) -> list[str]:
        return [wording.amount(Decimal(sums[name]), code) for code, sums in money.items()]

    roas = [
        wording.multiple(_ratio(sums["revenue"], sums["spend"])) + _in(code, money)
        for code, sums in money.items()
    ]
    cpa = [
        wording.amount(_ratio(sums["spend"], sums["conversions"]), code)
        for code, sums in money.items()
    ]
    bought = sum(sums["conversions"] for sums in money.values())
    still = ", ".join(
        wording.share(share) + _in(code, money) for code, share in _young_shares(reading).items()
    )
    still = (
        f"{still} of the spend is on days that may still change"
        if still
        else "all of it is settled"
    )
    return [
        Tile("spend", "Spend", each("spend") or [wording.UNKNOWN], f"of {_days_said(reading)}"),
        Tile("revenue", "Revenue", each("revenue") or [wording.UNKNOWN], still),
        Tile("roas", "ROAS", roas or [wording.UNKNOWN], "revenue for each unit spent"),
        Tile("cpa", "Cost per purchase", cpa or [wording.UNKNOWN], f"{bought:,} purchases"),
        _reconciled_tile(reading["reconciled"]),
        _coverage_tile(reading["models"]),
        _fetch_tile(reading),
    ]


def _reconciled_tile(rows: Sequence[Row]) -> Tile:
    if not rows:
        return Tile("reconciled", "Reconciled", ["Not yet"], "no account-day was compared", "warn")
    days = sum(row["days"] for row in rows)
    gaps: dict[str, Decimal] = {}
    for row in rows:
        currency = row["currency"]
        gaps[currency] = gaps.get(currency, Decimal(0)) + row["absolute_difference"]
    told = ", ".join(wording.amount(gap, code) for code, gap in sorted(gaps.items()))
    exact = sum(row["exact_days"] for row in rows)
    note = f"gap {told}; {exact:,} of {days:,} account-days to the cent"
    if exact == days:
        return Tile("reconciled", "Reconciled", ["Yes"], note, "good")
    beyond = any(row["gap_days"] for row in rows)
    word = "No" if beyond else "Within tolerance"
    return Tile("reconciled", "Reconciled", [word], note, "bad" if beyond else "warn")


def _coverage_tile(models: Sequence[Row]) -> Tile:
    label = "Prediction coverage"
    if not models:
        return Tile("coverage", label, [wording.UNKNOWN], "no prediction was scored yet", "warn")
    best = models[0]
    by_spend = best["coverage_spend"]
    known = by_spend if by_spend is not None else best["coverage_ads"]
    of_what = "of the spend" if by_spend is not None else "of the ads"
    left = best["n_predicted"] - best["n_pairs"]
    note = f"{of_what} has a scored prediction; {left:,} of {best['n_predicted']:,} left out"
    return Tile("coverage", label, [wording.share(known)], note)


def _fetch_tile(reading: Reading) -> Tile:
    accounts = reading["accounts"]
    oldest = min((row["fetched_at"] for row in accounts), default=None)
    last = _last_outcomes(reading["fetches"])
    failed = [account for account, row in last.items() if row["outcome"] != "complete"]
    note = f"{len(accounts)} account{'s' * (len(accounts) != 1)}"
    if failed:
        note = f"the last fetch of {', '.join(failed)} failed: see Fetches below"
    state = "bad" if failed else ""
    return Tile("fetched", "Last fetch", [wording.instant(oldest)], note, state)


def _tables(reading: Reading) -> list[Table]:
    names = {row["account_id"]: row["account_name"] for row in reading["accounts"]}
    return [
        _ads_table(reading),
        _reconciled_table(reading["reconciled"], names),
        _gaps_table(reading["gaps"], names),
        _models_table(reading),
        _pacing_table(reading["pacing"]),
        _winners_table(reading),
        _fetches_table(reading, names),
    ]


def _ads_table(reading: Reading) -> Table:
    rows = [
        (
            row["ad_name"] or row["ad_id"],
            wording.amount(row["spend"], row["currency"]),
            wording.amount(row["revenue"], row["currency"]),
            wording.multiple(_ratio(row["revenue"], row["spend"])),
            wording.share(_ratio(row["clicks"], row["impressions"]), 2),
            wording.count(row["conversions"]),
        )
        for row in reading["ads"][:FIRST_ADS]
    ]
    return Table(
        "ads",
        "Ads with most spend",
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
            (
                _account(row["account_id"], names),
                wording.amount(row["meta_spend"], row["currency"]),
                wording.amount(row["ads_spend"], row["currency"]),
                wording.amount(row["spend_difference"], row["currency"]),
                f"{row['exact_days']:,} of {row['days']:,}",
                wording.count(row["days"] - row["exact_days"]),
            )
            for row in rows
        ],
        frozenset(range(1, 6)),
        "No account-day was compared yet: run `actuals sync`.",
    )


def _gaps_table(rows: Sequence[Row], names: Mapping[str, str]) -> Table:
    more = (rows[0]["gaps"] - len(rows)) if rows else 0
    caption = "Account-days with a gap, the largest first"
    return Table(
        "gaps",
        f"{caption}; {more:,} more in spend_reconciliation" if more else caption,
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
            for row in rows
        ],
        frozenset({2, 3, 4}),
        "",
    )


def _models_table(reading: Reading) -> Table:
    states = {
        (row["model_name"], row["model_version"], row["metric"]): row for row in reading["states"]
    }
    return Table(
        "models",
        "Each model version under each protocol, as of the last scored day",
        ("Model", "Compared", "Accuracy", "95 % interval", "Ceiling", "Baseline", "Ads", "Drift"),
        [
            (
                f"{row['model_name']} {row['model_version']}",
                _PROTOCOLS[row["protocol"]],
                wording.percent(row["prediction_accuracy"]),
                _interval(row),
                wording.percent(row["noise_ceiling"]),
                wording.percent(row["baseline_accuracy"]),
                wording.count(row["n_pairs"]),
                _drift_said(row, states),
            )
            for row in reading["models"]
        ],
        frozenset({2, 3, 4, 5, 6}),
        "No prediction was scored yet: load predictions with `actuals predictions import FILE`.",
    )


_PROTOCOLS = {
    "headline": "final, attested",
    "headline_unattested": "final, imported",
    "launch_to_date": "since launch, provisional",
    "launch_d7": "CTR of 7 days",
    "launch_ltd28": "ROAS of 28 days",
}


def _drift_said(row: Row, states: Mapping[tuple[str, str, str], Row]) -> str:
    model = (row["model_name"], row["model_version"])
    found = [states[*model, metric] for metric in ("ctr", "roas") if (*model, metric) in states]
    return (
        "; ".join(f"{each['metric'].upper()} {each['state']}" for each in found) or wording.UNKNOWN
    )


def _pacing_table(rows: Sequence[Row]) -> Table:
    return Table(
        "pacing",
        "Each budget: what is spent of it, and where it ends if days go on as they did",
        ("Budget", "Period", "Planned", "Spent", "Expected by now", "Projected", "Verdict"),
        [
            (
                row["name"] or row["budget_id"],
                f"{row['period_start']} to {row['period_end'] or 'no end'}",
                wording.amount(row["budget"], row["currency"]),
                wording.amount(row["spend"], row["currency"]),
                _about(row["expected_spend"], row["currency"]),
                _about(row["projected_spend"], row["currency"]),
                f"{wording.verdict(row['verdict'])}: {row['reason'].replace('_', ' ')}",
            )
            for row in rows
        ],
        frozenset({2, 3, 4, 5}),
        "No budget is known yet: they are read from Meta with the next fetch, and your own plans "
        "from public.budgets.",
    )


def _winners_table(reading: Reading) -> Table:
    ads = {row["ad_id"]: row["ad_name"] for row in reading["ads"]}
    return Table(
        "winners",
        "The best ad of each ad set with several",
        ("Ad", "Metric", "Rate", "95 % interval", "P(best)", "Days", "Verdict"),
        [
            (
                ads.get(row["ad_id"]) or row["ad_id"],
                row["metric"].upper(),
                _rate(row["metric"], row["rate"]),
                f"{_rate(row['metric'], row['low'])} to {_rate(row['metric'], row['high'])}",
                wording.share(row["p_best"], 1),
                wording.count(row["n_days"]),
                "winner" if row["is_winner"] else f"not yet: it lacks {row['missing']}",
            )
            for row in reading["winners"]
        ],
        frozenset({2, 3, 4, 5}),
        "No ad set has several ads with delivery to compare yet.",
    )


def _fetches_table(reading: Reading, names: Mapping[str, str]) -> Table:
    return Table(
        "fetches",
        "Each account's last fetch",
        ("Account", "Started", "Outcome", "Rows", "Calls", "Waited", "Quota used", "Said"),
        [
            (
                _account(account, names),
                wording.instant(row["started_at"]),
                row["outcome"].replace("_", " "),
                wording.count(row["rows"]),
                wording.count(row["calls"]),
                f"{row['throttled_seconds'] or 0:.0f} s",
                wording.percent(row["account_quota_percent"]),
                row["error_message"] or "",
            )
            for account, row in _last_outcomes(reading["fetches"]).items()
        ],
        frozenset({3, 4, 5, 6}),
        "Nothing was fetched yet: run `actuals sync`, or `actuals backfill` for history.",
    )


def _notes(reading: Reading) -> dict[str, str]:
    """Why a chart is empty and what to do, by the chart; nothing where it is not."""
    notes = {}
    if not reading["days"]:
        notes["trends"] = "No delivery on these days. Choose other days, or run `actuals sync`."
    if not reading["pairs"]:
        notes["scatter"] = (
            "No prediction can be compared yet: load them with `actuals predictions import FILE` "
            "before the ads run."
        )
    if not reading["accuracy"]:
        notes["accuracy"] = "No model was scored on these days yet."
    if not reading["development"]:
        notes["development"] = "No day has been followed yet; the first run of the assets does it."
    if len({(row["account_id"], row["as_of_date"]) for row in reading["restated"]}) <= len(
        {row["account_id"] for row in reading["restated"]}
    ):
        notes["restated"] = (
            "All figures are of a single day so far. From the second day of fetching on, this "
            "shows what Meta added to and took from each report day."
        )
    if not any(row["account_quota_percent"] for row in reading["fetches"]):
        notes["quota"] = "Meta has named no use of its limits yet."
    return notes


def _source(accounts: Sequence[Row]) -> str:
    if not accounts:
        return ""
    made_up = [row for row in accounts if row["is_stand_in"]]
    if not made_up:
        return ""
    if len(made_up) == len(accounts):
        return "Stand-in data: made up by the local Graph API stand-in, not by Meta."
    return "Some of these figures are made up by the local Graph API stand-in, not by Meta."


def _days_said(reading: Reading) -> str:
    window, accounts = reading.window, reading["accounts"]
    if window is None:
        return wording.UNKNOWN
    missing = len(window) * len(accounts) - sum(row["days"] for row in accounts)
    days = f"{len(window)} day{'s' * (len(window) != 1)}"
    return f"{days}, {missing:,} account-days never fetched" if missing else days


def _young_shares(reading: Reading) -> dict[str, Decimal]:
    """By currency: share of the spend on days that Meta may still restate, where there is any."""
    money = money_by_currency(reading["days"])
    young = money_by_currency([row for row in reading["days"] if not row["is_settled"]])
    return {
        code: young[code]["spend"] / sums["spend"]
        for code, sums in money.items()
        if code in young and sums["spend"]
    }


def _in(code: str, money: Mapping[str, Row]) -> str:
    """The currency of a figure that has none in itself, where there are several."""
    return f" in {code}" if len(money) > 1 else ""


def _last_outcomes(fetches: Sequence[Row]) -> dict[str, Row]:
    """Each account's newest whole fetch, by account."""
    last: dict[str, Row] = {}
    for row in fetches:
        if row["kind"] == "account" and row["account_id"] is not None:
            last.setdefault(row["account_id"], row)
    return dict(sorted(last.items()))


def _account(account_id: str, names: Mapping[str, str]) -> str:
    name = names.get(account_id)
    return f"{name} ({account_id})" if name else account_id


def _interval(row: Row) -> str:
    low, high = row["prediction_accuracy_low"], row["prediction_accuracy_high"]
    if low is None or high is None:
        return f"none: {row['n_clusters']} of 10 campaigns"
    return f"{low:.1f} to {high:.1f} %"


def _rate(metric: str, value: float | None) -> str:
    return wording.share(value, 2) if metric == "ctr" else wording.multiple(value)


def _about(value: float | None, currency: str) -> str:
    return wording.UNKNOWN if value is None else wording.amount(Decimal(value), currency)


def _ratio(above: Any, below: Any) -> Decimal | None:
    return Decimal(above) / Decimal(below) if below else None
