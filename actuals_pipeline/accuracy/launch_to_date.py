"""What each ad did from its launch up to the end of a day, for many days at once.

Nothing later than the as-of day is looked at, not even to learn the ad's account; so the figures
of a past day do not depend on what happened since, restated amounts apart.

Units: spend and revenue exact, in the account's currency; instants in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from actuals_pipeline.accuracy.contract import AD_TO_DATE, DAILY_FIGURES
from actuals_pipeline.frames import check_frame, conform, empty_frame, refuse_rows
from actuals_pipeline.money import ZERO, ratio, running_totals
from actuals_pipeline.report_days import SETTLED_AFTER_DAYS, day_start, time_zone

_ORDINALS = 4_000_000
"""More than any `date.toordinal()`, so that (ad, day) fits one sortable integer."""


def launch_to_date(
    ads: pd.DataFrame,
    actuals: pd.DataFrame,
    time_zones: Mapping[str, str],
    as_of_days: Sequence[date],
    *,
    default_zone: str,
) -> pd.DataFrame:
    """The AD_TO_DATE frame: one row for each of `as_of_days` and each ad, in that order.

    `ads` has one row per ad (`ad_id`, `video_id`, `created_at`); `actuals` keeps DAILY_FIGURES
    and may hold other ads, which are ignored.  `time_zones` gives the IANA name by account; an
    ad without any figure so far, or of an account not listed, lives in `default_zone`.  An ad
    without figures has zeros.  `FrameMismatch` when an ad has two accounts or two currencies.
    """
    check_frame(actuals, DAILY_FIGURES, exact=False)
    days = sorted(set(as_of_days))
    if not days or ads.empty:
        return empty_frame(AD_TO_DATE)
    ledger = _Ledger.of(actuals, ads["ad_id"])
    ad = np.tile(np.arange(len(ads)), len(days))
    as_of_dates = pd.Series(np.repeat(np.array(days, dtype=object), len(ads)), dtype=object)
    as_of = np.repeat(np.array([day.toordinal() for day in days]), len(ads))

    account = ledger.latest("account_id", ad, as_of)
    zones = account.map(lambda account_id: time_zones.get(account_id, default_zone))
    first_delivery = ledger.first_delivery(ad, as_of)
    spend = ledger.sums("spend", ad, as_of)
    settled_spend = ledger.sums("spend", ad, as_of - SETTLED_AFTER_DAYS - 1)
    return conform(
        ads.iloc[ad]
        .reset_index(drop=True)
        .assign(
            as_of_date=as_of_dates,
            account_id=account,
            currency=ledger.latest("currency", ad, as_of),
            **{
                name: ledger.sums(name, ad, as_of)
                for name in ("impressions", "clicks", "conversions", "revenue")
            },
            spend=spend,
            first_delivery_on=first_delivery,
            last_delivery_on=ledger.last_delivery(ad, as_of),
            settled_spend_share=ratio(settled_spend, spend),
            delivery_start=_day_starts(first_delivery, zones),
            day_end=_day_starts(_next_days(as_of_dates), zones),
        ),
        AD_TO_DATE,
    )


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The days of numbered ads, by ad and day, with totals that run from each ad's launch."""

    rows: pd.DataFrame
    keys: npt.NDArray[np.int64]
    delivered_days: pd.Series[Any]
    delivered_keys: npt.NDArray[np.int64]

    @classmethod
    def of(cls, actuals: pd.DataFrame, ad_ids: pd.Series[str]) -> _Ledger:
        """The ledger of `ad_ids`, numbered by position."""
        numbers = pd.Series(np.arange(len(ad_ids)), index=pd.Index(ad_ids))
        rows = actuals[actuals["ad_id"].isin(ad_ids)]
        _refuse_two_accounts(rows)
        keys = rows["ad_id"].map(numbers).astype("int64") * _ORDINALS + rows["report_date"].map(
            date.toordinal
        ).astype("int64")
        rows = rows.assign(key=keys).sort_values("key", ignore_index=True)
        ad = rows["key"] // _ORDINALS
        delivered = rows["impressions"] > 0
        return cls(
            rows=rows.assign(
                **{name: running_totals(rows[name], ad) for name in ("spend", "revenue")},
                **{
                    name: rows.groupby(ad)[name].cumsum()
                    for name in ("impressions", "clicks", "conversions")
                },
            ),
            keys=rows["key"].to_numpy(),
            delivered_days=rows.loc[delivered, "report_date"],
            delivered_keys=rows.loc[delivered, "key"].to_numpy(),
        )

    def sums(self, name: str, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The total of `name` for each ad up to and including the day `until` (an ordinal)."""
        found = self._found(self.keys, ad, until)
        zero = ZERO if self.rows[name].dtype == object else 0
        return _take(self.rows[name], found, zero)

    def latest(self, name: str, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The value of `name` on the ad's last day up to `until`, or missing."""
        return _take(self.rows[name].astype(object), self._found(self.keys, ad, until), None)

    def first_delivery(self, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The ad's first day with impressions, if that is not after `until`, or None."""
        first = np.searchsorted(self.delivered_keys, ad * _ORDINALS)
        found = self._found(self.delivered_keys, ad, until)
        return _take(self.delivered_days, np.where(found >= 0, first, -1), None)

    def last_delivery(self, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The ad's last day with impressions up to `until`, or None."""
        return _take(self.delivered_days, self._found(self.delivered_keys, ad, until), None)

    @staticmethod
    def _found(
        keys: npt.NDArray[np.int64], ad: npt.NDArray[Any], until: npt.NDArray[Any]
    ) -> npt.NDArray[Any]:
        """Position of each ad's last row up to `until`, or -1."""
        last = np.searchsorted(keys, ad * _ORDINALS + until, side="right") - 1
        return np.where(last >= np.searchsorted(keys, ad * _ORDINALS), last, -1)


def _take(values: pd.Series[Any], positions: npt.NDArray[Any], otherwise: object) -> pd.Series[Any]:
    """The values at `positions`, and `otherwise` where the position is -1."""
    padded = np.append(values.to_numpy(), [otherwise])
    return pd.Series(padded[positions], dtype=values.dtype)


def _day_starts(days: pd.Series[Any], zones: pd.Series[str]) -> pd.Series[Any]:
    """The instant at which each day begins in its zone; missing where there is no day."""
    wanted = pd.DataFrame({"day": days, "zone": zones.astype("str")})
    distinct = wanted.dropna().drop_duplicates()
    starts = [
        day_start(day, time_zone(zone)) for day, zone in distinct.itertuples(index=False, name=None)
    ]
    known = distinct.assign(
        start=pd.Series(starts, index=distinct.index, dtype="datetime64[us, UTC]")
    )
    return wanted.merge(known, how="left", on=["day", "zone"], validate="many_to_one")["start"]


def _next_days(days: pd.Series[Any]) -> pd.Series[Any]:
    return days.map({day: day + timedelta(days=1) for day in days.unique()})


def _refuse_two_accounts(rows: pd.DataFrame) -> None:
    for name in ("account_id", "currency"):
        first = rows.groupby("ad_id")[name].transform("first")
        refuse_rows(
            rows, DAILY_FIGURES, name, rows[name].ne(first), "is the same all the ad's life"
        )
