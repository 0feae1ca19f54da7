"""The first days of each ad, as they were known when the comparison with them became final.

A window opens on the ad's first day with impressions.  Up to the day on which it matures it holds
what was known by the as-of day; from then on what was known on that day, whatever Meta restates
later: a score that was published does not move.

Revenue of a window is not all known when it matures, because purchases follow clicks by days.
`completeness` says how much should be: each day's spend counts by the share of its revenue that
is known at its age (see `development.py`), so that revenue / (spend * completeness) is the ROAS
to expect in the end, whether purchases are dated by their click or by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy import cape_cod
from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.columns import Floats, Positions, ordinals
from actuals_pipeline.accuracy.contract import (
    ASKED_WINDOWS,
    PAIRS,
    READ,
    WINDOW_DAYS,
    WINDOW_FIGURES,
)
from actuals_pipeline.accuracy.protocols import (
    LAUNCH_LTD28,
    LAUNCH_WINDOWS,
    LEAST_COMPLETENESS,
    LaunchWindow,
)
from actuals_pipeline.frames import (
    check_columns,
    check_frame,
    conform,
    empty_frame,
    first_that_applies,
)
from actuals_pipeline.money import ZERO, exact_sums
from actuals_pipeline.videos import one_video_per_ad

SharesOf: TypeAlias = Callable[[pd.DataFrame, Positions, Positions], tuple[Floats, Floats]]
"""Days of windows and two ages in days -> shares of their revenue, and the errors of these.

