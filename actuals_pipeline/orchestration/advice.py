"""Advice on some days, each from what was known then; of days long over it stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.winners import ACTIVE_DAYS, DAYS_LOOKED_AT
from actuals_pipeline.report_days import DayWindow, over_everywhere, time_zone
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import as_known, history
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Slice, read
from actuals_pipeline.warehouse.tables import TABLES

Advise = Callable[..., pd.DataFrame]
"""Days of ads as they were known, a day and its curves -> advice as of that day."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One kind of advice, kept in the table called `name`; it is never carried out from here."""

    name: str
    advise: Advise
    warehouse: Warehouse
    settings: Settings
    clock: Callable[[], datetime]

    def on(self, days: DayWindow, development: pd.DataFrame) -> CoveredRows:
        """The advice on each of `days`; `development` is `revenue_development` on them."""
        kept = read(self.warehouse, TABLES[self.name], days)
        lasting = self._over_when_computed(kept)
        rows = [kept[kept["as_of_date"].isin(lasting)]]
        # Before any account was seen nothing was known to advise by, nor ever will be.
        seen = history.first_seen_on(self.warehouse)
        rows += [
            self._on(day, development[development["as_of_date"].eq(day)])
            for day in days
            if day not in lasting and seen is not None and seen <= day
        ]
        return CoveredRows(pd.concat(rows, ignore_index=True), (Slice(days),))

    def _on(self, day: date, development: pd.DataFrame) -> pd.DataFrame:
        known = as_known.running_ad_days(
            self.warehouse, day, days=DAYS_LOOKED_AT, active_days=ACTIVE_DAYS
        )
        advice = self.advise(
            known, day, Curves.of(development), order_value_cv=self.settings.order_value_cv
        )
        return advice.assign(computed_at=self.clock())

    def _over_when_computed(self, rows: pd.DataFrame) -> set[date]:
        """The as-of days that were over for every account when their rows were computed."""
        zones = [time_zone(name) for name in history.account_time_zones(self.warehouse).values()]
        computed = rows.groupby("as_of_date", as_index=False)["computed_at"].min()
        days = zip(computed["as_of_date"], computed["computed_at"], strict=True)
        return {day for day, at in days if at >= over_everywhere(day, zones)}
