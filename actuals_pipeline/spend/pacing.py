"""How budgets are spent, as of each day: to date, expected to date, and where it will end.

What is judged are whole days, so it ends the day before the as-of day; the as-of day's own spend
counts for a plan that is used up, which no coming day can undo.  The period of a daily budget is
the calendar week in which the last whole day lies, because Meta averages over it: a day may cost
1.75 times its budget, the week no more than its budgets together.  A budget for the life of a
campaign or ad set, and a plan, have their own days.

The projection is that of `burn.py`: if the coming days are like the last 28.  For a daily budget
they are so in proportion to it, so that a budget that was doubled is expected to be spent like the
one before; days on which it was paused tell nothing.  Meta keeps its own limits, so a projection
of its budgets ends there, and only what was really spent makes them overspent.

Too little or too much is a verdict only where the whole 95 % interval lies on that side of the
budget and its middle further than the tolerance.
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
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.spend.budgets import (
    DAY_LIMIT,
    Budget,
    Plan,
    Snapshot,
    plans_on,
    standing_on,
    week_of,
)
from actuals_pipeline.spend.burn import DAYS_LOOKED_AT, SpendAhead, ahead
from actuals_pipeline.spend.contract import BUDGET_PACING
from actuals_pipeline.spend.exchange import DatedAmounts, ExchangeRates, convert
from actuals_pipeline.spend.spending import EVERYTHING, Scope, Spending

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AccountBudgets:
    """An ad account: the days on which its budgets were read whole, and as what they stood then.

    `fetched_days` are the report days whose spend is known.
    """

    account_id: str
    readings: Sequence[date]
    snapshots: Sequence[Snapshot]
    fetched_days: Collection[date]


@dataclass(frozen=True, slots=True)
class Terms:
    """What budgets are judged by.

    `tolerance` is the share by which spend may differ from its budget; the `asked` accounts are
    those that a plan for all of them is for.
    """

    tolerance: Decimal
    rates: ExchangeRates
    asked: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """One budget as of a day, whatever it is of.

    `limit` is what may be spent in the period, `expected` what the whole days' share of `budget`
    is; `history` the whole days that tell how it goes on, in units of this budget.
    """

    facts: Mapping[str, Any]
    kind: str
    period: DayWindow
    has_end: bool
    as_of_day: date
    budget: Decimal
    limit: Decimal
    spend: Decimal | None
    spend_whole_days: Decimal | None
    expected: float | None
    history: Mapping[date, Decimal]
    days_missing: int
    highest_day_share: Decimal | None = None
    is_paused: bool = False
    is_reconstructed: bool = False

    @property
    def days_ahead(self) -> int:
        """Days of the period that are not over, the as-of day included."""
        return sum(1 for day in self.period if day >= self.as_of_day)


_NOTHING = SpendAhead(0.0, 0.0, 0.0)
"""What a period that is over still costs."""


class _Verdict(NamedTuple):
    verdict: str
    reason: str


def budget_pacing(
    accounts: Sequence[AccountBudgets],
    plans: Sequence[Plan],
    spending: Spending,
    as_of_days: Iterable[date],
    terms: Terms,
) -> pd.DataFrame:
    """The BUDGET_PACING frame of some as-of days, ordered by key.

    A budget has no row before it was known, outside its days, and where it was paused and nothing
    was spent of it.
    """
    rows = [
        _row(case, terms)
        for day in as_of_days
        for case in [
            *_of_meta(accounts, spending, day),
            *_of_plans(accounts, plans, spending, day, terms),
        ]
    ]
    pacing = conform(
        pd.DataFrame(rows, columns=BUDGET_PACING.names, dtype=object), BUDGET_PACING
    ).sort_values(list(BUDGET_PACING.key), ignore_index=True)
    check_frame(pacing, BUDGET_PACING)
    return pacing


def _of_meta(
    accounts: Sequence[AccountBudgets], spending: Spending, as_of_day: date
) -> Iterable[_Case]:
    for account in accounts:
        for budget in standing_on(account.snapshots, account.readings, as_of_day):
            period = _period(budget.now, budget.known_since, as_of_day)
            if period is None:
                continue
            case = _case_of_meta(budget, account, spending, period, as_of_day)
            if budget.now.is_active or case.spend:
                yield case


def _period(standing: Snapshot, known_since: date, as_of_day: date) -> DayWindow | None:
    """The days that count for a budget as of a day; None where that is not one of them.

    The day after the last one still counts: on it the last one is over.
    """
    starts_on = standing.starts_on or known_since
    last_whole_day = max(as_of_day - _DAY, starts_on)
    ends_on = standing.ends_on
    if starts_on > as_of_day or (ends_on is not None and ends_on < last_whole_day):
        return None
    if standing.daily_budget is None:
        # Without an end the rest cannot be told; the period then lasts until today.
        return DayWindow.inclusive(starts_on, ends_on or max(as_of_day, starts_on))
    first, last = week_of(last_whole_day)
    return DayWindow.inclusive(max(first, starts_on), min(last, ends_on or last))


def _case_of_meta(
    budget: Budget,
    account: AccountBudgets,
    spending: Spending,
    period: DayWindow,
    as_of_day: date,
) -> _Case:
    now = budget.now
    is_daily = now.daily_budget is not None
    looked_at = DayWindow.trailing(as_of_day, DAYS_LOOKED_AT + 1)
    window = DayWindow(min(period.start, looked_at.start), as_of_day + _DAY)
    spent = _in_its_currency(spending.on((now.level, now.budget_id), window, as_of_day))
    whole = [day for day in period if day < as_of_day]
    has_end = is_daily or now.ends_on is not None
    with exact_arithmetic():
        planned = sum((budget.planned(day) for day in period), ZERO) if is_daily else now.amount
        expected = sum((budget.planned(day) for day in whole), ZERO)
    return _Case(
        facts={
            "level": now.level,
            "budget_id": now.budget_id,
            "account_id": now.account_id,
            "campaign_id": now.campaign_id,
            "name": now.name,
            "status": now.status,
            "currency": now.currency,
            "daily_budget": now.daily_budget,
        },
        kind="daily" if is_daily else "lifetime",
        period=period,
        has_end=has_end,
        as_of_day=as_of_day,
        budget=planned,
        limit=_limit(budget, spent, period),
        spend=_sum(spent, [*whole, as_of_day], period),
        spend_whole_days=_sum(spent, whole, period),
        expected=float(expected)
        if is_daily
        else _share(now.amount, whole, period, has_end=has_end),
        history=_history(budget, account, spent, looked_at, as_of_day),
        days_missing=sum(1 for day in whole if day not in account.fetched_days),
        highest_day_share=_highest(budget, spent, whole) if is_daily else None,
        is_paused=not now.is_active,
        is_reconstructed=any(day < budget.known_since for day in whole),
    )


def _history(
    budget: Budget,
    account: AccountBudgets,
    spent: Mapping[date, Decimal],
    window: DayWindow,
    as_of_day: date,
) -> dict[date, Decimal]:
    """The spend of whole known days on which it was not paused, as if it had stood as it does."""
    now = budget.now
    days = (
        day
        for day in window
        if day < as_of_day
        and day in account.fetched_days
        and budget.on(day).is_active
        and (now.starts_on is None or day >= now.starts_on)
    )
    if now.daily_budget is None:
        return {day: spent.get(day, ZERO) for day in days}
    in_force = {day: budget.on(day).daily_budget for day in days}
    return {
        day: spent.get(day, ZERO) / amount * now.daily_budget
        for day, amount in in_force.items()
        if amount
    }


def _highest(budget: Budget, spent: Mapping[date, Decimal], days: Iterable[date]) -> Decimal | None:
    """The largest share that a day's spend has of what it was allowed; of sure days only."""
    allowed = {day: budget.allowed(day) for day in days if budget.is_sure_of(day)}
    shares = [spent.get(day, ZERO) / amount for day, amount in allowed.items() if amount]
    return max(shares, default=None)