The frame has `as_of_date`, `known_by` and `account_id`: the curves to take are those of the day by
which a window's figures were known, so that a final ROAS does not move when the curve does.  The
first age is that of a day at the end of its window: where purchases are dated by themselves,
later ones stand on days outside.  The second is that of what is known of the day: where they are
dated by the impression, all of them come to stand on it.
"""

_EVER = date.max
"""Of an as-of day on which nothing was known, whatever was learnt later counts."""

_WINDOW = list(WINDOW_FIGURES.key)
_COUNTS = ["impressions", "clicks", "conversions"]
_MONEY = ["spend", "revenue"]


def asked_windows(
    pairs: pd.DataFrame, seen_since: Mapping[str, date], *, evaluation_days: int
) -> pd.DataFrame:
    """The ASKED_WINDOWS frame: one row per as-of day, launch window and ad of `pairs`, by key.

    `pairs` is a PAIRS frame of launch_to_date.  Ads that were never shown, or first shown more
    than `evaluation_days` before the as-of day, have no window.  A window that was final before
    its account was first seen (`seen_since`, by account) is reconstructed from what was learnt by
    the as-of day, or ever if the account was not seen by then either.
    """
    shown = pairs[pairs["first_delivery_on"].notna()].drop_duplicates(["as_of_date", "ad_id"])
    oldest = shown["as_of_date"] - timedelta(days=evaluation_days)
    shown = shown[shown["first_delivery_on"] >= oldest]
    if shown.empty:
        return empty_frame(ASKED_WINDOWS)
    asked = pd.concat([_asked(shown, window, seen_since) for window in LAUNCH_WINDOWS])
    asked = asked.sort_values(_WINDOW, ignore_index=True)
    return conform(asked.assign(reading=asked.groupby(READ, sort=False).ngroup()), ASKED_WINDOWS)


def window_figures(asked: pd.DataFrame, days: pd.DataFrame, shares_of: SharesOf) -> pd.DataFrame:
    """The WINDOW_FIGURES frame: what each of the `asked` windows holds, by key.

    `days` is the WINDOW_DAYS frame of those windows: their report days as known by `known_by`.
    Money is exact.  `completeness` is told of `launch_ltd28`, and missing without spend.
    """
    check_columns(asked, ASKED_WINDOWS)
    check_columns(days, WINDOW_DAYS)
    by_reading = days.groupby("reading")[_COUNTS].sum()
    sums = pd.concat([by_reading, exact_sums(days, ["reading"], _MONEY)], axis=1)
    known = asked[asked["reading"].isin(sums.index)].reset_index(drop=True)
    complete = _completeness(known, days, shares_of)
    return conform(known.join(sums, on="reading").join(complete), WINDOW_FIGURES)


def days_of(
    asked: pd.DataFrame, days: pd.DataFrame, window: LaunchWindow
) -> tuple[Positions, Positions]:
    """The days of each of the `asked` windows of one kind, as positions in `asked` and in `days`.

    Window by window as asked.  The days of one are in their order, whatever that of `days`: adding
    floats in another order gives other last digits.
    """
    chosen = np.flatnonzero(asked["protocol"].eq(window.name))
    wanted = asked["reading"].to_numpy()[chosen]
    at = np.flatnonzero(days["reading"].isin(wanted))
    told = days[["reading", "report_date"]].take(at)
    in_order = np.lexsort((ordinals(told["report_date"]), told["reading"]))
    readings = told["reading"].to_numpy()[in_order]
    first = np.searchsorted(readings, wanted)
    n_days = np.searchsorted(readings, wanted, side="right") - first
    of_each = np.arange(n_days.sum()) - np.repeat(np.cumsum(n_days) - n_days, n_days)
    return np.repeat(chosen, n_days), at[in_order[np.repeat(first, n_days) + of_each]]


def launch_pairs(
    pairs: pd.DataFrame,
    figures: pd.DataFrame,
    videos: pd.DataFrame,
    time_zones: Mapping[str, str],
    *,
    known_days: pd.DataFrame | None = None,
    evaluation_days: int,
    default_zone: str,
) -> pd.DataFrame:
    """The PAIRS frame of the launch windows, by key: the same predictions against their figures.

    `pairs` is what `pair` gave; `figures` (WINDOW_FIGURES) what its ads did in their windows.  A
    pair whose ad was first shown, or else whose video was made, more than `evaluation_days` before
    the as-of day has no row.  Until its window is final it is `immature`.
    """
    check_columns(figures, WINDOW_FIGURES)
    if pairs.empty:
        return empty_frame(PAIRS)
    made = one_video_per_ad(videos).set_index("ad_id")["created_at"]
    knowledge = Knowledge.of(known_days, time_zones, default_zone)
    rows = pairs.assign(created_at=pairs["ad_id"].map(made))
    begun, never = rows["first_delivery_on"].copy(), rows["first_delivery_on"].isna()
    begun[never] = rows.loc[never, "created_at"].dt.date
    rows = rows[ordinals(rows["as_of_date"]) - ordinals(begun) <= evaluation_days]
    if rows.empty:
        return empty_frame(PAIRS)
    launched = pd.concat(
        [_in_window(rows, figures, window, knowledge) for window in LAUNCH_WINDOWS]
    )
    found = conform(launched.sort_values(list(PAIRS.key), ignore_index=True), PAIRS)
    check_frame(found, PAIRS)
    return found


def _in_window(
    rows: pd.DataFrame, figures: pd.DataFrame, window: LaunchWindow, knowledge: Knowledge
) -> pd.DataFrame:
    """The pairs of one launch window; one whose ad was never shown keeps its zeros."""
    key = ["as_of_date", "ad_id"]
    told = [*key, "until", "learnt_by", *_OF_WINDOW]
    in_window = figures.loc[figures["protocol"].eq(window.name), told]
    found = rows.drop(columns=_OF_WINDOW).merge(
        in_window, how="left", on=key, validate="many_to_one", indicator=True
    )
    is_shown = found["_merge"].eq("both")
    nothing = rows[_OF_WINDOW].reset_index(drop=True)
    # Shown, but none of the window's days was learnt in time: nothing is known of it.
    is_unknown = ~is_shown & found["first_delivery_on"].notna()
    nothing = nothing.assign(
        **{name: nothing[name].where(~is_unknown, 0) for name in _COUNTS},
        **{name: nothing[name].where(~is_unknown, ZERO) for name in _MONEY},
    )
    found = found.assign(
        **{name: found[name].where(is_shown, nothing[name]) for name in _OF_WINDOW},
        protocol=window.name,
        settled_spend_share=np.nan,
    )
    is_final = is_shown & (found["matures_on"] <= found["as_of_date"]).where(is_shown, other=False)
    is_whole = pd.Series(data=True, index=found.index)
    shown = found[is_shown]
    is_whole[is_shown] = knowledge.is_whole(
        shown, until=shown["until"] + timedelta(days=1), known_by=shown["learnt_by"]
    )
    kept = found["status"].where(found["status"].isin(_BEFORE_MATURITY), None)
    is_missed = is_unknown & (found["as_of_date"] - found["first_delivery_on"]).ge(
        window.matures_after
    )
    status = first_that_applies(
        {"immature": ~is_final & ~is_missed, "incomplete_history": ~is_whole | is_missed},
        otherwise="eligible",
    )
    is_incomplete = window.metric == "roas" and found["completeness"].lt(LEAST_COMPLETENESS)
    return found.assign(
        status=kept.where(kept.notna(), status), is_provisional=~is_final | is_incomplete
    )


_OF_WINDOW = [
    "impressions",
    "clicks",
    "spend",
    "conversions",
    "revenue",
    "matures_on",
    "completeness",
    "completeness_se",
    "is_reconstructed",
]

_BEFORE_MATURITY = ("leaked", "no_delivery", "ambiguous", "invalid_prediction")
"""Statuses that hold whatever days are compared."""


def _asked(
    shown: pd.DataFrame, window: LaunchWindow, seen_since: Mapping[str, date]
) -> pd.DataFrame:
    since = shown["first_delivery_on"]
    matures_on = since + window.matures_after
    known_by = matures_on.where(matures_on < shown["as_of_date"], shown["as_of_date"])
    last = since + timedelta(days=window.days - 1)
    seen = shown["account_id"].map(seen_since).astype(object).fillna(date.min)
    is_reconstructed = known_by < seen
    as_of = shown["as_of_date"]
    learnt_by = known_by.where(~is_reconstructed, as_of.where(as_of >= seen, _EVER))
    return shown[["as_of_date", "ad_id", "account_id"]].assign(
        protocol=window.name,
        since=since,
        until=last.where(last < known_by, known_by),
        known_by=known_by,
        learnt_by=learnt_by,
        matures_on=matures_on,
        is_reconstructed=is_reconstructed,
    )


def _completeness(asked: pd.DataFrame, days: pd.DataFrame, shares_of: SharesOf) -> pd.DataFrame:
    """`completeness` of the windows of purchases and its relative error, by position in `asked`."""
    window, at = days_of(asked, days, LAUNCH_LTD28)
    day, known_on = (ordinals(days[name])[at] for name in ("report_date", "known_on"))
    last, known_by = (ordinals(asked[name])[window] for name in ("until", "known_by"))
    # Of a day before the account was seen, what is known was learnt later: it is that much older.
    learnt = np.maximum(known_on, known_by)
    share, error = shares_of(
        asked[["as_of_date", "known_by", "account_id"]].take(window), last - day, learnt - day
    )
    spend = days["spend"].astype("float64").to_numpy()[at]
    found = cape_cod.launch_to_date(window, spend, 0.0, share, np.asarray(error))
    complete = {
        "completeness": found.completeness,
        "completeness_se": np.nan_to_num(found.relative_error),
    }
    return pd.DataFrame(complete, index=found.ads)
