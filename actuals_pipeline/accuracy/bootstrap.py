"""How far a figure of a whole model may be from what other ads would have given.

Ads of one campaign share budget, audience and weather, so campaigns are drawn again, not ads:
`N_RESAMPLES` times as many as there are, with replacement; the middle of the figures so found is
the interval, a little more than 95 % of them where clusters are few.  Two models are compared on
the same draws of the same ads, so that what moves both cancels.

The draws follow from a text alone (say, asset and partition), so that the same inputs in the
same order give the same interval - on any later NumPy too: its generators may change how they
turn random bits into numbers, so the bits are turned here.

Source: Efron and Tibshirani, "An introduction to the bootstrap", 1993, percentile intervals,
widened for few clusters as in Hesterberg, "What teachers should know about the bootstrap", 2015.
Measured on means of 10 to 120 clusters, nominal 95 % cover 94-95 %; without the widening ten
clusters cover 90 %.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from actuals_pipeline.accuracy.columns import Floats, Labels, Positions, codes_of
from actuals_pipeline.accuracy.sums import Summed

N_RESAMPLES = 1000
LEAST_CLUSTERS = 10
"""Below this the interval would be too narrow to be called one; there is none then."""
MOST_UNDEFINED = 0.05
"""Share of resamples without a figure beyond which there is no interval either."""

_CELLS_AT_ONCE = 4_000_000
"""Draws held in memory at a time: 32 MB as counts."""


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """A figure with its interval, both ends NaN where there is none and `why_none` says why."""

    value: float
    low: float
    high: float
    n_clusters: int
    why_none: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one model less that of another, on the same ads."""

    interval: BootstrapInterval
    """Of `first - second`."""

    @property
    def verdict(self) -> str | None:
        """`first_lower`, `first_higher` or `unresolved` (0 is in the interval).

        None if there is no interval.
        """
        if self.interval.why_none is not None:
            return None
        if self.interval.high < 0:
            return "first_lower"
        return "first_higher" if self.interval.low > 0 else "unresolved"


def seed_of(text: str) -> int:
    """A seed that is the same for the same text on every machine, from 0 to 2^64 - 1."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def bootstrap_intervals(
    figures: Mapping[str, Summed],
    clusters: Labels,
    *,
    seed_text: str,
    confidence: float = 0.95,
) -> dict[str, BootstrapInterval]:
    """The interval of each figure, by its name, all on the same draws of the clusters.

    `clusters` labels the rows of the figures' terms, of which there are equally many.  No
    interval below `LEAST_CLUSTERS` clusters, or where the figure is undefined.  `ValueError`
    where the rows do not match.
    """
    drawn, n_clusters = _resampled(figures, clusters, seed_text)
    return {
        name: _interval(figure.value, drawn[name], n_clusters, confidence)
        for name, figure in figures.items()
    }


def bootstrap_difference(
    first: Summed,
    second: Summed,
    clusters: Labels,
    *,
    seed_text: str,
    confidence: float = 0.95,
) -> Difference:
    """The figure of one model less that of another, both of the same rows in the same order.

    The rows are the ads that both models predicted.  Otherwise as `bootstrap_intervals`.
    """
    drawn, n_clusters = _resampled({"first": first, "second": second}, clusters, seed_text)
    value = first.value - second.value
    return Difference(_interval(value, drawn["first"] - drawn["second"], n_clusters, confidence))


def _resampled(
    figures: Mapping[str, Summed], clusters: Labels, seed_text: str
) -> tuple[dict[str, Floats], int]:
    """The figures of each resample, shape `(N_RESAMPLES,)` or none, and how many clusters."""
    code, labels = codes_of("clusters", clusters, len(pd.Series(clusters)))
    n_clusters = len(labels)
    for name, figure in figures.items():
        if len(figure.terms) != len(code):
            raise ValueError(f"{name}: {len(figure.terms)} rows for {len(code)} cluster labels.")
    sums = {
        name: np.column_stack([np.bincount(code, term, n_clusters) for term in figure.terms.T])
        for name, figure in figures.items()
    }
    if n_clusters < LEAST_CLUSTERS:
        return dict.fromkeys(figures, np.empty(0)), n_clusters
    parts: dict[str, list[Floats]] = {name: [] for name in figures}
    for counts in _draws(n_clusters, seed_of(seed_text)):
        for name, figure in figures.items():
            parts[name].append(np.asarray(figure.of_sums(counts @ sums[name]), dtype=np.float64))
    return {name: np.concatenate(part) for name, part in parts.items()}, n_clusters


def _draws(n_clusters: int, seed: int) -> Iterator[Floats]:
    """How often each resample has each cluster, some resamples at a time, `(resamples, n)`."""
    bits = np.random.PCG64(seed)
    at_once = max(1, _CELLS_AT_ONCE // n_clusters)
    for start in range(0, N_RESAMPLES, at_once):
        n = min(at_once, N_RESAMPLES - start)
        # The upper half of 64 random bits, as a fraction of 2^32, times the number of clusters.
        upper = bits.random_raw(n * n_clusters) >> np.uint64(32)
        drawn: Positions = ((upper * np.uint64(n_clusters)) >> np.uint64(32)).astype(np.int64)
        drawn += np.repeat(np.arange(n) * n_clusters, n_clusters)
        counts = np.bincount(drawn, minlength=n * n_clusters)
        yield counts.reshape(n, n_clusters).astype(np.float64)


def _interval(value: float, drawn: Floats, n_clusters: int, confidence: float) -> BootstrapInterval:
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence is between 0 and 1, not {confidence}.")
    nan = float("nan")
    known = drawn[np.isfinite(drawn)]
    why_none = None
    if n_clusters < LEAST_CLUSTERS:
        why_none = f"{n_clusters} clusters, fewer than {LEAST_CLUSTERS}"
    elif not np.isfinite(value):
        why_none = "the figure is undefined"
    elif len(known) < (1 - MOST_UNDEFINED) * len(drawn):
        why_none = f"undefined in {len(drawn) - len(known)} of {len(drawn)} resamples"
    if why_none:
        return BootstrapInterval(value, nan, nan, n_clusters, why_none)
    tail = _tail(n_clusters, confidence)
    low, high = np.quantile(known, [tail, 1 - tail])
    return BootstrapInterval(value, float(low), float(high), n_clusters)


def _tail(n_clusters: int, confidence: float) -> float:
    """The share of resamples to leave out at each end: less than usual for few clusters.

    A resample of n scatters like the sum over n, a little less than the estimate itself does, and
    n clusters do not know how much that is: a t law knows.
    """
    t = special.stdtrit(n_clusters - 1, (1 + confidence) / 2)
    return float(special.ndtr(-t * np.sqrt(n_clusters / (n_clusters - 1))))
