"""Budgets as they stood day by day, and which one counted on a day.

A budget is read once a day at most, so a change at noon is known the next morning: what a day was
allowed is the larger of what was known on it and on the day after.  Of days before the first
reading the first one stands, because Meta tells no history.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

DAY_LIMIT = Decimal("1.75")
"""What Meta may spend on a day, over its daily budget (Business Help Center, daily budgets)."""

WEEK = 7
"""Days over which it averages, Sunday to Saturday: together no more than their budgets (same)."""

ACTIVE = "ACTIVE"
"""The one effective status in which a campaign or an ad set spends."""

_DAY = timedelta(days=1)
_SUNDAY = 6


class Snapshot(NamedTuple):
    """One budget at Meta as it stood on an account-local day; money in major units.

    One of `daily_budget` and `lifetime_budget` is None.
    """

    day: date
    account_id: str
    level: str
    budget_id: str
    campaign_id: str
    name: str
    status: str
    currency: str
    daily_budget: Decimal | None
    lifetime_budget: Decimal | None
    starts_on: date | None
    ends_on: date | None

    @property
    def amount(self) -> Decimal:
        """The budget, of a day or of all days."""
        given = self.lifetime_budget if self.daily_budget is None else self.daily_budget
        if given is None:
            raise ValueError(f"{self.budget_id} has no budget.")
        return given

    @property
    def is_active(self) -> bool:
        """Whether it spends."""
        return self.status == ACTIVE


class Plan(NamedTuple):
    """A planned budget as it stood on a day; `account_id` or `campaign_id` None for all of them."""

    day: date
    plan_id: str
    name: str | None
    account_id: str | None
    campaign_id: str | None
    currency: str
    amount: Decimal
    starts_on: date
    ends_on: date


@dataclass(frozen=True, slots=True)
class Budget:
    """What is known of one budget at Meta as of a day: its snapshots, oldest first, one at least.

    The newest is of the last reading up to that day.
    """

    snapshots: Sequence[Snapshot]

    @property
    def now(self) -> Snapshot:
        """As it stood last."""
        return self.snapshots[-1]

    @property
    def known_since(self) -> date:
        """The day of the first snapshot."""
        return self.snapshots[0].day

    def on(self, day: date) -> Snapshot:
        """As it stood on `day`, by the newest snapshot up to it."""
        at = bisect_right(self.snapshots, day, key=lambda each: each.day)
        return self.snapshots[max(at - 1, 0)]

    def is_sure_of(self, day: date) -> bool:
        """Whether it was read on `day` or before, and again later: a change would be known."""
        return self.known_since <= day < self.now.day

    def planned(self, day: date) -> Decimal:
        """What it was meant to spend on `day`, if by day; nothing where it was paused."""
        standing = self.on(day)
        is_on = standing.is_active and (standing.daily_budget is not None)
        return standing.amount if is_on else Decimal(0)

    def allowed(self, day: date) -> Decimal:
        """The largest amount in force on `day`, be it changed in the course of it."""
        after = bisect_left(self.snapshots, day + _DAY, key=lambda each: each.day)
        next_one = self.snapshots[after : after + 1]
        is_next_day = [each for each in next_one if each.day == day + _DAY]
        return max(each.amount for each in [self.on(day), *is_next_day])


def standing_on(snapshots: Iterable[Snapshot], readings: Sequence[date], day: date) -> list[Budget]:
    """The budgets of one account that its last reading up to `day` found; none before the first.

    `readings` are the days on which all of them were read, in order.
    """
    at = bisect_right(readings, day)
    if not at:
        return []
    last = readings[at - 1]
    known: dict[tuple[str, str], list[Snapshot]] = {}
    for each in snapshots:
        if each.day <= last:
            known.setdefault((each.level, each.budget_id), []).append(each)
    ordered = (sorted(each, key=lambda snapshot: snapshot.day) for each in known.values())
    return [Budget(each) for each in ordered if each[-1].day == last]


def plans_on(plans: Iterable[Plan], readings: Iterable[date], day: date) -> list[Plan]:
    """The plans as they stood last up to `day`; none before the first was seen.

    `readings` are days on which plans were looked for; more than a day (of another time zone)
    after the newest plan, there are none any more.
    """
    known = [each for each in plans if each.day <= day]
    last = max((each.day for each in known), default=None)
    looked = max((each for each in readings if each <= day), default=None)
    if last is None or (looked is not None and looked - last > _DAY):
        return []
    return [each for each in known if each.day == last]


def week_of(day: date) -> tuple[date, date]:
    """First and last day of the calendar week by which Meta averages, Sunday to Saturday."""
    first = day - (day.weekday() - _SUNDAY) % WEEK * _DAY
    return first, first + (WEEK - 1) * _DAY
