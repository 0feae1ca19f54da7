"""Which ad ran which video, as it was known on a past day.

A score names the ad of a video, and the product may name another one later, delete the video or
correct its date.  As of a day only what was known by its end counts, so that nothing said later
moves what was published.  Of days before the first of all videos was known nothing was published;
they are told with what was known at the end of that first day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.contract import VIDEO_LOG
from actuals_pipeline.frames import check_frame
from actuals_pipeline.report_days import time_zone


def videos_known_by(
    log: pd.DataFrame, as_of_days: Sequence[date], *, default_zone: str
) -> Iterator[tuple[list[date], pd.DataFrame]]:
    """`as_of_days` in order, in runs that know the same of old videos, each with its VIDEOS.

    `log` is the VIDEO_LOG frame; a day ends at midnight after it in `default_zone`.  The videos of
    a run have a further column, `known_on`: the day from which on they are known to run as their
    ad, because ads of which nothing was said before come every day, and are no reason for a new
    run.  All that touches an ad or a video that was already known is one.
    """
    check_frame(log, VIDEO_LOG, exact=False)
    known = _daily(log, default_zone)
    turns = np.sort(known.loc[~known["is_first_word"], "day"].to_numpy())

    def n_turns(day: date) -> int:
        return int(np.searchsorted(turns, day.toordinal(), side="right"))

    for _, run in groupby(sorted(set(as_of_days)), key=n_turns):
        days = list(run)
        latest = known[known["day"] <= days[-1].toordinal()].drop_duplicates(
            "video_id", keep="last"
        )
        yield days, _videos(latest)


def _videos(latest: pd.DataFrame) -> pd.DataFrame:
    named = latest[latest["ad_id"].notna()].sort_values(["created_at", "video_id"])
    known_on = pd.Series(
        [date.fromordinal(day) for day in named["day"]], index=named.index, dtype=object
    )
    columns = named[["video_id", "ad_id", "created_at"]].assign(known_on=known_on)
    return columns.reset_index(drop=True)


def _daily(log: pd.DataFrame, default_zone: str) -> pd.DataFrame:
    """What was known of each video at the end of each day on which that changed, oldest first.

    `day` is an ordinal, the first one for all that was known on the first day; `is_first_word` says
    of a row that it tells nothing else of any ad or video than what was known before.
    """
    ordered = log.sort_values("sequence", ignore_index=True)
    local = ordered["logged_at"].dt.tz_convert(time_zone(default_zone)).dt.date
    day = local.map(date.toordinal).astype("int64")
    # The log's clock never goes back.
    day = day.where(day > day.min(), date.min.toordinal())
    known = ordered.assign(day=day).drop_duplicates(
        ["video_id", "day"], keep="last", ignore_index=True
    )
    names_ad = known["ad_id"].notna()
    n_named = names_ad.groupby(known["video_id"]).cumsum()
    is_new_ad = ~known.duplicated("ad_id")
    is_first_word = (n_named - names_ad.astype("int64")).eq(0) & (is_new_ad | ~names_ad)
    return known.assign(is_first_word=is_first_word)
