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
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy import cape_cod
from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.columns import Floats, Positions
from actuals_pipeline.accuracy.contract import ASKED_WINDOWS, PAIRS, WINDOW_DAYS, WINDOW_FIGURES
from actuals_pipeline.accuracy.protocols import (
    LAUNCH_LTD28,
    LAUNCH_WINDOWS,
    LEAST_COMPLETENESS,
    LaunchWindow,
)
from actuals_pipeline.frames import check_frame, conform, empty_frame, first_that_applies
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

READ = list(WINDOW_DAYS.key[:-1])
"""What makes two windows one and the same to read."""

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
    return conform(asked.sort_values(_WINDOW, ignore_index=True), ASKED_WINDOWS)


def window_figures(asked: pd.DataFrame, days: pd.DataFrame, shares_of: SharesOf) -> pd.DataFrame:
    """The WINDOW_FIGURES frame: what each of the `asked` windows holds, by key.

    `days` is the WINDOW_DAYS frame of those windows: their report days as known by `known_by`.
    Money is exact.  `completeness` is told of `launch_ltd28`, and missing without spend.
    """
    check_frame(asked, ASKED_WINDOWS, exact=False)
    check_frame(days, WINDOW_DAYS, exact=False)
    if asked.empty:
        return empty_frame(WINDOW_FIGURES)
    of_asked, of_days = _reads(asked, days)
    told = days[[*_COUNTS, *_MONEY]].assign(read=of_days)
    sums = pd.concat(
        [told.groupby("read")[_COUNTS].sum(), exact_sums(told, ["read"], _MONEY)], axis=1
    )
    figures = (
        asked.assign(read=of_asked)
        .merge(sums.reset_index(), how="left", on="read", validate="many_to_one")
        .merge(_completeness(asked, days, shares_of), how="left", on=_WINDOW, validate="one_to_one")
    )
    return conform(figures[figures["spend"].notna()].reset_index(drop=True), WINDOW_FIGURES)


def days_of(asked: pd.DataFrame, days: pd.DataFrame, window: LaunchWindow) -> pd.DataFrame:
    """The days of each of the `asked` windows of one kind, one row an as-of day, ad and day.

    The days of a window are in their order, whatever that of `days`: adding floats in another
    order gives other last digits.
    """
    chosen = asked[asked["protocol"].eq(window.name)]
    of_chosen, of_days = _reads(chosen, days)
    in_order = np.argsort(_ordinals(days["report_date"]), kind="stable")
    told = days.drop(columns=READ).assign(read=of_days).take(in_order)
    return chosen.assign(read=of_chosen).merge(told, on="read").drop(columns="read")


def _reads(asked: pd.DataFrame, days: pd.DataFrame) -> tuple[Positions, Positions]:
    """A number for each row of both frames: the same for the same window to read."""
    both = pd.concat([asked[READ], days[READ]], ignore_index=True)
    numbers = both.groupby(READ, sort=False).ngroup().to_numpy().astype(np.int64)
    return numbers[: len(asked)], numbers[len(asked) :]


def _ordinals(days: pd.Series[Any]) -> Positions:
    return np.fromiter(map(date.toordinal, days), dtype=np.int64, count=len(days))


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
    check_frame(figures, WINDOW_FIGURES, exact=False)
    if pairs.empty:
        return empty_frame(PAIRS)
    made = one_video_per_ad(videos).set_index("ad_id")["created_at"]
    knowledge = Knowledge.of(known_days, time_zones, default_zone)
    rows = pairs.assign(created_at=pairs["ad_id"].map(made))
    begun = rows["first_delivery_on"].where(
        rows["first_delivery_on"].notna(), rows["created_at"].dt.date
    )
    rows = rows[rows["as_of_date"] - begun <= timedelta(days=evaluation_days)]
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
    seen = shown["account_id"].map(lambda account_id: seen_since.get(account_id, date.min))
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
    """`completeness` of each window of purchases and its relative error, keyed as `asked`."""
    rows = days_of(asked, days, LAUNCH_LTD28)
    day, last = _ordinals(rows["report_date"]), _ordinals(rows["until"])
    # Of a day before the account was seen, what is known was learnt later: it is that much older.
    learnt = np.maximum(_ordinals(rows["known_on"]), _ordinals(rows["known_by"]))
    share, error = shares_of(rows, last - day, learnt - day)
    # Windows numbered in the order in which they come, as the rows below are.
    number = rows[_WINDOW].groupby(_WINDOW, sort=False).ngroup()
    found = cape_cod.launch_to_date(
        number, rows["spend"].astype("float64"), 0.0, share, np.asarray(error)
    )
    return (
        rows[_WINDOW]
        .drop_duplicates(ignore_index=True)
        .assign(
            completeness=found.completeness,
            completeness_se=np.nan_to_num(found.relative_error),
        )
    )
