"""Which video an ad shows: the product's `videos` rows, seen from Meta's side.

Both the ad's figures and the scores of its predictions carry the video, so the choice between
two videos that name one ad is made once, here.
"""

from __future__ import annotations

import pandas as pd

from actuals_pipeline.frames import Column, Contract, Kind, check_frame

_IDS = (
    Column("video_id", Kind.TEXT, "The product's id of the video"),
    Column("ad_id", Kind.TEXT, "The ad that shows it (videos.meta_platform_id)", nullable=True),
)

VIDEO_IDS = Contract("videos", key=("video_id",), columns=_IDS)
"""What is needed to name an ad's video."""

VIDEOS = Contract(
    "videos",
    key=("video_id",),
    columns=(
        *_IDS,
        Column("created_at", Kind.INSTANT, "When the product made the video", nullable=True),
    ),
)
"""What is needed to know a video's age as well; one without `created_at` has no known age."""


def one_video_per_ad(videos: pd.DataFrame) -> pd.DataFrame:
    """The rows of `videos` that name an ad, one an ad, ordered by `ad_id`.

    Of several videos that name the same ad the oldest holds it, then the smallest `video_id`; so
    a video that is added later never takes over an ad's history.  `created_at` may be left out.
    """
    dated = "created_at" in videos.columns
    check_frame(videos, VIDEOS if dated else VIDEO_IDS, exact=False)
    named = videos[videos["ad_id"].notna() & videos["ad_id"].ne("")]
    age = ["created_at"] if dated else []
    return (
        named.sort_values(["ad_id", *age, "video_id"], na_position="last")
        .drop_duplicates("ad_id")
        .reset_index(drop=True)
    )
