"""Which of many surprising numbers are surprises: the Benjamini-Hochberg procedure.

Of 1,000 perfect predictions 50 are "significantly" off at 5 %.  Where many are tested together,
only what this module lets through may be called wrong.

Source: Benjamini and Hochberg, "Controlling the false discovery rate", 1995.
"""

from __future__ import annotations

import numpy as np

from actuals_pipeline.accuracy.columns import Column, Flags, Floats, refuse, rows_of

FALSE_DISCOVERY_RATE = 0.10
"""Share of the reported discoveries that may be chance."""


def adjusted_p(p_values: Column) -> Floats:
    """For each p-value the lowest false discovery rate at which it counts as a discovery.

    From 0 to 1, never below the p-value.  NaN is no test: it stays NaN and does not count among
    the tests.  `ValueError` for a p-value outside 0..1.
    """
    [p] = rows_of(p_values=p_values)
    refuse("p_values", p, (p < 0) | (p > 1), "is from 0 to 1")
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted = np.full(p.shape, np.nan)
    # The smallest of this rank and all later ones, so that a smaller p is never judged worse.
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def discoveries(p_values: Column, *, rate: float = FALSE_DISCOVERY_RATE) -> Flags:
    """For each p-value whether it is a discovery; among these at most `rate` are chance.

    NaN is none.  If nothing at all is wrong, a run reports anything with a chance of `rate`.
    """
    return adjusted_p(p_values) <= rate
