"""CUSUM and EWMA charts of standardised scores, for many streams at once.

Scores are arrays of shape `(steps, streams)`, in control with mean 0 and standard deviation 1;
NaN is a step without a score, which leaves its chart as it was.  Source: Page, "Continuous
inspection schemes", 1954; Roberts, "Control chart tests based on geometric moving averages", 1959.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import Flags, Floats, Positions

CUSUM_K = 0.5
"""Standard deviations a step that the CUSUM forgives: it is quickest at shifts of twice this."""
EWMA_WEIGHT = 0.2
EWMA_WIDTH = 2.86
"""Limits in standard deviations; with a weight of 0.2 about one false alarm in 370 steps."""


@dataclass(frozen=True, slots=True)
class Cusum:
    """A two-sided CUSUM after each step, all of shape `(steps, streams)`."""

    up: Floats
    """Accumulated excess above; 0 or more."""
    down: Floats
    """Accumulated excess below; 0 or more."""
    is_alarm: Flags
    changed_at: Positions
    """The step after which the larger side has never been 0: where the change began; -1 at 0."""


@dataclass(frozen=True, slots=True)
class Ewma:
    """An exponentially weighted moving average and its limits, of shape `(steps, streams)`."""

    value: Floats
    lower: Floats
    upper: Floats


def cusum(
    z: Floats,
    *,
    limit: Floats | float,
    k: Floats | float = CUSUM_K,
    most_a_step: float = np.inf,
    restarts: Flags | None = None,
) -> Cusum:
    """Both sides of the CUSUM, `max(0, before + |z| - k)` towards each; an alarm above `limit`.

    After an alarm a chart begins again at 0 with the next score, and so it does at a step that
    `restarts` marks.  `limit` and `k` may differ by stream and step.  With `most_a_step` no
    single score adds more than that, so that one odd score is no change.
    """
    _refuse_other_shapes(z)
    limits, forgiven = np.broadcast_to(limit, z.shape), np.broadcast_to(k, z.shape)
    steps, streams = z.shape
    up, down = np.zeros(z.shape), np.zeros(z.shape)
    is_alarm = np.zeros(z.shape, dtype=np.bool_)
    changed_at = np.full(z.shape, -1)
    sides = np.zeros((2, streams))
    began = np.full((2, streams), -1)
    begins_again = np.zeros(streams, dtype=np.bool_)
    for step in range(steps):
        known = np.isfinite(z[step])
        if restarts is not None:
            begins_again |= restarts[step]
        sides[:, begins_again & known] = 0
        score = np.where(known, z[step], 0)
        added = np.minimum(np.stack([score, -score]) - forgiven[step], most_a_step)
        moved = np.maximum(0, sides + added)
        began = np.where(known & (sides == 0) & (moved > 0), step, began)
        sides = np.where(known, moved, sides)
        began[sides == 0] = -1
        up[step], down[step] = sides
        is_alarm[step] = known & (sides.max(axis=0, initial=0) > limits[step])
        changed_at[step] = np.where(sides[0] >= sides[1], began[0], began[1])
        begins_again = np.where(known, is_alarm[step], begins_again)
    return Cusum(up, down, is_alarm, changed_at)


def ewma(
    z: Floats,
    *,
    weight: float = EWMA_WEIGHT,
    width: float = EWMA_WIDTH,
    center: float = 0.0,
    deviation: float = 1.0,
    settled: bool = False,
) -> Ewma:
    """The average `weight * z + (1 - weight) * before`, begun at `center`, and its limits.

    The limits are `width` standard deviations of the average away from the center: of the average
    after that many scores, or, if `settled`, of the average in the long run (as NIST has it).
    """
    _refuse_other_shapes(z)
    if not 0 < weight <= 1:
        raise ValueError(f"A weight is above 0 and at most 1, not {weight}.")
    value = np.empty(z.shape)
    before = np.full(z.shape[1], center)
    for step, scores in enumerate(z):
        known = np.isfinite(scores)
        before = np.where(
            known, weight * np.where(known, scores, 0) + (1 - weight) * before, before
        )
        value[step] = before
    seen = np.cumsum(np.isfinite(z), axis=0)
    remaining = 0.0 if settled else (1 - weight) ** (2 * seen)
    spread = width * deviation * np.sqrt(weight / (2 - weight) * (1 - remaining))
    spread = np.broadcast_to(spread, z.shape)
    return Ewma(value, center - spread, center + spread)


def _refuse_other_shapes(z: Floats) -> None:
    if z.ndim != 2:
        raise ValueError(f"Scores by step and stream are needed, not an array of {z.shape}.")
