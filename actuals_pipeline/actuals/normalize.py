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
    insights: pd.DataFrame, videos: pd.DataFrame, today: Mapping[str, date]
) -> pd.DataFrame:
    """The AD_ACTUALS frame of an INSIGHTS frame, one row per ad and report day, ordered by key.

    `videos` has `video_id`, `ad_id` and, if known, `created_at`.  `today` is each account's own
    calendar day at the time of the fetch.  `FrameMismatch` when a frame breaks its contract or an
    account has no `today`.
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
            is_settled=_settled(rows, today),
        ),
        AD_ACTUALS,
    )
    check_frame(actuals, AD_ACTUALS)
    return actuals


def _settled(rows: pd.DataFrame, today: Mapping[str, date]) -> pd.Series[bool]:
    known = rows["account_id"].isin(list(today))
    refuse_rows(rows, INSIGHTS, "account_id", ~known, "has a day of fetch")
    account_days = rows[["account_id", "report_date"]].drop_duplicates()
    settled = [
        is_settled(day, today[account])
        for account, day in account_days.itertuples(index=False, name=None)
    ]
    flagged = rows[["account_id", "report_date"]].merge(
        account_days.assign(is_settled=pd.Series(settled, index=account_days.index, dtype=bool)),
        on=["account_id", "report_date"],
        how="left",
        validate="many_to_one",
    )
    return flagged["is_settled"]