def _limit(budget: Budget, spent: Mapping[date, Decimal], period: DayWindow) -> Decimal:
    """What Meta may spend in the period; where nobody knows a day's budget, what was spent."""
    if budget.now.daily_budget is None:
        return _limit_for_life(budget, spent, period)
    with exact_arithmetic():
        return sum(
            (
                budget.allowed(day)
                if budget.is_sure_of(day) or day >= budget.now.day
                else max(budget.allowed(day), spent.get(day, ZERO))
                for day in period
            ),
            ZERO,
        )


def _limit_for_life(budget: Budget, spent: Mapping[date, Decimal], period: DayWindow) -> Decimal:
    """The amount that stands; one that was cut takes back nothing of what was spent before."""
    standing = budget.now.amount
    larger = [day for day in period if budget.allowed(day) > standing]
    before = _sum(spent, [day for day in period if larger and day <= larger[-1]], period)
    return max(standing, before or ZERO)


def _of_plans(
    accounts: Sequence[AccountBudgets],
    plans: Sequence[Plan],
    spending: Spending,
    as_of_day: date,
    terms: Terms,
) -> Iterable[_Case]:
    readings = {day for account in accounts for day in account.readings}
    for plan in plans_on(plans, readings, as_of_day):
        if plan.starts_on <= as_of_day <= plan.ends_on + _DAY:
            yield _case_of_plan(plan, accounts, spending, as_of_day, terms)


