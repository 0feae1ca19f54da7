"""Which predictions were there on a past day.

What the database dated was there from that instant on.  What was imported claims an instant that
may lie long before the import, and a score that was published in between must not move: as of a
day only what had been received by its end counts.  Of days that were over before anything at all
was received no score was published then; they are told with everything that is known by now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

import pandas as pd

from actuals_pipeline.accuracy.contract import PREDICTIONS
from actuals_pipeline.frames import check_frame
from actuals_pipeline.report_days import day_start, time_zone


def received_by(
    predictions: pd.DataFrame, as_of_days: Sequence[date], *, default_zone: str
) -> Iterator[tuple[list[date], pd.DataFrame]]:
    """`as_of_days` in order, in runs that know the same imports, each with its `predictions`.

    A day ends at midnight after it in `default_zone`.  What the database dated itself is in every
    run: whether it came in time is for whoever knows where the ad's account is.
    """
    check_frame(predictions, PREDICTIONS, exact=False)
    zone = time_zone(default_zone)
    begun = predictions["received_at"].min()
    is_import = ~predictions["is_attested"]
    imports = predictions.loc[is_import, "received_at"].sort_values(ignore_index=True)

    def n_imports(day: date) -> int:
        end = pd.Timestamp(day_start(day + timedelta(days=1), zone))
        return int(imports.searchsorted(end)) if end > begun else len(imports)

    for n, run in groupby(sorted(set(as_of_days)), key=n_imports):
        is_known = ~is_import
        if n:
            is_known |= predictions["received_at"] <= imports[n - 1]
        yield list(run), predictions[is_known]
