"""The planned budgets as they stand today, and how all budgets are spent as of some days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cached_property

import dagster as dg
import pandas as pd

from actuals_pipeline.errors import WarehouseError
from actuals_pipeline.orchestration.resources import WarehouseResource
from actuals_pipeline.report_days import DayWindow, report_day
from actuals_pipeline.settings import Settings
from actuals_pipeline.spend.budgets import WEEK, Plan, Snapshot
from actuals_pipeline.spend.burn import DAYS_LOOKED_AT
from actuals_pipeline.spend.exchange import ExchangeRates, Rate
from actuals_pipeline.spend.pacing import AccountBudgets, Terms, budget_pacing
from actuals_pipeline.spend.spending import AdSetDay, SpendChange, Spending
from actuals_pipeline.warehouse import budgets, exchange_rates, money_by_day, product
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import CoveredRows, Parts, Slice


def plans_today(
    context: dg.AssetExecutionContext,
    window: DayWindow,
    settings: Settings,
    postgres: WarehouseResource,
) -> Parts:
    """The planned budgets as they stand, if today is in `window`; nothing is said of other days.

    Plans that cannot be read hinder nothing else: a check says so.
    """
    now = postgres.clock()
    today = report_day(now, settings.zone)
    if today not in window:
        return Parts((), _no_day)
    try:
        plans = product.budgets(postgres.warehouse())
    except WarehouseError as error:
        context.log.warning("The planned budgets were left out: %s", error)
        return Parts((), _no_day)
    day = DayWindow.inclusive(today, today)
    return Parts((day,), lambda _: CoveredRows(_plan_rows(plans, today, now), (Slice(day),)))


class Pacing:
    """What it takes to judge budgets as of the days of `window`, read when it is wanted."""

    def __init__(self, warehouse: Warehouse, settings: Settings, window: DayWindow) -> None:
        self._warehouse = warehouse
        self._settings = settings
        self._window = window

    def on(self, days: DayWindow) -> CoveredRows:
        """The rows of some of the days."""
        pacing = budget_pacing(self._accounts, self._plans, self._spending, days, self._terms)
        return CoveredRows(pacing, (Slice(days),))

    @property
    def budgets_a_day(self) -> int:
        """About how many rows a day has."""
        return len({(each.level, each.budget_id) for each in self._snapshots}) + len(
            {each.plan_id for each in self._plans}
        )

    @cached_property
    def _snapshots(self) -> list[Snapshot]:
        rows = budgets.snapshots(self._warehouse, self._window.since, self._window.until)
        return [Snapshot(*row) for row in rows]

    @cached_property
    def _plans(self) -> list[Plan]:
        rows = budgets.plans(self._warehouse, self._window.since, self._window.until)
        return [Plan(*row) for row in rows]

    @cached_property
    def _accounts(self) -> list[AccountBudgets]:
        readings = budgets.readings(self._warehouse, self._window.since, self._window.until)
        by_account: dict[str, list[Snapshot]] = {}
        for each in self._snapshots:
            by_account.setdefault(each.account_id, []).append(each)
        return [
            AccountBudgets(
                account_id, readings.get(account_id, ()), by_account.get(account_id, ()), set(days)
            )
            for account_id, _, days in money_by_day.accounts(self._warehouse)
        ]

    @cached_property
    def _spending(self) -> Spending:
        since, first, last = self._oldest_day, self._window.since, self._window.until
        if not self.budgets_a_day:
            return Spending(())
        current = budgets.spend(self._warehouse, since, last)
        changes = budgets.spend_changes(self._warehouse, since, first, last)
        return Spending(
            (AdSetDay(*row) for row in current),
            (SpendChange(known_on, AdSetDay(*row)) for known_on, *row in changes),
        )

    @property
    def _oldest_day(self) -> date:
        """The first report day that counts for any budget as of any of the days."""
        looked_at = self._window.since - timedelta(days=DAYS_LOOKED_AT + WEEK)
        begun = [each.starts_on for each in self._plans] + [
            each.starts_on or each.day
            for each in self._snapshots
            if each.lifetime_budget is not None
        ]
        return min([looked_at, *begun])

    @cached_property
    def _terms(self) -> Terms:
        rates = ExchangeRates(
            (Rate(*row[:4]) for row in exchange_rates.stored(self._warehouse)),
            most_days_old=self._settings.exchange_rate_days,
        )
        return Terms(self._settings.pacing_tolerance, rates, self._settings.meta_ad_account_ids)


def _plan_rows(plans: pd.DataFrame, today: date, now: datetime) -> pd.DataFrame:
    n = len(plans)
    return plans.assign(
        snapshot_date=pd.Series([today] * n, dtype="object"),
        read_at=pd.Series([now] * n, dtype="datetime64[us, UTC]"),
    )


def _no_day(days: DayWindow) -> CoveredRows:
    raise AssertionError(f"nothing is to be written of {days}")