def _case_of_plan(
    plan: Plan,
    accounts: Sequence[AccountBudgets],
    spending: Spending,
    as_of_day: date,
    terms: Terms,
) -> _Case:
    period = DayWindow.inclusive(plan.starts_on, plan.ends_on)
    looked_at = DayWindow.trailing(as_of_day, DAYS_LOOKED_AT + 1)
    window = DayWindow(min(period.start, looked_at.start), as_of_day + _DAY)
    spent = _by_day(spending.on(_scope(plan), window, as_of_day), plan.currency, terms.rates)
    whole = [day for day in period if day < as_of_day]
    known = _fetched_for(plan, accounts, terms)
    return _Case(
        facts={
            "level": "plan",
            "budget_id": plan.plan_id,
            "account_id": plan.account_id,
            "campaign_id": plan.campaign_id,
            "name": plan.name,
            "status": None,
            "currency": plan.currency,
            "daily_budget": None,
        },
        kind="plan",
        period=period,
        has_end=True,
        as_of_day=as_of_day,
        budget=plan.amount,
        limit=plan.amount,
        spend=_sum(spent, [*whole, as_of_day], period),
        spend_whole_days=_sum(spent, whole, period),
        expected=_share(plan.amount, whole, period, has_end=True),
        history={
            day: amount
            for day in looked_at
            if day < as_of_day and day in known
            if (amount := spent.get(day, ZERO)) is not None
        },
        days_missing=sum(1 for day in whole if day not in known),
    )


def _scope(plan: Plan) -> Scope:
    if plan.campaign_id is not None:
        return "campaign", plan.campaign_id
    return EVERYTHING if plan.account_id is None else ("account", plan.account_id)


def _fetched_for(plan: Plan, accounts: Sequence[AccountBudgets], terms: Terms) -> Collection[date]:
    """The days of which the spend of every account that a plan is for is known."""
    asked = terms.asked if plan.account_id is None else (plan.account_id,)
    fetched = {each.account_id: set(each.fetched_days) for each in accounts}
    wanted = list(asked) or list(fetched)
    if plan.campaign_id is not None and plan.account_id is None:
        # It is one account's, nobody said whose: whatever was fetched is looked at.
        return set().union(*fetched.values())
    known = [fetched.get(account_id, set()) for account_id in wanted]
    return set.intersection(*known) if known else set()


def _by_day(
    rows: Iterable[DatedAmounts], currency: str, rates: ExchangeRates
) -> dict[date, Decimal | None]:
    """The spend of each day that has any, in `currency`; None where a rate is missing."""
    by_day: dict[date, list[DatedAmounts]] = {}
    for each in rows:
        by_day.setdefault(each.day, []).append(each)
    converted = {day: convert(of_day, currency, rates) for day, of_day in by_day.items()}
    return {day: each.sums[0] if each.is_whole else None for day, each in converted.items()}


def _in_its_currency(rows: Iterable[DatedAmounts]) -> dict[date, Decimal]:
    """The spend of each day that has any, of one account and so in one currency."""
    by_day: dict[date, Decimal] = {}
    with exact_arithmetic():
        for each in rows:
            by_day[each.day] = by_day.get(each.day, ZERO) + each.amounts[0]
    return by_day


