"""Sums in each currency, and the order in which currencies are told: amounts of two never meet."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from actuals_pipeline.serving.report.reading import Reading, Row

_ADDED = ("spend", "revenue", "conversions", "impressions", "clicks")


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


def ads_by_currency(reading: Reading) -> list[Row]:
    """The ads of the busiest currency first, in each those with most spend first."""
    ranks = {currency: rank for rank, currency in enumerate(money_by_currency(reading["days"]))}
    return sorted(reading["ads"], key=lambda row: ranks.get(row["currency"], len(ranks)))


def ratio(above: Any, below: Any) -> Decimal | None:
    """The quotient, or None where nothing is below the line."""
    return Decimal(above) / Decimal(below) if below else None
