"""How many nats of surprise a click costs under a model's CTR, against what a mean would cost.

Log loss cannot be gamed: its expectation is lowest for the true rate.  But nearly all of it is
chance, so it is quoted as normalised entropy (NE), its ratio to the log loss of one rate for all
ads: 1 is no better than that, lower is better, and the floor - each ad's own actual rate - is as
low as it can get on these counts.  Differences of tenths of a per cent are real improvements.

Source: He et al., "Practical lessons from predicting clicks on ads at Facebook", 2014.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from actuals_pipeline.accuracy.columns import Column, Floats, quotient, refuse, whole_columns
from actuals_pipeline.accuracy.comparable import CtrPairs
from actuals_pipeline.accuracy.sums import Summed, ratio_of_sums

LEAST_CTR = 1e-6
"""Predictions nearer than this to 0 or 1 count as this far: a click would cost infinitely much."""


def log_loss(pairs: CtrPairs) -> Summed:
    """Mean surprise of an impression, in nats, at least 0; lower is better.

    `-sum [c ln p + (n - c) ln(1 - p)] / sum n`, with p held within `LEAST_CTR` of 0 and 1.
    """
    return ratio_of_sums(_surprise(pairs, pairs.predicted), pairs.impressions)


def n_clipped(pairs: CtrPairs) -> int:
    """Pairs whose prediction is held off 0 or 1 in every log loss."""
    return int(np.count_nonzero(_held(pairs.predicted) != pairs.predicted))


def normalized_entropy(pairs: CtrPairs, *, background: Column | None = None) -> Summed:
    """Log loss over that of a background rate; 1 is no better than it, lower is better.

    Without `background` (`ne_eval`) the rate is that of these very pairs, which no one knew
    before: a hard comparison.  With it (`ne_asof`), a fraction a pair or for all: the trailing
    rate that was known when the model predicted.  NaN where there is no click, or nothing else.
    """
    surprise = _surprise(pairs, pairs.predicted)
    return Summed(
        np.column_stack([surprise, *_background(pairs, background)]),
        lambda sums: quotient(sums[..., 0], _cost_of_background(sums[..., 1:])),
    )


def entropy_floor(pairs: CtrPairs, *, background: Column | None = None) -> Summed:
    """The normalised entropy of a model that knew each ad's actual rate beforehand.

    Lower than any model can honestly reach, because it knows the chance, too.
    """
    return Summed(
        np.column_stack([_own_surprise(pairs), *_background(pairs, background)]),
        lambda sums: quotient(sums[..., 0], _cost_of_background(sums[..., 1:])),
    )


def explained_share(pairs: CtrPairs, *, background: Column | None = None) -> Summed:
    """Where the model lies between background (0) and floor (1): `(1 - NE) / (1 - floor)`.

    Below 0: worse than the background rate.  NaN where the ads do not differ.
    """

    def of_sums(sums: Floats) -> Floats:
        cost = _cost_of_background(sums[..., 2:])
        room = cost - sums[..., 1]
        # Ads of one rate differ by rounding only.
        return quotient(cost - sums[..., 0], np.where(room > 1e-12 * cost, room, 0.0))

    surprise = [_surprise(pairs, pairs.predicted), _own_surprise(pairs)]
    return Summed(np.column_stack([*surprise, *_background(pairs, background)]), of_sums)


def information_gain(pairs: CtrPairs, *, background: Column | None = None) -> Summed:
    """Relative information gain, `1 - NE`: 0 is no better than the background, higher is better."""
    return normalized_entropy(pairs, background=background).then(lambda ne: 1 - ne)


def brier(pairs: CtrPairs) -> Summed:
    """Mean squared error of an impression, `sum [c (1 - p)^2 + (n - c) p^2] / sum n`.

    From 0 to 1, lower is better; at small rates nearly all of it is chance.
    """
    p, n, c = pairs.predicted, pairs.impressions, pairs.clicks
    return ratio_of_sums(c * (1 - p) ** 2 + (n - c) * p**2, n)


def _held(rate: Floats) -> Floats:
    return np.clip(rate, LEAST_CTR, 1 - LEAST_CTR)


def _surprise(pairs: CtrPairs, rate: Floats) -> Floats:
    held = _held(rate)
    return -(pairs.clicks * np.log(held) + (pairs.impressions - pairs.clicks) * np.log1p(-held))


def _own_surprise(pairs: CtrPairs) -> Floats:
    """The surprise under each ad's actual rate: none where that is 0 or 1."""
    return _entropy(pairs.clicks, pairs.impressions)


def _entropy(clicks: Floats, impressions: Floats) -> Floats:
    """`n H(c / n)`, in nats."""
    rest = impressions - clicks
    rate = quotient(clicks, impressions)
    return -np.asarray(special.xlogy(clicks, rate) + special.xlog1py(rest, -rate))


def _background(pairs: CtrPairs, background: Column | None) -> list[Floats]:
    """What `_cost_of_background` needs of each pair."""
    if background is None:
        return [pairs.clicks, pairs.impressions]
    rate, _ = whole_columns(background=background, pairs=pairs.predicted)
    refuse("background", rate, (rate < 0) | (rate > 1), "is a fraction from 0 to 1")
    return [_surprise(pairs, rate)]


def _cost_of_background(sums: Floats) -> Floats:
    """The background's surprise: added up, or the entropy of the pairs' common rate."""
    return sums[..., 0] if sums.shape[-1] == 1 else _entropy(sums[..., 0], sums[..., 1])
