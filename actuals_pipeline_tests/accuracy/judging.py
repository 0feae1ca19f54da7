"""Pairs scored and judged without launch windows, campaigns or baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.contract import ASKED_WINDOWS, WINDOW_DAYS
from actuals_pipeline.accuracy.score import score
from actuals_pipeline.accuracy.uncertainty import Assumptions, judge
from actuals_pipeline.frames import empty_frame


def judged(pairs: pd.DataFrame) -> pd.DataFrame:
    """The JUDGED_PAIRS frame of a PAIRS frame."""
    places = pd.DataFrame({"ad_id": [], "campaign_id": [], "adset_id": []}, dtype="str")
    nothing = pd.DataFrame(np.nan, index=pairs.index, columns=["baseline_ctr", "baseline_roas"])
    return judge(
        score(pairs),
        places=places,
        asked=empty_frame(ASKED_WINDOWS),
        days=empty_frame(WINDOW_DAYS),
        baselines=nothing,
        assumptions=Assumptions(),
    )
