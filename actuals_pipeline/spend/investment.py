"""The investment as of each day: what it did, what is left of it, and until when.

One row for each currency of the accounts, in that currency, and one overall, in the investment's
currency (or, where no total is set, in the only one there is).  An amount of the overall row is
missing where a rate is: a sum without the accounts in yen would look like one of all accounts.
`spend_at_least` is what can be said nevertheless.

The trailing 7 and 28 days are whole ones, so they end before the as-of day, which is not over
while it is looked at; figures to date have it.  A day counts for the burn only if it was fetched
for every account that is asked: an unknown day is not a cheap one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd

from actuals_pipeline.frames import check_frame, conform
from actuals_pipeline.money import ZERO, exact_arithmetic
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow, is_settled
from actuals_pipeline.spend.burn import (
    DAYS_LOOKED_AT,
    Projection,
    burn_per_day,
    project,
    spent_on,
)
from actuals_pipeline.spend.contract import COUNTS, INVESTMENT_SUMMARY
from actuals_pipeline.spend.exchange import Converted, DatedAmounts, ExchangeRates, convert
from actuals_pipeline.spend.ledger import Figures, Ledger

_DAY = timedelta(days=1)
_WEEK = 7


class Account(NamedTuple):
    """An ad account: the currency of its money and the report days that were fetched whole."""

    account_id: str
    currency: str
    fetched_days: Collection[date]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the figures are held against.

    `currency` and `total` of the investment, and its first day, None where nobody said; the
    `asked` accounts, all known ones if there are none.
    """

    currency: str | None = None
    total: Decimal | None = None
    start: date | None = None
    asked: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _View:
    """What one row looks at: figures of any currencies, and the accounts that they are of."""

    as_of_day: date
    since: date
    scope: str
    currency: str
    figures: Sequence[Figures]
    accounts: Sequence[Account]
    never_fetched: Collection[str]
    asked: Collection[str]

    @property
    def whole_days(self) -> DayWindow | None:
        """The days that count and are over, if any."""
        return DayWindow(self.since, self.as_of_day) if self.since < self.as_of_day else None


def investment_summary(
    ledger: Ledger,
    accounts: Sequence[Account],
    as_of_days: Iterable[date],
    terms: Terms,
    rates: ExchangeRates,
) -> pd.DataFrame:
    """The INVESTMENT_SUMMARY frame of some as-of days, ordered by key.

    A day before the investment began has no row.
    """
    rows = [row for day in as_of_days for row in _rows_of_day(ledger, accounts, day, terms, rates)]
    summary = conform(
        pd.DataFrame(rows, columns=INVESTMENT_SUMMARY.names, dtype=object), INVESTMENT_SUMMARY
    ).sort_values(list(INVESTMENT_SUMMARY.key), ignore_index=True)
    check_frame(summary, INVESTMENT_SUMMARY)
    return summary


def _rows_of_day(
    ledger: Ledger,
    accounts: Sequence[Account],
    as_of_day: date,
    terms: Terms,
    rates: ExchangeRates,
) -> list[dict[str, Any]]:
    known = ledger.as_of(as_of_day)
    since = terms.start or min((each.day for each in known if each.spend), default=None)
    if since is None or since > as_of_day:
        return []
    figures = [each for each in known if each.day >= since]
    currencies = sorted({each.currency for each in figures})
    overall = terms.currency or (currencies[0] if len(currencies) == 1 else None)
    views = [
        _View(
            as_of_day,
            since,
            "currency",
            currency,
            [each for each in figures if each.currency == currency],
            [each for each in accounts if each.currency == currency],
            (),
            terms.asked,
        )
        for currency in currencies
    ]
    if overall is not None:
        never = set(terms.asked) - {each.account_id for each in accounts}
        views.append(
            _View(as_of_day, since, "overall", overall, figures, accounts, never, terms.asked)
        )
    reconstructed = ledger.reconstructed(as_of_day)
    return [_row(view, terms, rates, reconstructed) for view in views]


