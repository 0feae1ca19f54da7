"""Whether an account's purchases stand on the day of the impression or of the purchase itself.

Since 2025-06-10 Meta decides that alone (`action_report_time` is ignored): purchases on Meta by
the impression, purchases on a website by the day on which they were made.  Two signs tell:

    A day grows for a week.  By impression, yesterday's clicks go on buying and yesterday's row
    with them; by purchase a row is complete once the reports of a day or three have come in.

    Revenue without delivery.  An ad that was not shown on a day can have purchases of that day
    only if they are dated by purchase.

Who cannot be told is treated as dated by purchase, which no figure of this package minds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from actuals_pipeline.accuracy.development import Triangle

Dating = Literal["impression", "conversion", "unknown"]

REPORTED_AGE, GROWN_AGE = 3, 7
"""Ages in days: late reports are in, and a week of clicks has bought."""

LATE_GROWTH: Final = 0.08
"""Growth between these ages that tells the two apart.

Chosen: with a click window of 7 days and the usual delays it is 0.15 to 0.2 by impression and below
0.03 by purchase.
"""

UNDELIVERED_SHARE: Final = 0.01
"""Share of the revenue on days without delivery that only purchases by their own day explain."""

LEAST_COHORTS: Final = 20
LEAST_PURCHASES: Final = 100

_ONE_SIDED: Final = 1.645
"""Normal quantile of 95 %."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an account's report days say; NaN where they say nothing."""

    late_growth: float
    """Revenue at `GROWN_AGE` over that at `REPORTED_AGE`, less 1."""
    late_growth_error: float
    n_cohorts: int
    """Report days that were known at both ages."""
    undelivered_share: float
    """Share of the revenue that stands on days on which its ad was not shown."""
    n_purchases: float

    @property
    def sold_undelivered(self) -> bool:
        """Whether there is revenue that no impression of its day explains."""
        return self.n_purchases >= LEAST_PURCHASES and self.undelivered_share >= UNDELIVERED_SHARE

    @property
    def dating(self) -> Dating:
        """What follows; revenue without delivery decides, as nothing else explains it."""
        if self.sold_undelivered:
            return "conversion"
        if self.n_cohorts < LEAST_COHORTS or self.n_purchases < LEAST_PURCHASES:
            return "unknown"
        margin = _ONE_SIDED * self.late_growth_error
        if self.late_growth - margin > LATE_GROWTH:
            return "impression"
        return "conversion" if self.late_growth + margin < LATE_GROWTH else "unknown"


def evidence(revenue: Triangle, undelivered: Triangle, purchases: Triangle) -> Evidence:
    """What the triangles of an account say: all its revenue, that without delivery, purchases.

    Shape `(cohorts, ages)`, cumulative, NaN where unknown, as in `development.py`.
    """
    early, late = revenue[:, REPORTED_AGE], revenue[:, GROWN_AGE]
    told = np.isfinite(early) & np.isfinite(late)
    early, late = early[told], late[told]
    volume = early.sum()
    growth = error = float("nan")
    if volume > 0:
        factor = late.sum() / volume
        own = early > 0
        scatter = (early[own] * (late[own] / early[own] - factor) ** 2).sum()
        growth = float(factor - 1)
        error = float(np.sqrt(scatter / max(int(own.sum()) - 1, 1) / volume))
    total = newest(revenue)
    share = newest(undelivered) / total if total > 0 else float("nan")
    return Evidence(growth, error, int(told.sum()), share, newest(purchases))


def newest(triangle: Triangle) -> float:
    """The sum over cohorts of the last figure known of each."""
    known = np.isfinite(triangle)
    last = triangle.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    return float(np.where(known.any(axis=1), triangle[np.arange(len(triangle)), last], 0.0).sum())
