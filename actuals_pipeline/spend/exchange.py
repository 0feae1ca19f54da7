"""Amounts in one currency, by the dated exchange rates that the user supplies.

Nothing is guessed: the rate of a day is that day's or the latest one before it that is young
enough, and without one there is no conversion.  What could not be converted is named, currency
and days, and never added.  An amount of zero is zero in every currency and needs no rate.

Where only the opposite rate is supplied (banks publish one direction), its inverse counts, to 16
digits.  No rate is made of two others.  Every conversion is exact from there on: a reader rounds.

Loads no pandas, because commands that only read convert too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from typing import NamedTuple

MOST_DAYS_OLD = 7
"""Days for which a rate holds when nothing else is said: over a long weekend with holidays."""

_EXACT = Context(prec=400, traps=[Inexact, InvalidOperation, Overflow])
_INVERTING = Context(prec=16)

_ONE = Decimal(1)


class Rate(NamedTuple):
    """What one unit of a currency was worth in another on a day."""

    day: date
    from_currency: str
    to_currency: str
    rate: Decimal


class DatedAmounts(NamedTuple):
    """Amounts of one currency and day, such as spend and revenue, major units."""

    day: date
    currency: str
    amounts: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Converted:
    """The sums, in one currency, of all amounts that could be converted.

    `unconverted` has the days of each currency that had an amount and no rate.
    """

    sums: tuple[Decimal, ...]
    unconverted: Mapping[str, tuple[date, ...]]

    @property
    def is_whole(self) -> bool:
        """Whether every amount is in the sums."""
        return not self.unconverted


class ExchangeRates:
    """Dated rates; of two for the same day and currencies the last one given holds."""

    def __init__(self, rates: Iterable[Rate], *, most_days_old: int = MOST_DAYS_OLD) -> None:
        self._most_days_old = most_days_old
        by_pair: dict[tuple[str, str], dict[date, Decimal]] = {}
        for each in rates:
            if not (each.rate.is_finite() and each.rate > 0):
                raise ValueError(f"A rate is above 0 and finite, not {each.rate}.")
            by_pair.setdefault((each.from_currency, each.to_currency), {})[each.day] = each.rate
        self._by_pair = {pair: sorted(dated.items()) for pair, dated in by_pair.items()}

    def on(self, day: date, from_currency: str, to_currency: str) -> Decimal | None:
        """What one unit of `from_currency` is worth in `to_currency` on `day`; None if unknown."""
        if from_currency == to_currency:
            return _ONE
        direct = self._latest(day, from_currency, to_currency)
        if direct is not None:
            return direct
        opposite = self._latest(day, to_currency, from_currency)
        return None if opposite is None else _INVERTING.divide(_ONE, opposite)

    def _latest(self, day: date, from_currency: str, to_currency: str) -> Decimal | None:
        dated = self._by_pair.get((from_currency, to_currency), [])
        before = bisect_right(dated, day, key=lambda each: each[0])
        if not before:
            return None
        rate_day, rate = dated[before - 1]
        return rate if (day - rate_day).days <= self._most_days_old else None


def convert(rows: Iterable[DatedAmounts], to_currency: str, rates: ExchangeRates) -> Converted:
    """The sums of `rows` in `to_currency`, each row at the rate of its own day.

    `rows` have equally many amounts each (`ValueError` otherwise); without any there are no sums.
    """
    sums: tuple[Decimal, ...] = ()
    unconverted: dict[str, set[date]] = {}
    with localcontext(_EXACT):
        for row in rows:
            sums = sums or (Decimal(0),) * len(row.amounts)
            if not any(row.amounts):
                continue
            rate = rates.on(row.day, row.currency, to_currency)
            if rate is None:
                unconverted.setdefault(row.currency, set()).add(row.day)
            else:
                pairs = zip(sums, row.amounts, strict=True)
                sums = tuple(total + amount * rate for total, amount in pairs)
    if not unconverted:
        return Converted(sums, unconverted={})
    named = {currency: tuple(sorted(days)) for currency, days in sorted(unconverted.items())}
    return Converted(sums, named)
