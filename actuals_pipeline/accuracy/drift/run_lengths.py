"""How long a CUSUM stays quiet while nothing has changed, and the limit that it takes for that.

A chart that looks often enough finds something.  The mean number of steps to a false alarm, its
run length, says how often; several charts raise as many more.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.drift.control_charts import CUSUM_K

WEEKS_A_YEAR = 365.2425 / 7
QUIET_YEARS = 2
"""Years in which all charts together raise one false alarm on average, at most."""

_LIMIT_TOLERANCE = 1e-6
"""How close a limit is to the one asked for, in standard deviations."""

_NODES = 80
"""Gauss-Legendre nodes: eight digits up to a limit of 20."""
_HIGHEST_LIMIT = 30.0


@lru_cache(maxsize=256)
def quiet_steps(limit: float, k: float = CUSUM_K) -> float:
    """Mean steps to a false alarm of a two-sided CUSUM of normal scores, begun at 0.

    One side's mean from a value u solves `L(u) = 1 + L(0) Phi(k - u) + integral over 0..limit of
    L(x) phi(x + k - u) dx`, the limit of Brook and Evans' Markov chain ("An approach to the
    probability distribution of CUSUM run length", 1972) with ever more states; two equal sides
    halve it.  `ValueError` unless 0 < limit <= 30 and k > 0.
    """
    if not 0 < limit <= _HIGHEST_LIMIT or not k > 0:
        raise ValueError(f"A limit is from 0 to {_HIGHEST_LIMIT:g}, k above 0; not {limit}, {k}.")
    at, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes = np.concatenate([[0.0], (at + 1) * limit / 2])
    kernel = np.exp(-((nodes[None, :] + k - nodes[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi)
    kernel *= np.concatenate([[0.0], weights * limit / 2])
    kernel[:, 0] = special.ndtr(k - nodes)
    means = np.linalg.solve(np.eye(len(nodes)) - kernel, np.ones(len(nodes)))
    return float(means[0]) / 2


@lru_cache(maxsize=256)
def limit_for(steps: float, k: float = CUSUM_K) -> float:
    """The CUSUM limit at which a false alarm comes after `steps` on average."""
    if not quiet_steps(0.01, k) < steps < 1e12:
        raise ValueError(f"No limit gives a run length of {steps} steps.")
    low, high = 0.01, min(_HIGHEST_LIMIT, 40 / k)
    # The run length grows with the limit: halve, as often as a float can tell the difference.
    while high - low > _LIMIT_TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if quiet_steps(middle, k) < steps else (low, middle)
    return (low + high) / 2


def weekly_limit(n_streams: int, *, k: float = CUSUM_K) -> float:
    """The limit for `n_streams` weekly charts that raise one false alarm in `QUIET_YEARS`."""
    return limit_for(QUIET_YEARS * WEEKS_A_YEAR * max(1, n_streams), k)
