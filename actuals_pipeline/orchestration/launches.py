"""What the warehouse knows of the product's ads as of some days, ready to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.baseline import BASELINE_DAYS, account_rates
from actuals_pipeline.accuracy.columns import Floats, Positions
from actuals_pipeline.accuracy.contract import PAIRS, REVENUE_DEVELOPMENT
from actuals_pipeline.accuracy.launch_windows import (
    SharesOf,
    asked_windows,
    launch_pairs,
    window_figures,
)
from actuals_pipeline.accuracy.linked import videos_known_by
from actuals_pipeline.accuracy.pair import delivered_ads, pair, unmatched_videos
from actuals_pipeline.accuracy.received import received_by
from actuals_pipeline.accuracy.score import score
from actuals_pipeline.accuracy.uncertainty import Assumptions, judge
from actuals_pipeline.frames import conform, empty_frame
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse import as_known, history, video_log
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.store import read
from actuals_pipeline.warehouse.tables import TABLES


class Launches:
    """The ads of the product's videos, as the warehouse knew them on the days of `window`.

    They are judged some days at a time.  What is small and the same for all of them, the days of
    the accounts and their curves, is read once.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings, window: DayWindow) -> None:
        self._warehouse = warehouse
        self._settings = settings
        self._window = window
        self._account_days: tuple[date, pd.DataFrame] | None = None
        self._curves_by_day: dict[date, AccountCurves | None] = {}

    @cached_property
    def videos(self) -> pd.DataFrame:
        """All that was ever said of videos: the VIDEO_LOG frame."""
        return video_log.entries(self._warehouse)

    def judged_pairs(self, predictions: pd.DataFrame, days: DayWindow) -> pd.DataFrame:
        """Every prediction against what its ad did, under each protocol, as of each of `days`."""
        judged = [self._judged(predictions, run, known) for run, known in self._known(days)]
        return pd.concat(judged, ignore_index=True)

    def _known(self, days: DayWindow) -> Iterator[tuple[DayWindow, pd.DataFrame]]:
        """`days` in runs, each with the videos as they were known on its days."""
        zone = self._settings.time_zone_name
        for run, known in videos_known_by(self.videos, list(days), default_zone=zone):
            yield DayWindow.inclusive(run[0], run[-1]), known

    def _judged(
        self, predictions: pd.DataFrame, days: DayWindow, videos: pd.DataFrame
    ) -> pd.DataFrame:
        pairs = self._pairs(predictions, days, videos)
        asked = asked_windows(
            pairs, self._seen_since, evaluation_days=self._settings.evaluation_days
        )
        window_days = as_known.window_days(self._warehouse, asked)
        launched = launch_pairs(
            pairs,
            window_figures(asked, window_days, shares_of(self._curves(asked, days))),
            videos,
            self._time_zones,
            known_days=self._known_days,
            evaluation_days=self._settings.evaluation_days,
            default_zone=self._settings.time_zone_name,
        )
        scored = score(pd.concat([pairs, launched], ignore_index=True))
        return judge(
            scored,
            places=as_known.places_of_ads(self._warehouse, scored["ad_id"].unique().tolist()),
            asked=asked,
            days=window_days,
            baselines=account_rates(scored, self._account_days_before(scored), self._seen_since),
            assumptions=Assumptions(
                self._settings.ctr_tolerance,
                self._settings.roas_tolerance,
                self._settings.order_value_cv,
            ),
        )

    def unmatched(self, predictions: pd.DataFrame, days: DayWindow) -> pd.DataFrame:
        """How many predicted videos of each model version have no pair, as of each day."""
        zone = self._settings.time_zone_name
        return pd.concat(
            [
                unmatched_videos(received, known, part, default_zone=zone)
                for run, known in self._known(days)
                for part, received in received_by(predictions, list(run), default_zone=zone)
            ],
            ignore_index=True,
        )

    def delivered(self, days: DayWindow) -> pd.DataFrame:
        """Every ad that a prediction could be compared with, as of each of `days`."""
        delivered = [
            delivered_ads(
                known,
                self._changes(run, known),
                self._time_zones,
                list(run),
                seen_since=self._seen_since,
                evaluation_days=self._settings.evaluation_days,
                **self._ages,
            )
            for run, known in self._known(days)
        ]
        return pd.concat(delivered, ignore_index=True)

    def _pairs(
        self, predictions: pd.DataFrame, days: DayWindow, videos: pd.DataFrame
    ) -> pd.DataFrame:
        changes, zone = self._changes(days, videos), self._settings.time_zone_name
        found = [
            pair(
                received,
                videos,
                changes,
                self._time_zones,
                run,
                known_days=self._known_days,
                **self._ages,
            )
            for run, received in received_by(predictions, list(days), default_zone=zone)
        ]
        return conform(pd.concat(found, ignore_index=True), PAIRS)

    def _changes(self, days: DayWindow, videos: pd.DataFrame) -> pd.DataFrame:
        ad_ids = videos["ad_id"].unique().tolist()
        return as_known.known_changes(self._warehouse, ad_ids, days, self._seen_since)

    def _curves(self, asked: pd.DataFrame, days: DayWindow) -> Mapping[date, AccountCurves | None]:
        """The curves from the first day by which figures of a window were known."""
        since = min(min(asked["known_by"], default=days.since), days.since)
        unread = set(DayWindow.inclusive(since, days.until)) - self._curves_by_day.keys()
        for missing in DayWindow.adjoining(unread):
            development = read(self._warehouse, TABLES["revenue_development"], missing)
            self._curves_by_day |= curves_by_day(development, missing)
        return self._curves_by_day

    def _account_days_before(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """By how much the days of accounts changed that the baselines of `pairs` rest on.

        They are few, but made of the days of all ads: read for one part after the other they took
        a fifth of a backfill.
        """
        launches = pairs["first_delivery_on"].dropna()
        oldest = min(launches, default=self._window.since) - timedelta(days=BASELINE_DAYS)
        if self._account_days is None or oldest < self._account_days[0]:
            known = as_known.known_account_days(
                self._warehouse, oldest, self._window, self._seen_since
            )
            self._account_days = oldest, known
        return self._account_days[1]

    @cached_property
    def _time_zones(self) -> Mapping[str, str]:
        return history.account_time_zones(self._warehouse)

    @cached_property
    def _known_days(self) -> pd.DataFrame:
        return as_known.known_days(self._warehouse)

    @cached_property
    def _seen_since(self) -> Mapping[str, date]:
        zone = self._settings.time_zone_name
        return Knowledge.of(self._known_days, self._time_zones, zone).seen_since

    @property
    def _ages(self) -> dict[str, Any]:
        return {
            "min_age_hours": self._settings.min_age_hours,
            "max_age_days": self._settings.max_age_days,
            "default_zone": self._settings.time_zone_name,
        }


@dataclass(frozen=True, slots=True)
class AccountCurves:
    """How much of a day's revenue each account had at each age, as of one day."""

    curves: Curves
    dated_by_impression: frozenset[str]
    """The accounts whose purchases stand on the day of the impression."""

    @classmethod
    def of(cls, development: pd.DataFrame) -> AccountCurves:
        """The curves of one day's `revenue_development`."""
        by_impression = development.loc[development["dating"].eq("impression"), "account_id"]
        return cls(Curves.of(development), frozenset(by_impression))


def curves_by_day(
    development: pd.DataFrame, days: Iterable[date]
) -> dict[date, AccountCurves | None]:
    """The curves of `revenue_development` as of each of `days`; None where a day has none."""
    by_day = {day: AccountCurves.of(rows) for day, rows in development.groupby("as_of_date")}
    return {day: by_day.get(day) for day in days}


def shares_of(curves: Mapping[date, AccountCurves | None]) -> SharesOf:
    """How much of a day's revenue each account had at each age, as of each day.

    Of a day without curves those of the as-of day count, and where it has none the assumed one:
    never those of a later day, so that a past day's score does not depend on what came since.
    """
    known = [day for day, each in curves.items() if each is not None]
    assumed = AccountCurves.of(empty_frame(REVENUE_DEVELOPMENT))

    def shares(rows: pd.DataFrame, last: Positions, learnt: Positions) -> tuple[Floats, Floats]:
        share, error = np.empty(len(last)), np.empty(len(last))
        days = rows["known_by"].where(rows["known_by"].isin(known), rows["as_of_date"])
        for day in days.unique():
            at = days.eq(day).to_numpy()
            of_day = curves.get(day) or assumed
            accounts = rows["account_id"][at]
            ages = np.where(accounts.isin(of_day.dated_by_impression), learnt[at], last[at])
            share[at], error[at] = of_day.curves.share(accounts, ages)
        return share, error

    return shares
