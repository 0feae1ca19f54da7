"""How much of a day's revenue (and clicks) is known at each age, by account, and how one knows.

From the best source that an account has, in this order:

    revisions      its own report days as they grew (`development.py`), if purchases are dated by
                   impression and enough days were followed
    click_windows  what Meta says of how long after the click people bought (`purchase_delay.py`)
    assumed        half within a day, 85 % within a week, and so on

Under dating by purchase a report day hardly grows, and yet the spend of that day goes on earning:
on later days.  So its growth is never taken for the curve; what of it is delay of reporting comes
on top of the delay of buying.

A running day tells too little of itself: the curve as of a day rests on what was known at the end
of the day before, and does not change during the day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.columns import Flags, Floats, Labels, Positions
from actuals_pipeline.accuracy.contract import REVENUE_DEVELOPMENT
from actuals_pipeline.accuracy.curve_watch import Pace, pace
from actuals_pipeline.accuracy.dating import LEAST_PURCHASES, Dating, Evidence, evidence, newest
from actuals_pipeline.accuracy.development import LAST_COHORTS, Growth, Triangle, growth
from actuals_pipeline.accuracy.purchase_delay import (
    AGES,
    USUAL_CLICK_WINDOW,
    Maturing,
    assumed,
    of_click_windows,
    reported_late,
)
from actuals_pipeline.frames import check_frame, conform, empty_frame
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, DayWindow

Source = Literal["revisions", "click_windows", "assumed"]

LEAST_COHORTS: Final = 30
"""Report days that were followed from their own day on, before their growth is believed."""

LEAST_TELLING: Final = 10
"""Report days that each step from one age to the next must rest on."""

LEAST_SETTLED: Final = 14
"""Settled report days before the click windows are believed: each weekday twice."""

MEASURES: Final = (
    "revenue",
    "clicks",
    "purchases",
    "undelivered_revenue",
    "revenue_within_1_day",
    "revenue_within_28_days",
)
"""What is followed: all revenue, clicks and purchases, the revenue of ads that were not shown on
the day, and the revenue of ad sets that count purchases for 1 and for 28 days after a click."""

CohortRow = tuple[Any, ...]
"""A report day of one account: its date, the ages in days at which more of it came to be known,
and for each of `MEASURES` what was added at each of these ages."""

SettledRow = tuple[date, float, float, float, float]
"""A report day of one account: its date, its revenue, and the value of the purchases made within
1, 7 and 28 days of a click."""


def cohorts_of(as_of_days: DayWindow) -> DayWindow:
    """The report days that the curves as of some days rest on."""
    first = DayWindow.trailing(as_of_days.since, LAST_COHORTS + 1).since
    return DayWindow.inclusive(first, as_of_days.until)


@dataclass(frozen=True, slots=True, eq=False)
class AccountHistory:
    """How the report days of one account grew, day by day from `first` on."""

    first: date
    cells: Floats
    """Shape `(days, ages, measures)`, cumulative; NaN where a day was not known yet."""
    settled: Floats
    """Shape `(days, 4)`: the amounts of a `SettledRow`; NaN where there is none."""

    @classmethod
    def of(cls, cohorts: Iterable[CohortRow], settled: Iterable[SettledRow] = ()) -> AccountHistory:
        """The history that some rows of one account tell, at least one; in any order."""
        told = list(cohorts)
        first, last = min(row[0] for row in told), max(row[0] for row in told)
        days = DayWindow.inclusive(first, last)
        added = np.zeros((len(days), len(AGES), len(MEASURES)))
        known_from = np.full(len(days), len(AGES))
        for day, ages, *measures in told:
            # What comes to be known after the last age is counted with it.
            at = np.clip(ages, 0, AGES[-1])
            np.add.at(added[(day - first).days], at, np.array(measures, dtype=np.float64).T)
            known_from[(day - first).days] = at.min()
        cells = added.cumsum(axis=1)
        cells[known_from[:, np.newaxis] > AGES] = np.nan
        amounts = np.full((len(days), 4), np.nan)
        for day, *values in settled:
            if day in days:
                amounts[(day - first).days] = values
        return cls(first, cells, amounts)

    def before(self, as_of: date) -> Known:
        """What was known of the last report days at the end of the day before `as_of`."""
        end = (as_of - self.first).days
        start = max(end - LAST_COHORTS, 0)
        cells = self.cells[start : max(end, 0)].copy()
        ages_so_far = end - start - np.arange(len(cells))
        cells[ages_so_far[:, np.newaxis] <= AGES] = np.nan
        is_settled = (ages_so_far > SETTLED_AFTER_DAYS) & np.isfinite(cells[:, :, 0]).any(axis=1)
        first = self.first + timedelta(days=start)
        return Known(first, cells, self.settled[start : max(end, 0)][is_settled])


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What was known of an account's report days at some instant; as in `AccountHistory`."""

    first: date
    cells: Floats
    settled: Floats

    def triangle(self, measure: str) -> Triangle:
        """The triangle of one of `MEASURES`."""
        return self.cells[:, :, MEASURES.index(measure)]

    @property
    def evidence(self) -> Evidence:
        """Of how the account's purchases are dated."""
        names = ("revenue", "undelivered_revenue", "purchases")
        return evidence(*(self.triangle(name) for name in names))

    @property
    def click_window(self) -> int:
        """Days after a click in which most of the revenue could be made, by the ad sets."""
        all_revenue, short, long = (
            newest(self.triangle(name))
            for name in ("revenue", "revenue_within_1_day", "revenue_within_28_days")
        )
        by_window = {USUAL_CLICK_WINDOW: all_revenue - short - long, 1: short, 28: long}
        return max(by_window, key=lambda days: by_window[days])


