"""What each ad did from its launch up to the end of a day, for many days at once.

Only what was known by the end of the as-of day is looked at, restated amounts included, not even
the ad's account is learnt later; so the figures of a past day do not depend on what came since.
Of days before the pipeline first saw an account nothing is known as of that day: there the earliest
known figures stand in, and the row says so (`is_reconstructed`).

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

from actuals_pipeline.accuracy.columns import ordinals
from actuals_pipeline.accuracy.contract import AD_TO_DATE, KNOWN_CHANGES
from actuals_pipeline.frames import check_frame, conform, empty_frame, refuse_rows
from actuals_pipeline.money import ZERO, ratio, running_totals
from actuals_pipeline.report_days import day_start, time_zone

_ORDINALS = 4_000_000
"""More than any `date.toordinal()`, so that (ad, day) fits one sortable integer."""


def launch_to_date(
    ads: pd.DataFrame,
    changes: pd.DataFrame,
    time_zones: Mapping[str, str],
    as_of_days: Sequence[date],
    *,
    default_zone: str,
    seen_since: Mapping[str, date] | None = None,
) -> pd.DataFrame:
    """The AD_TO_DATE frame: one row for each of `as_of_days` and each ad, in that order.

    `ads` has one row per ad (`ad_id`, `video_id`, `created_at`); `changes` keeps KNOWN_CHANGES
    (see `as_known.changes_of`) and may hold other ads, which are ignored.  `time_zones` gives the
    IANA name by account; an ad without any figure so far, or of an account not listed, lives in
    `default_zone`.  `seen_since` gives the day on which each account was first seen; as of days
    before it the reconstructed changes count.  An ad without figures has zeros.  `FrameMismatch`
    when an ad has two accounts or two currencies.
    """
    check_frame(changes, KNOWN_CHANGES, exact=False)
    days = sorted(set(as_of_days))
    if not days or ads.empty:
        return empty_frame(AD_TO_DATE)
    is_reconstructed = changes["is_reconstructed"]
    known = _to_date(ads, changes[~is_reconstructed], time_zones, days, default_zone)
    if not is_reconstructed.any():
        return conform(known.assign(is_reconstructed=False), AD_TO_DATE)
    imagined = _to_date(ads, changes[is_reconstructed], time_zones, days, default_zone)
    first_seen = imagined["account_id"].map(seen_since or {})
    unseen = first_seen.notna() & (
        imagined["as_of_date"] < first_seen.where(first_seen.notna(), date.min)
    )
    rows = pd.concat(
        [
            known[~unseen].assign(is_reconstructed=False),
            imagined[unseen].assign(is_reconstructed=True),
        ]
    )
    return conform(rows.sort_index(), AD_TO_DATE)


def _to_date(
    ads: pd.DataFrame,
    changes: pd.DataFrame,
    time_zones: Mapping[str, str],
    days: Sequence[date],
    default_zone: str,
) -> pd.DataFrame:
    ledger = _Ledger.of(changes, ads["ad_id"])
    ad = np.tile(np.arange(len(ads)), len(days))
    as_of_dates = pd.Series(np.repeat(np.array(days, dtype=object), len(ads)), dtype=object)
    as_of = np.repeat(np.array([day.toordinal() for day in days]), len(ads))

    account = ledger.latest("account_id", ad, as_of)
    zones = account.map(time_zones).astype(object).fillna(default_zone)
    first_delivery = ledger.latest("first_shown_on", ad, as_of)
    spend = ledger.sums("spend", ad, as_of)
    return (
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
            last_delivery_on=ledger.latest("last_shown_on", ad, as_of),
            settled_spend_share=ratio(ledger.sums("settled_spend", ad, as_of), spend),
            delivery_start=_day_starts(first_delivery, zones),
            day_end=_day_starts(_next_days(as_of_dates), zones),
        )
    )


@dataclass(frozen=True, slots=True)
class _Ledger:
    """The changes of numbered ads, by ad and day, with totals that run from each ad's launch."""

    rows: pd.DataFrame
    keys: npt.NDArray[np.int64]

    @classmethod
    def of(cls, changes: pd.DataFrame, ad_ids: pd.Series[str]) -> _Ledger:
        """The ledger of `ad_ids`, numbered by position."""
        numbers = pd.Series(np.arange(len(ad_ids)), index=pd.Index(ad_ids))
        rows = changes[changes["ad_id"].isin(ad_ids)]
        _refuse_two_accounts(rows)
        number = rows["ad_id"].map(numbers).astype("int64")
        keys = number * _ORDINALS + ordinals(rows["known_on"])
        rows = rows.assign(key=keys).sort_values("key", ignore_index=True)
        ad = rows["key"] // _ORDINALS
        return cls(
            rows=rows.assign(
                **{
                    name: running_totals(rows[name], ad)
                    for name in ("spend", "revenue", "settled_spend")
                },
                **{
                    name: rows.groupby(ad)[name].cumsum()
                    for name in ("impressions", "clicks", "conversions")
                },
                first_shown_on=_running_day(rows["first_shown_on"], ad.to_numpy(), last=False),
                last_shown_on=_running_day(rows["last_shown_on"], ad.to_numpy(), last=True),
            ),
            keys=rows["key"].to_numpy(),
        )

    def sums(self, name: str, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The total of `name` for each ad as known at the end of the day `until` (an ordinal)."""
        found = self._found(ad, until)
        zero = ZERO if self.rows[name].dtype == object else 0
        return _take(self.rows[name], found, zero)

    def latest(self, name: str, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> pd.Series[Any]:
        """The value of `name` on the ad's last change up to `until`, or missing."""
        return _take(self.rows[name].astype(object), self._found(ad, until), None)

    def _found(self, ad: npt.NDArray[Any], until: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Position of each ad's last change up to `until`, or -1."""
        last = np.searchsorted(self.keys, ad * _ORDINALS + until, side="right") - 1
        return np.where(last >= np.searchsorted(self.keys, ad * _ORDINALS), last, -1)


def _running_day(
    days: pd.Series[Any], ad: npt.NDArray[np.int64], *, last: bool
) -> npt.NDArray[np.object_]:
    """For each row the earliest (or last) day of its ad so far, or None; ads in their order."""
    ordinal = np.array([day.toordinal() if day is not None else 0 for day in days], dtype=np.int64)
    rank = np.where(ordinal > 0, ordinal if last else _ORDINALS - ordinal, 0)
    # Above all of the ads before it, so that none of theirs is taken for its own.
    above = ad * _ORDINALS
    highest = np.maximum.accumulate(above + rank) - above
    found = [
        date.fromordinal(each if last else _ORDINALS - each) if each else None
        for each in highest.tolist()
    ]
    return np.array(found, dtype=object)


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
            rows, KNOWN_CHANGES, name, rows[name].ne(first), "is the same all the ad's life"
        )
