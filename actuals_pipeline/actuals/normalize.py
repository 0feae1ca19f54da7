"""Turn insights rows into daily actuals: the ad's video, rates made of counts, settled or not.

No row is dropped: an ad that stopped still collects purchases on days without delivery, and that
revenue is real.  Rates are recomputed, because Meta rounds its own and gives CTR in percent.

Not here: reading Meta's texts (meta.parse) and adding up ads (actuals.reconcile).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd

from actuals_pipeline.actuals.contract import AD_ACTUALS, INSIGHTS
from actuals_pipeline.frames import check_frame, conform, refuse_rows
from actuals_pipeline.money import exact_arithmetic, ratio
from actuals_pipeline.report_days import is_settled
from actuals_pipeline.videos import one_video_per_ad


def normalize(
    insights: pd.DataFrame, videos: pd.DataFrame, fetched_on: Mapping[tuple[str, date], date]
) -> pd.DataFrame:
    """The AD_ACTUALS frame of an INSIGHTS frame, one row per ad and report day, ordered by key.

    `videos` has `video_id`, `ad_id` and, if known, `created_at`.  `fetched_on` is, for
    each account and report day, the account's own calendar day when that day was last fetched.
    `FrameMismatch` when a frame breaks its contract or an account-day has no day of fetch.
    """
    check_frame(insights, INSIGHTS, exact=False)
    rows = insights.sort_values(list(INSIGHTS.key), ignore_index=True)
    video_of_ad = one_video_per_ad(videos).set_index("ad_id")["video_id"]
    impressions, spend = rows["impressions"], rows["spend"]
    with exact_arithmetic():
        spend_of_thousand = spend * 1000
    actuals = conform(
        rows.assign(
            video_id=rows["ad_id"].map(video_of_ad),
            ctr=ratio(rows["clicks"], impressions),
            roas=ratio(rows["revenue"], spend),
            cpm=ratio(spend_of_thousand, impressions),
            cpc=ratio(spend, rows["clicks"]),
            frequency=ratio(impressions, rows["reach"]),
            is_settled=_settled(rows, fetched_on),
        ),
        AD_ACTUALS,
    )
    check_frame(actuals, AD_ACTUALS)
    return actuals


def _settled(rows: pd.DataFrame, fetched_on: Mapping[tuple[str, date], date]) -> pd.Series[bool]:
    account_days = list(zip(rows["account_id"].tolist(), rows["report_date"].tolist(), strict=True))
    settled = {
        each: is_settled(each[1], fetched_on[each])
        for each in set(account_days)
        if each in fetched_on
    }
    found = pd.Series(list(map(settled.get, account_days)), dtype="boolean")
    refuse_rows(rows, INSIGHTS, "report_date", found.isna(), "has a day of fetch")
    return found.astype("bool")
