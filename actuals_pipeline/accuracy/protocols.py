"""Which days of an ad a prediction is compared with, and when that comparison is final.

    launch_to_date   CTR and ROAS, everything since first delivery; moves as long as the ad runs
    launch_d7        CTR, the first seven days; final two days after them, when clicks are settled
    launch_ltd28     ROAS, the first 28 days; final the day after them, allowing for late purchases
    headline         CTR of launch_d7 and ROAS of launch_ltd28 together, final and attested alone

A comparison that is final no longer changes with what the ad does later; it may be quoted.  What
rests on imported predictions, of which nobody can prove when they were made, has a headline of its
own: `headline_unattested`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

LAUNCH_TO_DATE = "launch_to_date"
"""The protocol that compares with everything since launch, up to and including the as-of day."""

HEADLINE = "headline"
"""Of a model: the final comparisons of predictions that the database itself dated."""

HEADLINE_UNATTESTED = "headline_unattested"
"""Of a model: the final comparisons of predictions that were imported with a time of their own."""

BY_WORTH = (HEADLINE, HEADLINE_UNATTESTED, LAUNCH_TO_DATE)
"""Of a model, which is told first: final and attested, then final alone, then what still moves."""

LEAST_COMPLETENESS = 0.90
"""Share of the final revenue that must be known, by spend, before a ROAS may be quoted."""


@dataclass(frozen=True, slots=True)
class LaunchWindow:
    """The first days of an ad, and the days after them until a metric of theirs is final."""

    name: str
    metric: str
    days: int
    rests: int

    @property
    def matures_after(self) -> timedelta:
        """From the first day with impressions to the day at whose end the metric is final."""
        return timedelta(days=self.days - 1 + self.rests)


LAUNCH_D7 = LaunchWindow("launch_d7", "ctr", days=7, rests=2)
"""Clicks are dated by impression, and Meta takes invalid ones back within two days."""

LAUNCH_LTD28 = LaunchWindow("launch_ltd28", "roas", days=28, rests=1)
"""Purchases come late: what is still missing after 28 days is allowed for (`cape_cod.py`)."""

LAUNCH_WINDOWS = (LAUNCH_D7, LAUNCH_LTD28)
