"""Totals over currencies, and what is left of an investment, for the dashboard's JSON.

Amounts of a window are converted here, at the rates of their own days.  The investment itself was
summed up by the pipeline, as of a day, and is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from actuals_pipeline.serving import queries
from actuals_pipeline.serving.json_numbers import CENTS, RATE, Number, rounded
from actuals_pipeline.serving.queries import DayOfMoney, Money, Row
from actuals_pipeline.settings import Settings
from actuals_pipeline.spend.exchange import DatedAmounts, ExchangeRates, Rate, convert
from actuals_pipeline.warehouse import exchange_rates
from actuals_pipeline.warehouse.connection import Warehouse


@dataclass(frozen=True, slots=True)
class Overall:
    """What all accounts did in a window, in one currency.

    `money` counts what could be converted; `unconverted` has the number of days, by currency, of
    what could not.
    """

    money: Money
    unconverted: Mapping[str, int]

    @property
    def whole(self) -> Money | None:
        """The money, if it is all of it."""
        return None if self.unconverted else self.money


def overall(warehouse: Warehouse, days: Sequence[DayOfMoney], settings: Settings) -> Overall | None:
    """The window's money in the investment's currency, or in the only one that there is.

    None without any money, or where several currencies have no investment to be converted for.
    """
    currencies = {day.money.currency for day in days}
    budget = settings.investment_budget
    if not currencies or (budget is None and len(currencies) > 1):
        return None
    into = budget.currency if budget else currencies.pop()
    rates = ExchangeRates(
        (Rate(*row[:4]) for row in exchange_rates.stored(warehouse)),
        most_days_old=settings.exchange_rate_days,
    )
    rows = (
        DatedAmounts(
            day.report_date,
            day.money.currency,
            (day.money.spend, day.money.revenue, day.money.settled_spend),
        )
        for day in days
    )
    converted = convert(rows, into, rates)
    spend, revenue, settled_spend = converted.sums
    money = Money(
        into,
        spend,
        revenue,
        sum(day.money.conversions for day in days),
        sum(day.money.impressions for day in days),
        sum(day.money.clicks for day in days),
        settled_spend,
    )
    return Overall(money, {each: len(found) for each, found in converted.unconverted.items()})


def investment(warehouse: Warehouse, until: date) -> dict[str, Any] | None:
    """The investment as of the last day up to `until` that was summed up; None for none."""
    rows = queries.investment(warehouse, until)
    whole = next((row for row in rows if row["scope"] == "overall"), None)
    if whole is None:
        return None
    end, total, spend = whole["projected_end"], whole["investment_total"], whole["spend"]
    is_ahead = whole["outlook"] == "projected"
    return {
        "as_of": whole["as_of_date"],
        "since": whole["since"],
        "currency": whole["currency"],
        "total": _amount(total),
        "spent": _amount(spend),
        "spent_at_least": _amount(whole["spend_at_least"]),
        "spent_share": _measured(whole["spent_share"], RATE),
        "remaining": _amount(total - spend) if None not in {total, spend} else None,
        "settled_spend_share": _measured(whole["settled_spend_share"], RATE),
        "burn_per_day": {
            "last_7_days": _measured(whole["burn_per_day_7d"], CENTS),
            "last_28_days": _measured(whole["burn_per_day_28d"], CENTS),
            "settled_28_days": _measured(whole["burn_per_day_settled"], CENTS),
        },
        "outlook": whole["outlook"],
        "days_left": (end - whole["as_of_date"]).days if is_ahead else None,
        "projected_end": end,
        "projected_end_ci95": (
            [whole["projected_end_low"], whole["projected_end_high"]]
            if is_ahead and whole["projected_end_low"]
            else None
        ),
        "to_date": _figures(whole, ""),
        "last_7_days": _figures(whole, "_7d"),
        "last_28_days": _figures(whole, "_28d"),
        "by_currency": [
            {"currency": row["currency"], **_figures(row, "")}
            for row in rows
            if row["scope"] == "currency"
        ],
        "accounts_covered": whole["n_accounts_covered"],
        "accounts_missing": [
            {"account_id": account_id, "days": days}
            for account_id, days in whole["accounts_missing"].items()
        ],
        "unconverted": days_by_currency(whole["unconverted"]),
        "is_reconstructed": whole["is_reconstructed"],
    }


def days_by_currency(unconverted: Mapping[str, int]) -> list[dict[str, Any]]:
    """The days without a rate, one entry a currency."""
    return [{"currency": currency, "days": days} for currency, days in unconverted.items()]


def _figures(row: Row, suffix: str) -> dict[str, Any]:
    return {
        "spend": _amount(row[f"spend{suffix}"]),
        "revenue": _amount(row[f"revenue{suffix}"]),
        "roas": _measured(row[f"roas{suffix}"], CENTS),
        "conversions": row[f"conversions{suffix}"],
        "cpa": _measured(row[f"cpa{suffix}"], CENTS),
        "impressions": row[f"impressions{suffix}"],
        "clicks": row[f"clicks{suffix}"],
        "conversion_rate": _measured(row[f"conversion_rate{suffix}"], RATE),
        "link_conversion_rate": _measured(row[f"link_conversion_rate{suffix}"], RATE),
    }


def _amount(value: Decimal | None) -> Number | None:
    """An amount of money to the cent: what was converted has more digits than money has."""
    return rounded(value, CENTS)


def _measured(value: float | None, unit: Decimal) -> Number | None:
    return None if value is None else rounded(Decimal(repr(value)), unit)