def _sum(
    spent: Mapping[date, Decimal | None], days: Iterable[date], period: DayWindow
) -> Decimal | None:
    """The spend of some days of the period; None where that of one is not known."""
    amounts = [spent.get(day, ZERO) for day in days if day in period]
    known = [amount for amount in amounts if amount is not None]
    if len(known) < len(amounts):
        return None
    with exact_arithmetic():
        return sum(known, ZERO)


def _share(
    amount: Decimal, whole: Sequence[date], period: DayWindow, *, has_end: bool
) -> float | None:
    return float(amount) * len(whole) / len(period) if has_end else None


def _row(case: _Case, terms: Terms) -> dict[str, Any]:
    projection = _projection(case)
    verdict = _verdict(case, projection, float(terms.tolerance))
    return {
        **case.facts,
        "as_of_date": case.as_of_day,
        "kind": case.kind,
        "period_start": case.period.since,
        "period_end": case.period.until if case.has_end else None,
        "budget": case.budget,
        "spend_limit": case.limit,
        "spend": case.spend,
        "spend_whole_days": case.spend_whole_days,
        "expected_spend": case.expected,
        "projected_spend": projection.expected if projection else None,
        "projected_spend_low": projection.low if projection else None,
        "projected_spend_high": projection.high if projection else None,
        "highest_day_share": None
        if case.highest_day_share is None
        else float(case.highest_day_share),
        "days_missing": case.days_missing,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "is_reconstructed": case.is_reconstructed,
    }


def _projection(case: _Case) -> SpendAhead | None:
    """Spend at the end of the period, never below what is spent nor, at Meta, beyond its limit."""
    if case.spend_whole_days is None or case.spend is None or not case.has_end:
        return None
    is_over, last_day = case.days_ahead == 0, case.as_of_day - _DAY
    coming = _NOTHING if is_over else ahead(case.history, last_day, case.days_ahead)
    if coming is None or case.is_paused:
        return None
    least, so_far = float(case.spend), float(case.spend_whole_days)
    most = max(least, float(case.limit)) if case.kind != "plan" else float("inf")

    def within(more: float | None) -> float | None:
        return None if more is None else min(max(so_far + more, least), most)

    expected = min(max(so_far + coming.expected, least), most)
    return SpendAhead(expected, within(coming.low), within(coming.high))


def _verdict(case: _Case, projection: SpendAhead | None, tolerance: float) -> _Verdict:
    overspent = _overspent(case)
    if overspent is not None:
        return _Verdict("overspending", overspent)
    if case.is_paused:
        return _Verdict("paused", "not_active")
    missing = _missing(case, projection)
    if missing is not None or projection is None:
        return _Verdict("unknown", missing or "too_few_days")
    budget = float(case.budget)
    low, high = projection.low, projection.high
    is_above = low is not None and low > budget and projection.expected > budget * (1 + tolerance)
    # Meta keeps its own limits, whatever the days before were like.
    if is_above and case.kind == "plan":
        return _Verdict("overspending", "projected_beyond")
    if high is not None and high < budget and projection.expected < budget * (1 - tolerance):
        return _Verdict("underspending", "projected_below" if case.days_ahead else "ended_below")
    return _Verdict("on_track", "as_planned")


def _overspent(case: _Case) -> str | None:
    """What was really spent beyond a limit, if anything.

    Of Meta's budgets only whole days tell: one changed today is known tomorrow.
    """
    if case.highest_day_share is not None and case.highest_day_share > DAY_LIMIT:
        return "a_day_beyond_its_limit"
    spent = case.spend if case.kind == "plan" else case.spend_whole_days
    return "beyond_the_limit" if spent is not None and spent > case.limit else None


def _missing(case: _Case, projection: SpendAhead | None) -> str | None:
    """What is missing for a verdict, if anything."""
    if case.spend is None:
        return "no_rate"
    if case.days_missing:
        return "days_missing"
    if not case.has_end:
        return "no_end"
    if projection is None or projection.low is None:
        return "too_few_days"
    return None
