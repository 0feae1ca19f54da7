"""What was spent on a campaign, an ad set or an account on each day, as it was known on any day.

Kept as in `ledger.py`: what is known now, and what came to be known later than some day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from actuals_pipeline.money import ZERO, exact_arithmetic
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.spend.exchange import DatedAmounts

Scope = tuple[str, str]
"""What spend is asked of: `campaign`, `adset` or `account` with its id, or `EVERYTHING`."""

EVERYTHING: Scope = ("", "")


class AdSetDay(NamedTuple):
    """The spend of one ad set on one report day; ids None where an ad's place is not known."""

    account_id: str
    campaign_id: str | None
    adset_id: str | None
    day: date
    currency: str
    spend: Decimal

    @property
    def scopes(self) -> Iterable[Scope]:
        """Everything that it is part of."""
        yield EVERYTHING
        yield "account", self.account_id
        if self.campaign_id is not None:
            yield "campaign", self.campaign_id
        if self.adset_id is not None:
            yield "adset", self.adset_id


class SpendChange(NamedTuple):
    """What a day's news added to the spend of an ad set's day; negative where it took away."""

    known_on: date
    added: AdSetDay


class Spending:
    """Spend as of every day from a first one on; `changes` came to be known after that."""

    def __init__(self, current: Iterable[AdSetDay], changes: Iterable[SpendChange] = ()) -> None:
        self._current: defaultdict[Scope, defaultdict[tuple[date, str], Decimal]]
        self._current = defaultdict(lambda: defaultdict(Decimal))
        self._changes: defaultdict[Scope, list[SpendChange]] = defaultdict(list)
        with exact_arithmetic():
            for each in current:
                for scope in each.scopes:
                    self._current[scope][each.day, each.currency] += each.spend
        for change in changes:
            for scope in change.added.scopes:
                self._changes[scope].append(change)

    def on(self, scope: Scope, window: DayWindow, as_of_day: date) -> list[DatedAmounts]:
        """The spend of each day and currency in `window` that has any, known by `as_of_day`."""
        known = {
            key: spend
            for key, spend in self._current.get(scope, {}).items()
            if window.start <= key[0] < window.end
        }
        with exact_arithmetic():
            for known_on, added in self._changes.get(scope, ()):
                if known_on > as_of_day and added.day in window:
                    key = added.day, added.currency
                    known[key] = known.get(key, ZERO) - added.spend
        return [
            DatedAmounts(day, currency, (spend,))
            for (day, currency), spend in known.items()
            if spend
        ]
