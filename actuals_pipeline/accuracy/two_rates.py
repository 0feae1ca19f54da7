"""Which of two click rates is higher, as a chance, from the beta laws of what is known of them.

Closed forms, exact for a beta law whose first parameter is a whole number: clicks on top of a
flat prior.  Source: Miller, "Formulas for Bayesian A/B testing", 2015; Stucchio, "Bayesian A/B
testing", 2015.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special


class BetaLaw(NamedTuple):
    """The law of a rate; with a flat prior `alpha = clicks + 1`, `beta = no clicks + 1`."""

    alpha: float
    beta: float

    @property
    def mean(self) -> float:
        """The expected rate, a fraction."""
        return self.alpha / (self.alpha + self.beta)


def chance_above(first: BetaLaw, second: BetaLaw) -> float:
    """The chance that the first rate is above the second, 0..1.

    `1 - sum over j < c of B(a + j, b + d) / ((d + j) B(1 + j, d) B(a, b))` with a, b of the first
    and c, d of the second law.  `ValueError` unless c is a whole number and all are above 0.
    """
    (a, b), (c, d) = _checked(first), _checked(second)
    if c != int(c):
        raise ValueError(f"The closed form needs a whole first parameter, not {c}.")
    j = np.arange(int(c))
    terms = (
        special.betaln(a + j, b + d)
        - np.log(d + j)
        - special.betaln(1 + j, d)
        - special.betaln(a, b)
    )
    return float(np.clip(1 - np.exp(terms).sum(), 0.0, 1.0))


def expected_loss(chosen: BetaLaw, other: BetaLaw) -> float:
    """How much rate is given away on average by choosing, `E max(other - chosen, 0)`; a fraction.

    0: certainly the right choice.  `ValueError` as in `chance_above`, of both laws.
    """
    taller_other = BetaLaw(other.alpha + 1, other.beta)
    taller_chosen = BetaLaw(chosen.alpha + 1, chosen.beta)
    gain = other.mean * chance_above(taller_other, chosen)
    cost = chosen.mean * chance_above(other, taller_chosen)
    return max(0.0, gain - cost)


def _checked(law: BetaLaw) -> BetaLaw:
    if not (law.alpha > 0 and law.beta > 0):
        raise ValueError(f"A beta law has parameters above 0, not {law.alpha} and {law.beta}.")
    return law
