"""Whether one rate is above another, for those who look every day.

Looking at z each day and stopping at the first one above 1.96 finds a winner among equals in 27 of
100 months, not in 5: each look is another chance to be fooled.  Here the chance to be fooled is
kept for all looks together, however many there are and whenever one stops.

The evidence after each look is a likelihood ratio: no difference at all, against a difference
drawn from a normal law whose standard deviation is `effect`, the smallest one that matters.  If
there is no difference, the chance that this ratio ever exceeds 1 / alpha is at most alpha.

Source: Robbins, "Statistical methods related to the law of the iterated logarithm", 1970; Johari,
Koomen, Pekelis and Walsh, "Peeking at A/B tests", 2017.
"""

from __future__ import annotations

import numpy as np

from actuals_pipeline.accuracy.columns import Column, Floats, refuse, rows_of


def log_evidence(difference: Column, variance: Column, effect: Column) -> Floats:
    """The logarithm of the likelihood ratio of each look; above 0 speaks for a difference.

    `difference` is that of all data so far, `variance` its variance if there is none; both and
    `effect` in one unit.  NaN where the variance is infinite or missing: nothing was seen yet.
    `ValueError` for an effect that is not above 0 or a variance below 0.
    """
    d, v, tau = rows_of(difference=difference, variance=variance, effect=effect)
    refuse("effect", tau, tau <= 0, "is above 0")
    refuse("variance", v, v < 0, "is at least 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = v + tau**2
        return np.asarray(np.log(v / spread) / 2 + (tau * d) ** 2 / (2 * v * spread))


def p_value(evidence: Floats) -> Floats:
    """The always-valid p-value after all looks, the first axis being the looks in order.

    The smallest `1 / ratio` of any look, at most 1; 1 where there was no look.
    """
    if not len(evidence):
        return np.ones(evidence.shape[1:])
    # An overwhelming ratio is beyond any float, but its logarithm is not.
    strongest = np.fmax.reduce(evidence, axis=0)
    return np.asarray(np.exp(-np.fmax(strongest, 0.0)))


def half_width(variance: Column, effect: Column, *, alpha: float = 0.05) -> Floats:
    """How far a true difference may be from the one seen, at every look at once.

    Of all intervals of a month none misses the truth, with chance `1 - alpha` or more.
    `sqrt(V (V + tau^2) / tau^2 * (2 ln(1 / alpha) + ln((V + tau^2) / V)))`.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is between 0 and 1, not {alpha}.")
    v, tau = rows_of(variance=variance, effect=effect)
    refuse("effect", tau, tau <= 0, "is above 0")
    refuse("variance", v, v <= 0, "is above 0")
    spread = v + tau**2
    return np.asarray(np.sqrt(v * spread / tau**2 * (2 * np.log(1 / alpha) + np.log(spread / v))))
