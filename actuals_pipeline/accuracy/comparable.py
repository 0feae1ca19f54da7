"""Pairs that can be compared at all: what was predicted, and the counts that came of it.

The statistics of many pairs (calibration, entropy, noise of a whole model) take these.  Which
pairs are comparable is decided row by row by `is_comparable_ctr` and `is_comparable_roas`; the
rest keep their status elsewhere (`pair.py`, `score.py`) and are counted there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from actuals_pipeline.accuracy.columns import Column, Flags, Floats, refuse, rows_of, whole_columns


@dataclass(frozen=True, slots=True, eq=False)
class CtrPairs:
    """Predicted CTR beside impressions and clicks; one row a pair, all arrays of shape `(n,)`.

    Made by `CtrPairs.of`, which checks.
    """

    predicted: Floats
    """Fraction, 0..1."""
    impressions: Floats
    """Above 0."""
    clicks: Floats
    """From 0 to `impressions`."""
    overdispersion: Floats
    """How many times a binomial's variance the clicks have; 1 where impressions are independent."""

    @classmethod
    def of(
        cls,
        predicted: Column,
        impressions: Column,
        clicks: Column,
        overdispersion: Column = 1.0,
    ) -> CtrPairs:
        """The pairs as arrays; `ValueError` about the first row that is not comparable.

        Meta counts several clicks of one impression, so an ad that was hardly shown can have more
        clicks than impressions.  No click rate explains that: such a row is refused.
        """
        p, n, c, phi = whole_columns(
            predicted=predicted,
            impressions=impressions,
            clicks=clicks,
            overdispersion=overdispersion,
        )
        refuse("predicted", p, (p < 0) | (p > 1), "is a fraction from 0 to 1")
        refuse("impressions", n, n <= 0, "is above 0")
        refuse("clicks", c, (c < 0) | (c > n), "is from 0 to the impressions")
        refuse("overdispersion", phi, phi <= 0, "is above 0")
        return cls(p, n, c, phi)

    @property
    def actual(self) -> Floats:
        """Clicks over impressions, a fraction."""
        return self.clicks / self.impressions

    @property
    def expected(self) -> Floats:
        """Clicks, had the prediction been true."""
        return self.impressions * self.predicted

    def __len__(self) -> int:
        return len(self.predicted)


@dataclass(frozen=True, slots=True, eq=False)
class RoasPairs:
    """Predicted ROAS beside spend and revenue; one row a pair, all arrays of shape `(n,)`.

    Spend, revenue and order value are of one currency: sums over currencies mean nothing.  Made
    by `RoasPairs.of`, which checks.
    """

    predicted: Floats
    """A multiple, at least 0."""
    spend: Floats
    """Major units, above 0."""
    revenue: Floats
    """Major units; below 0 where more was refunded than sold."""
    order_value: Floats
    """Mean value of a purchase, major units, above 0; see `intervals.shrunken_order_value`."""
    order_value_cv: Floats
    """Standard deviation of the value of a purchase over its mean, at least 0."""

    @classmethod
    def of(
        cls,
        predicted: Column,
        spend: Column,
        revenue: Column,
        *,
        order_value: Column,
        order_value_cv: Column,
    ) -> RoasPairs:
        """The pairs as arrays; `ValueError` about the first row that is not comparable."""
        r, s, revenue, aov, cv = whole_columns(
            predicted=predicted,
            spend=spend,
            revenue=revenue,
            order_value=order_value,
            order_value_cv=order_value_cv,
        )
        refuse("predicted", r, r < 0, "is at least 0")
        refuse("spend", s, s <= 0, "is above 0")
        refuse("order_value", aov, aov <= 0, "is above 0")
        refuse("order_value_cv", cv, cv < 0, "is at least 0")
        return cls(r, s, revenue, aov, cv)

    @property
    def actual(self) -> Floats:
        """Revenue over spend, a multiple."""
        return self.revenue / self.spend

    @property
    def expected(self) -> Floats:
        """Revenue, had the prediction been true; major units."""
        return self.spend * self.predicted

    @property
    def revenue_unit(self) -> Floats:
        """Variance of the revenue over its mean, major units: see `intervals.revenue_unit`."""
        return self.order_value * (1 + self.order_value_cv**2)

    def __len__(self) -> int:
        return len(self.predicted)


def is_comparable_ctr(predicted: Column, impressions: Column, clicks: Column) -> Flags:
    """For each row whether `CtrPairs.of` takes it: a fraction predicted, shown, clicks possible."""
    p, n, c = rows_of(predicted=predicted, impressions=impressions, clicks=clicks)
    return (p >= 0) & (p <= 1) & (n > 0) & np.isfinite(n) & (c >= 0) & (c <= n)


def is_comparable_roas(predicted: Column, spend: Column, revenue: Column) -> Flags:
    """For each row whether `RoasPairs.of` takes it: a finite multiple predicted, money spent."""
    r, s, revenue = rows_of(predicted=predicted, spend=spend, revenue=revenue)
    return (r >= 0) & np.isfinite(r) & (s > 0) & np.isfinite(s) & np.isfinite(revenue)
