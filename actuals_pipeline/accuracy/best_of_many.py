"""Which of several rates is the highest: the chance of each, and what choosing it gives away.

By quadrature rather than by draws: no seed, the same numbers each time, exact to a millionth where
a hundred thousand draws are to a thousandth.  The laws are looked at on a line without ends - the
logit of a click rate, the logarithm of a ROAS - on which they are smooth with any parameters of
`LEAST_PARAMETER` or more.  Each piece of the line is a quarter as wide as the standard deviation of
the narrowest law there, so that a law a hundred times narrower than the others is not stepped over,
and a thousand like laws need no more pieces than two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, refuse, whole_columns

LEAST_PARAMETER = 0.5
"""Of the laws: those of Jeffreys, from no clicks at all; flatter ones would need finer cuts."""

_REACH = 12.0
"""How far each law is followed to either side of its centre, in its standard deviations."""

_STEP = 0.25
"""Width of a piece of the line, in standard deviations of the narrowest law there."""

_MOST_WIDTH = 0.5
"""Of a piece where the laws are wider, or there is none: there the rate itself is what grows."""

_NODES = np.array([0.5 - np.sqrt(0.15), 0.5, 0.5 + np.sqrt(0.15)])
"""Places within a piece of the line: those of Gauss and Legendre, of three nodes."""

_WHOLE = np.array([5.0, 8.0, 5.0]) / 18
"""Weights for the integral over a whole piece."""

_ROOT = np.sqrt(15.0)
_UP_TO = np.array(
    [
        [5 / 36, 2 / 9 - _ROOT / 15, 5 / 36 - _ROOT / 30],
        [5 / 36 + _ROOT / 24, 2 / 9, 5 / 36 - _ROOT / 24],
        [5 / 36 + _ROOT / 30, 2 / 9 + _ROOT / 15, 5 / 36],
    ]
)
"""Weights for the integral from the start of a piece up to each node.

Source: the Gauss-Legendre method of order 6; Hairer, Norsett and Wanner, "Solving ordinary
differential equations I", II.7.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Laws:
    """What is known of several rates: laws on a line, one each, shape `(k,)`."""

    rate_of: Callable[[Floats], Floats]
    """From places on the line to rates."""
    slope_of: Callable[[Floats], Floats]
    """By how much the rate grows there."""
    log_density: Callable[[Floats], Floats]
    """Of all laws at places of shape `(n,)`, on the line: shape `(k, n)`."""
    centre: Floats
    deviation: Floats
    """Of each law, on the line."""
    mean: Floats
    """Expected rates."""


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """Of several rates, shape `(k,)` each."""

    chance: Floats
    """That it is the highest; they add up to 1."""
    expected_loss: Floats
    """What choosing it gives away on average, `E max(all) - rate`; in the unit of the rates."""


def beta_laws(alpha: Column, beta: Column) -> Laws:
    """The beta laws of click rates, seen on the line of logits.

    `ValueError` unless all parameters are at least `LEAST_PARAMETER`.
    """
    a, b = whole_columns(alpha=alpha, beta=beta)
    refuse("alpha", a, a < LEAST_PARAMETER, f"is at least {LEAST_PARAMETER}")
    refuse("beta", b, b < LEAST_PARAMETER, f"is at least {LEAST_PARAMETER}")
    scale = special.betaln(a, b)[:, np.newaxis]

    def log_density(y: Floats) -> Floats:
        return np.asarray(
            a[:, np.newaxis] * special.log_expit(y)
            + b[:, np.newaxis] * special.log_expit(-y)
            - scale
        )

    return Laws(
        rate_of=special.expit,
        slope_of=lambda y: np.asarray(special.expit(y) * special.expit(-y)),
        log_density=log_density,
        centre=special.digamma(a) - special.digamma(b),
        deviation=np.sqrt(special.polygamma(1, a) + special.polygamma(1, b)),
        mean=a / (a + b),
    )


def gamma_laws(shape: Column, scale: Column) -> Laws:
    """The gamma laws of ROAS, seen on the line of logarithms.

    `ValueError` unless the shapes are at least `LEAST_PARAMETER` and the scales above 0.
    """
    k, theta = whole_columns(shape=shape, scale=scale)
    refuse("shape", k, k < LEAST_PARAMETER, f"is at least {LEAST_PARAMETER}")
    refuse("scale", theta, theta <= 0, "is above 0")
    log_scale = np.log(theta)[:, np.newaxis]
    constant = special.gammaln(k)[:, np.newaxis]

    def log_density(y: Floats) -> Floats:
        off = y - log_scale
        return np.asarray(k[:, np.newaxis] * off - np.exp(np.minimum(off, 700.0)) - constant)

    return Laws(
        rate_of=np.exp,
        slope_of=np.exp,
        log_density=log_density,
        centre=special.digamma(k) + np.log(theta),
        deviation=np.sqrt(special.polygamma(1, k)),
        mean=k * theta,
    )


def best_of(laws: Laws) -> Best:
    """The chance of each rate to be the highest and the expected loss of choosing it.

    `P(i) = E prod over j != i of F_j(rate_i)`; the loss is the integral of
    `F_i (1 - prod over j != i of F_j)`, which needs no difference of means.  Independent laws.
    """
    cuts = _cuts(laws.centre, laws.deviation)
    width = np.diff(cuts)
    places = cuts[:-1, np.newaxis] + width[:, np.newaxis] * _NODES
    n_laws = len(laws.mean)
    density = np.exp(laws.log_density(places.ravel())).reshape(n_laws, *places.shape)
    within = (density @ _WHOLE) * width
    # What lies left of the line lies below everything on it.
    below = 1 - within.sum(axis=1, keepdims=True)
    start = below + np.cumsum(within, axis=1) - within
    up_to = start[:, :, np.newaxis] + (density @ _UP_TO.T) * width[:, np.newaxis]
    up_to = np.clip(up_to, 0.0, 1.0)
    others = _product_of_others(up_to)
    weight = width[:, np.newaxis] * _WHOLE
    chance = (density * others * weight).sum(axis=(1, 2))
    lost = up_to * (1 - others) * laws.slope_of(places) * weight
    return Best(chance / chance.sum(), lost.sum(axis=(1, 2)))


def _cuts(centre: Floats, deviation: Floats) -> Floats:
    """Where the line is cut between the ends of the outermost laws."""
    low, high = centre - _REACH * deviation, centre + _REACH * deviation
    ends = np.unique(np.concatenate([low, high]))
    step = np.full(len(ends) - 1, _MOST_WIDTH)
    starts, stops = np.searchsorted(ends, low), np.searchsorted(ends, high)
    # The narrowest last, so that it is what counts where several are.
    for law in np.argsort(-deviation):
        step[starts[law] : stops[law]] = min(_STEP * deviation[law], _MOST_WIDTH)
    passed = np.concatenate([[0.0], np.cumsum(np.diff(ends) / step)])
    n_pieces = int(np.ceil(passed[-1]))
    return np.asarray(np.interp(np.linspace(0.0, passed[-1], n_pieces + 1), passed, ends))


def _product_of_others(factors: Floats) -> Floats:
    """For each of the first axis the product of all but itself; a factor may be 0."""
    before, after = np.ones_like(factors), np.ones_like(factors)
    np.cumprod(factors[:-1], axis=0, out=before[1:])
    np.cumprod(factors[:0:-1], axis=0, out=after[-2::-1])
    return before * after
