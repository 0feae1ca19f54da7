"""The ROAS of ads whose revenue is still coming in: what is known over what it can be known of.

Of the spend of a day, revenue keeps arriving for weeks: the share G(age) has by now
(`account_curves.py`).  So all revenue since the launch is held, not against all spend, but against
the spend that has had its time: `sum revenue / sum spend_d * G(as_of - d)`.  It does not matter
whether Meta dates a purchase by the impression or by the purchase itself, because revenue is
counted over all days.  It takes one curve an account and a ROAS that moves slowly.

Source: the Cape Cod method of loss reserving (Buehlmann, Straub), spend being the exposure.

Units: spend and revenue in one currency an ad; shares fractions; ROAS a multiple.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actuals_pipeline.accuracy.columns import (
    Column,
    Floats,
    Labels,
    codes_of,
    quotient,
    refuse,
    whole_columns,
)


@dataclass(frozen=True, slots=True, eq=False)
class CapeCod:
    """One row an ad, by name, arrays of shape `(ads,)`; NaN where an ad spent nothing."""

    ads: npt.NDArray[Any]
    roas: Floats
    """What the ROAS will have come to, a multiple."""
    completeness: Floats
    """Share of the spend whose revenue is known: `sum s G / sum s`; above 1 if some goes back."""
    relative_error: Floats
    """Standard error of the completeness over the completeness, and so its part in the ROAS's.

    To be added in quadrature to that of the revenue.  The errors of a curve at its ages are taken
    to have one sign, which is the worst that they can do.
    """


def launch_to_date(
    ads: Labels, spend: Column, revenue: Column, shares: Column, share_errors: Column = 0.0
) -> CapeCod:
    """What the ads' ROAS will have come to, from one row for each ad and day since its launch.

    `shares` is the part of the day's revenue that is known at the day's age, `share_errors` its
    standard error.  `ValueError` where a number is missing or a spend or share is negative.
    """
    s, r, g, e = whole_columns(
        spend=spend, revenue=revenue, shares=shares, share_errors=share_errors
    )
    # A single number holds for every row, also where there are none.
    for name, values in (("spend", s), ("shares", g), ("share_errors", e)):
        refuse(name, values, values < 0, "is at least 0")
    ad, names = codes_of("ads", ads, len(s))

    def each(values: Floats) -> Floats:
        return np.bincount(ad, values, len(names)).astype(np.float64)

    known = each(s * g)
    return CapeCod(
        ads=names,
        roas=quotient(each(r), known),
        completeness=quotient(known, each(s)),
        relative_error=quotient(each(s * e), known),
    )
