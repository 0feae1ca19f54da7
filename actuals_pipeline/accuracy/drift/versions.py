"""Whether a version of a model is worse than the one before, on the ads that both predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.bootstrap import bootstrap_difference
from actuals_pipeline.accuracy.columns import Floats
from actuals_pipeline.accuracy.drift.weeks import PROTOCOLS, counting_terms
from actuals_pipeline.accuracy.sums import ratio_of_sums

_COST = {"ctr": "entropy_above", "roas": "skill_above"}
"""What is summed of each metric: the log loss of clicks, the error of revenue."""


def versus_previous(
    pairs: pd.DataFrame, metric: str, version: str, previous: str, *, seed_text: str
) -> str | None:
    """`worse`, `better` or `unresolved`: `version` against `previous`, by a paired bootstrap.

    `pairs` (`DRIFT_PAIRS`) are of one model and have matured.  The cost of each ad is its log
    loss, or the error of its revenue; revenue of a currency in proportion to all revenue of that
    currency.  Campaigns are drawn again; with too few of them there is no verdict, None.
    """
    mine = pairs[(pairs["protocol"] == PROTOCOLS[metric])]
    sides = [
        counting_terms(mine[mine["model_version"] == each], metric).set_index("ad_id").sort_index()
        for each in (version, previous)
    ]
    both = sides[0].index.intersection(sides[1].index)
    if both.empty:
        return None
    first, second = (side.loc[both] for side in sides)
    share = _share(first)
    difference = bootstrap_difference(
        ratio_of_sums(first[_COST[metric]].to_numpy() * share, np.ones(len(both))),
        ratio_of_sums(second[_COST[metric]].to_numpy() * share, np.ones(len(both))),
        first["campaign_id"].fillna("").to_numpy(),
        seed_text=seed_text,
    )
    words = {"first_higher": "worse", "first_lower": "better", "unresolved": "unresolved"}
    return words[difference.verdict] if difference.verdict else None


def _share(terms: pd.DataFrame) -> Floats:
    """One over the clicks or the revenue of the currency, so that currencies compare."""
    total = terms.groupby("currency")["calibration_below"].transform("sum").to_numpy()
    return np.where(total > 0, 1 / np.where(total > 0, total, 1), 0.0)