def _row(
    view: _View, terms: Terms, rates: ExchangeRates, reconstructed: Collection[str]
) -> dict[str, Any]:
    money = _converted_by_day(view, rates)
    yesterday = view.as_of_day - _DAY
    spent = {day: each.sums[0] for day, each in money.items()}
    burning = _whole_days_spend(view, money)
    with exact_arithmetic():
        at_least = sum(spent.values(), ZERO)
        settled = sum(
            (each for day, each in spent.items() if is_settled(day, view.as_of_day)), ZERO
        )
    to_date = _period(view, money, view.since, view.as_of_day, "")
    total = terms.total if view.scope == "overall" else None
    missing = _missing(view)
    projection = _projection(total, to_date["spend"], spent, burning, yesterday)
    return {
        "as_of_date": view.as_of_day,
        "scope": view.scope,
        "currency": view.currency,
        "since": view.since,
        **to_date,
        **_period(view, money, view.as_of_day - _WEEK * _DAY, yesterday, "_7d"),
        **_period(view, money, view.as_of_day - DAYS_LOOKED_AT * _DAY, yesterday, "_28d"),
        "spend_at_least": at_least,
        "settled_spend_share": _ratio(settled, at_least),
        "investment_total": total,
        "spent_share": _ratio(to_date["spend"], total),
        "burn_per_day_7d": burn_per_day(burning, yesterday, _WEEK),
        "burn_per_day_28d": burn_per_day(burning, yesterday, DAYS_LOOKED_AT),
        "burn_per_day_settled": burn_per_day(
            burning, yesterday - SETTLED_AFTER_DAYS * _DAY, DAYS_LOOKED_AT
        ),
        "outlook": projection.outlook,
        "projected_end": projection.end,
        "projected_end_low": projection.low,
        "projected_end_high": projection.high,
        "n_accounts_covered": len(view.accounts) - len({*missing} - {*view.never_fetched}),
        "accounts_missing": missing,
        "unconverted": _unconverted(money.values()),
        "is_reconstructed": bool({each.currency for each in view.figures} & set(reconstructed)),
    }


def _converted_by_day(view: _View, rates: ExchangeRates) -> dict[date, Converted]:
    """Spend and revenue of each day that has any, in the currency of the view."""
    by_day: dict[date, list[DatedAmounts]] = {}
    for each in view.figures:
        row = DatedAmounts(each.day, each.currency, (each.spend, each.revenue))
        by_day.setdefault(each.day, []).append(row)
    return {day: _converted(rows, view.currency, rates) for day, rows in by_day.items()}


def _converted(rows: Sequence[DatedAmounts], currency: str, rates: ExchangeRates) -> Converted:
    """`convert`, and most days at no cost: one currency in, the same one out."""
    if len(rows) == 1 and rows[0].currency == currency:
        return Converted(rows[0].amounts, unconverted={})
    return convert(rows, currency, rates)


def _period(
    view: _View, money: Mapping[date, Converted], first: date, last: date, suffix: str
) -> dict[str, Any]:
    """The figures of the days `first` to `last`, under their column names."""
    figures = [each for each in view.figures if first <= each.day <= last]
    counts = {name: sum(getattr(each, name) for each in figures) for name in COUNTS}
    converted = [each for day, each in money.items() if first <= day <= last]
    spend = revenue = None
    if all(each.is_whole for each in converted):
        with exact_arithmetic():
            spend = sum((each.sums[0] for each in converted), ZERO)
            revenue = sum((each.sums[1] for each in converted), ZERO)
    named = {
        **counts,
        "spend": spend,
        "revenue": revenue,
        "roas": _ratio(revenue, spend),
        "cpa": _ratio(spend, counts["conversions"]),
        "conversion_rate": _ratio(counts["conversions"], counts["clicks"]),
        "link_conversion_rate": _ratio(counts["conversions"], counts["link_clicks"]),
    }
    return {f"{name}{suffix}": value for name, value in named.items()}


def _whole_days_spend(view: _View, money: Mapping[date, Converted]) -> dict[date, Decimal]:
    """The spend of each day that is over, was fetched for every asked account and has its rates."""
    asked = [each for each in view.accounts if not view.asked or each.account_id in view.asked]
    if not asked or view.whole_days is None:
        return {}
    known = set(asked[0].fetched_days).intersection(*(each.fetched_days for each in asked[1:]))
    nothing = Converted((ZERO, ZERO), {})
    days = {day: money.get(day, nothing) for day in view.whole_days if day in known}
    return {day: each.sums[0] for day, each in days.items() if each.is_whole}


def _projection(
    total: Decimal | None,
    spend: Decimal | None,
    spent: Mapping[date, Decimal],
    burning: Mapping[date, Decimal],
    yesterday: date,
) -> Projection:
    if total is None:
        return Projection("no_total")
    gone_on = spent_on(spent, total)
    if gone_on is not None:
        return Projection("spent", gone_on)
    if spend is None:
        return Projection("unconverted")
    with exact_arithmetic():
        before = sum((each for day, each in spent.items() if day <= yesterday), ZERO)
    return project(burning, yesterday, total - before)


def _missing(view: _View) -> dict[str, int]:
    """By account the days that count and are over, but were never fetched; none left out."""
    if view.whole_days is None:
        return {}
    days = set(view.whole_days)
    missing = {each.account_id: len(days.difference(each.fetched_days)) for each in view.accounts}
    missing |= dict.fromkeys(view.never_fetched, len(days))
    return {account_id: n for account_id, n in sorted(missing.items()) if n}


def _unconverted(converted: Iterable[Converted]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in converted:
        for currency, days in each.unconverted.items():
            counts[currency] = counts.get(currency, 0) + len(days)
    return dict(sorted(counts.items()))


def _ratio(above: Decimal | int | None, below: Decimal | int | None) -> float | None:
    """The quotient; None where either is unknown or there is nothing to divide by."""
    if above is None or not below:
        return None
    return float(Decimal(above) / Decimal(below))