@dataclass(frozen=True, slots=True, eq=False)
class AccountCurve:
    """How one account's revenue and clicks mature, as of a day; arrays of shape `(ages,)`."""

    revenue: Maturing
    clicks: Floats
    """NaN where not measured."""
    source: Source
    dating: Dating
    n_cohorts: int
    """Report days that the curve of revenue rests on."""
    pace: Pace
    """Whether the newest days mature like those before."""


NOTHING_KNOWN: Final = AccountCurve(
    assumed(), np.full(len(AGES), np.nan), "assumed", "unknown", 0, "unknown"
)


def account_curve(known: Known, *, n_accounts: int = 1) -> AccountCurve:
    """The curve from the best source that there is; `n_accounts` are watched for a change."""
    found = known.evidence
    grown = growth(known.triangle("revenue"))
    revenue, source, n_cohorts = _revenue(known, found, grown)
    clicks = growth(known.triangle("clicks"))
    measured = clicks.shares if _is_enough(clicks) else np.full(len(AGES), np.nan)
    now = pace(
        known.triangle("revenue"), known.triangle("purchases"), known.first, n_accounts=n_accounts
    )
    return AccountCurve(revenue, measured, source, found.dating, n_cohorts, now)


def _revenue(known: Known, found: Evidence, grown: Growth) -> tuple[Maturing, Source, int]:
    own = Maturing(grown.shares, grown.share_errors)
    if found.dating == "impression" and _is_enough(grown):
        return own, "revisions", int(grown.n_cohorts[0])
    window = known.click_window
    amounts = known.settled[np.isfinite(known.settled).all(axis=1)]
    whole = amounts[:, 1 + (1, USUAL_CLICK_WINDOW, SETTLED_AFTER_DAYS).index(window)]
    total, one_day, seven_days, _ = amounts.T
    # Revenue without a single click is a day whose windows were not told, rather than none.
    told = np.sum((total > 0) & (whole > 0))
    if found.n_purchases >= LEAST_PURCHASES and told >= LEAST_SETTLED:
        bought = of_click_windows(one_day, seven_days, whole, total)
        # Only where dating by purchase is certain is a day's growth nothing but late reports.
        if found.sold_undelivered and _is_enough(grown):
            bought = reported_late(bought, own)
        return bought, "click_windows", len(amounts)
    return assumed(window), "assumed", 0


def _is_enough(grown: Growth) -> bool:
    """Whether enough days were followed, and what they show can be the way to something."""
    n = grown.n_cohorts
    return bool(n[0] >= LEAST_COHORTS and n.min() >= LEAST_TELLING and (grown.factors > 0).all())


