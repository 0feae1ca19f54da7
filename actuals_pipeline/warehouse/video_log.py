"""The log of videos: which ad ran which, and since when that is known.

Triggers on `public.videos` log each row that is added, changed or removed when its transaction
ends, with the database's clock.  What no trigger saw (it was there before, the table was restored
or it is a view) is logged by `catch_up`, unattested.
"""

from __future__ import annotations

import pandas as pd

from actuals_pipeline.accuracy.contract import VIDEO_LOG
from actuals_pipeline.frames import conform
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.product import instants, reading


def watch(warehouse: Warehouse) -> str | None:
    """Put the triggers on `public.videos` where they are missing; a reason if it cannot be."""
    with warehouse.transaction() as connection:
        row = connection.execute("SELECT actuals.watch_videos()").fetchone()
    return row[0] if row else None


def catch_up(warehouse: Warehouse) -> int:
    """Log, unattested, what `public.videos` says and no trigger saw; returns how many rows.

    Ends only when no writer of the log is under way: whoever commits later is dated later.
    """
    with warehouse.transaction() as connection, reading("public.videos"):
        row = connection.execute("SELECT actuals.catch_up_videos()").fetchone()
    return row[0] if row else 0


def entries(warehouse: Warehouse) -> pd.DataFrame:
    """All that was ever known of videos: the VIDEO_LOG frame, in order of receipt."""
    query = """
        SELECT sequence, video_id, ad_id, created_at, logged_at
        FROM actuals.video_log
        ORDER BY sequence
    """
    with warehouse.transaction() as connection:
        rows = connection.execute(query).fetchall()
    sequence, video_ids, ad_ids, created_at, logged_at = list(zip(*rows, strict=True)) or [()] * 5
    return conform(
        pd.DataFrame(
            {
                "sequence": pd.Series(sequence, dtype="int64"),
                "video_id": pd.Series(video_ids, dtype="str"),
                "ad_id": pd.Series(ad_ids, dtype="str"),
                "created_at": instants(created_at),
                "logged_at": instants(logged_at),
            }
        ),
        VIDEO_LOG,
    )