def develop(
    histories: Mapping[str, AccountHistory], accounts: Iterable[str], as_of_days: Iterable[date]
) -> pd.DataFrame:
    """The REVENUE_DEVELOPMENT frame: a row for each as-of day, account and age, in that order.

    An account without a history has the assumed curve.
    """
    named = sorted({*accounts, *histories})
    curves = [
        (day, account_id, account_curve(histories[account_id].before(day), n_accounts=len(named)))
        if account_id in histories
        else (day, account_id, NOTHING_KNOWN)
        for day in sorted(as_of_days)
        for account_id in named
    ]
    if not curves:
        return empty_frame(REVENUE_DEVELOPMENT)

    def repeated(values: Sequence[Any]) -> pd.Series[Any]:
        return pd.Series(values, dtype=object).repeat(len(AGES)).reset_index(drop=True)

    return conform(
        pd.DataFrame(
            {
                "as_of_date": repeated([day for day, _, _ in curves]),
                "account_id": repeated([account_id for _, account_id, _ in curves]),
                "age_days": np.tile(AGES, len(curves)),
                "revenue_share": np.concatenate([curve.revenue.shares for *_, curve in curves]),
                "revenue_share_se": np.concatenate([curve.revenue.errors for *_, curve in curves]),
                "clicks_share": np.concatenate([curve.clicks for *_, curve in curves]),
                "source": repeated([curve.source for *_, curve in curves]),
                "dating": repeated([curve.dating for *_, curve in curves]),
                "n_cohorts": np.repeat([curve.n_cohorts for *_, curve in curves], len(AGES)),
                "pace": repeated([curve.pace for *_, curve in curves]),
            }
        ),
        REVENUE_DEVELOPMENT,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """The curves of all accounts as of one day, to be looked up for many days of ads at once."""

    accounts: pd.Index[Any]
    sources: tuple[str, ...]
    """The source of each account's curve, and last that of an unknown account."""
    table: Floats
    """Shape `(accounts + 1, ages, 3)`: share, its error, share of clicks; last the assumed."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Curves:
        """The curves in rows of `revenue_development` as of one day; none at all is allowed.

        `FrameMismatch` where the frame is another; `ValueError` where it has several as-of days
        or a curve with an age missing.
        """
        check_frame(rows, REVENUE_DEVELOPMENT, exact=False)
        ordered = rows.sort_values(["account_id", "age_days"], ignore_index=True)
        if ordered["as_of_date"].nunique() > 1:
            raise ValueError("Curves as of several days: take the rows of one as_of_date.")
        accounts = pd.Index(ordered["account_id"].unique(), dtype="str")
        ages = ordered["age_days"].to_numpy(dtype=np.int64)
        if not np.array_equal(ages, np.tile(AGES, len(accounts))):
            raise ValueError(f"A curve has every age from 0 to {AGES[-1]}, each once.")
        values = ordered[["revenue_share", "revenue_share_se", "clicks_share"]].to_numpy(float)
        unknown = [NOTHING_KNOWN.revenue.shares, NOTHING_KNOWN.revenue.errors, NOTHING_KNOWN.clicks]
        return cls(
            accounts,
            (*ordered["source"].iloc[:: len(AGES)], NOTHING_KNOWN.source),
            np.concatenate(
                [values.reshape(len(accounts), len(AGES), 3), np.column_stack(unknown)[np.newaxis]]
            ),
        )

    def share(self, account_id: Labels, age_days: Labels) -> tuple[Floats, Floats]:
        """The share of its revenue that a day of an account has by an age, and its error.

        One row an account and age, of one length or single values; beyond the last age the last,
        of an unknown or missing account the assumed curve.  `ValueError` below an age of 0.
        """
        found = self._found(account_id, age_days)
        return found[..., 0], found[..., 1]

    def clicks_share(self, account_id: Labels, age_days: Labels) -> Floats:
        """The share of its clicks that a day has by an age; NaN where that was not measured."""
        return self._found(account_id, age_days)[..., 2]

    def is_assumed(self, account_id: Labels) -> Flags:
        """Whether the curve of each account rests on nothing that the account did."""
        assumed_ones = np.array([source == "assumed" for source in self.sources])
        return np.asarray(assumed_ones[self._places(account_id)])

    def _found(self, account_id: Labels, age_days: Labels) -> Floats:
        ages = np.asarray(age_days, dtype=np.int64)
        if (ages < 0).any():
            raise ValueError(f"age_days: {ages.min()} is before the day itself.")
        return np.asarray(self.table[self._places(account_id), np.minimum(ages, AGES[-1])])

    def _places(self, account_id: Labels) -> Positions:
        names = np.atleast_1d(np.asarray(account_id, dtype=object))
        # The place of one that is not found is -1: the last, which is the assumed curve.
        places = self.accounts.get_indexer(pd.Index(names))
        return np.asarray(places if np.ndim(account_id) else places[0], dtype=np.int64)
