"""Whether the model puts the better ads first, within groups that compete (an ad set, a campaign).

Order across groups is no skill: audiences and budgets differ.  So each group is judged by itself
and the groups are pooled.  What comes out is one row a group, so that it can be resampled by
group (`bootstrap.py`): the labels of these rows are `groups`.

Ties are counted as what a coin would make of them, so that the order of rows does not matter.
Actuals of hit, regret and gain are best shrunken (`beta_prior.py`, `shrinkage.py`): the "best" of
many small ads is the luckiest - and never shrunken towards the model that is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actuals_pipeline.accuracy.columns import (
    Column,
    Flags,
    Floats,
    Labels,
    Positions,
    codes_of,
    quotient,
    refuse,
    whole_columns,
)
from actuals_pipeline.accuracy.sums import Summed, mean_of, ratio_of_sums

LEAST_ADS = 5
"""Ads that a group needs for a rank correlation: of three ads one order in six is perfect."""


@dataclass(frozen=True, slots=True, eq=False)
class ByGroup:
    """A figure of each group that has one, and the pooled figure; rows are groups, by name."""

    groups: npt.NDArray[Any]
    """Names of the groups, shape `(g,)`; groups that are too small or undefined are not there."""
    values: Floats
    """The figure of each group, shape `(g,)`."""
    n_ads: Positions
    """Ads in each group, shape `(g,)`."""
    pooled: Summed
    """The figure over all groups, one row a group; its value is NaN without any."""


def spearman(predicted: Column, actual: Column, groups: Labels) -> ByGroup:
    """Rank correlation of predicted with actual values within each group, from -1 to 1.

    0: no better than chance.  Groups of at least `LEAST_ADS` in which neither side is constant.
    Pooled by Fisher's z with weight `n - 3`; a perfect order, infinite there, counts as half an
    adjacent swap away from perfect.  Source: Fieller, Hartley and Pearson, 1957.
    """
    order = _Grouped.of(predicted, actual, groups)
    first, second = (order.mean_ranks(values) for values in (order.predicted, order.actual))
    n = order.sizes
    first -= order.each((n + 1) / 2)
    second -= order.each((n + 1) / 2)
    spread = np.sqrt(order.sums(first**2) * order.sums(second**2))
    # A swap of neighbours moves the correlation by 12 / (n (n^2 - 1)).
    most = 1 - 6 / np.maximum(n * (n**2 - 1), 7)
    return order.pooled_by_fisher(quotient(order.sums(first * second), spread), most, n - 3)


def kendall(predicted: Column, actual: Column, groups: Labels) -> ByGroup:
    """Kendall's tau-b of predicted with actual values within each group, from -1 to 1.

    Right pairs of ads less wrong ones, over all that are not tied; 0: no better than chance.
    Groups and pooling as in `spearman`, with weight `n - 4`.
    """
    order = _Grouped.of(predicted, actual, groups)
    n = order.sizes
    pairs = n * (n - 1) / 2
    tied_first = order.tied_pairs(order.predicted)
    tied_second = order.tied_pairs(order.actual)
    tied_both = order.tied_pairs(order.predicted, order.actual)
    untied = pairs - tied_first - tied_second + tied_both
    excess = untied - 2 * order.discordant_pairs()
    tau = quotient(excess, np.sqrt((pairs - tied_first) * (pairs - tied_second)))
    # A swap of neighbours moves tau by 4 / (n (n - 1)).
    return order.pooled_by_fisher(tau, 1 - 2 / np.maximum(n * (n - 1), 3), n - 4)


def reliability(odd: Column, even: Column, groups: Labels) -> float:
    """How much of the order of the actuals is no chance, from 0 to 1: NaN if none can be seen.

    `odd` and `even` are each ad's actual on its odd and on its even days.  Their pooled rank
    correlation r is that of halves; whole actuals have `2 r / (1 + r)` (Spearman and Brown, 1910).
    """
    half = spearman(odd, even, groups).pooled.value
    return 2 * half / (1 + half) if half > 0 else float("nan")


def disattenuated(correlation: float, reliability_of_actuals: float) -> float:
    """The correlation that actuals without chance would show, from -1 to 1.

    `correlation / sqrt(reliability)` (Spearman, 1904), held within -1..1; NaN without reliability.
    """
    if not reliability_of_actuals > 0:
        return float("nan")
    return float(np.clip(correlation / np.sqrt(reliability_of_actuals), -1, 1))


def hit_at(k: int, predicted: Column, actual: Column, groups: Labels) -> ByGroup:
    """Share of the model's k first ads of a group that are among its k best, from 0 to 1.

    Guessing scores k over the group's ads.  Only groups of more than k ads; pooled as their mean.
    """
    order = _Grouped.of(predicted, actual, groups)
    picked = order.chance_in_top(k, order.predicted)
    best = order.chance_in_top(k, order.actual)
    return order.pooled_by_mean(order.sums(picked * best) / k, order.sizes > k)


def regret_at(k: int, predicted: Column, actual: Column, groups: Labels) -> ByGroup:
    """What the model's k first ads of a group fall short of its best one, as a share of that.

    `(best - mean of the picks) / best`: 0 where every pick is as good as the best, 1 where the
    picks brought nothing.  Only groups of more than k ads with a best above 0; pooled as their
    mean.
    """
    order = _Grouped.of(predicted, actual, groups)
    picked = order.chance_in_top(k, order.predicted)
    best = order.largest(order.actual)
    shortfall = best - order.sums(picked * order.actual) / k
    return order.pooled_by_mean(quotient(shortfall, np.where(best > 0, best, 0.0)), order.sizes > k)


def ndcg_at(k: int | None, predicted: Column, actual: Column, groups: Labels) -> ByGroup:
    """Discounted gain of the model's order of a group over that of the best order, 0 to 1.

    The gain of an ad is its actual, at least 0, divided by `log2(1 + rank)`; only the first k
    count, all if k is None.  Groups of at least two ads with any gain; pooled as their mean.
    Source: Jarvelin and Kekalainen, "Cumulated gain-based evaluation", 2002.
    """
    order = _Grouped.of(predicted, actual, groups)
    refuse("actual", order.actual, order.actual < 0, "is at least 0")
    gain = order.sums(order.actual * order.discounts(order.predicted, k))
    best = order.sums(order.actual * order.discounts(order.actual, k))
    return order.pooled_by_mean(quotient(gain, best), order.sizes > 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Grouped:
    """Predicted and actual values with the position of each row's group."""

    predicted: Floats
    actual: Floats
    group: Positions
    names: npt.NDArray[Any]
    sizes: Floats

    @classmethod
    def of(cls, predicted: Column, actual: Column, groups: Labels) -> _Grouped:
        p, a = whole_columns(predicted=predicted, actual=actual)
        group, names = codes_of("groups", groups, len(p))
        return cls(p, a, group, names, np.bincount(group, minlength=len(names)).astype(np.float64))

    def sums(self, values: Floats) -> Floats:
        return np.bincount(self.group, values, len(self.names)).astype(np.float64)

    def each(self, of_group: Floats) -> Floats:
        """For each row the figure of its group."""
        return of_group[self.group]

    def largest(self, values: Floats) -> Floats:
        out = np.full(len(self.names), -np.inf)
        np.maximum.at(out, self.group, values)
        return out

    def mean_ranks(self, values: Floats) -> Floats:
        """Rank within the group from 1, tied ones with the mean of their ranks."""
        below, equal = self._below_and_equal(values)
        return below + (equal + 1) / 2

    def chance_in_top(self, k: int, values: Floats) -> Floats:
        """The chance of each row to be among its group's k largest if ties are drawn."""
        if k < 1:
            raise ValueError(f"At least one ad is picked, not {k}.")
        above, equal = self._below_and_equal(-values)
        return np.clip((k - above) / equal, 0.0, 1.0)

    def discounts(self, values: Floats, k: int | None) -> Floats:
        """Each row's mean discount by rank if ties are drawn; none after the k largest."""
        if k is not None and k < 1:
            raise ValueError(f"At least one ad is picked, not {k}.")
        above, equal = self._below_and_equal(-values)
        ranks = np.arange(1, int(self.sizes.max(initial=0)) + 1)
        discount = np.where(ranks <= (k or len(ranks)), 1 / np.log2(ranks + 1), 0.0)
        up_to = np.concatenate([[0.0], np.cumsum(discount)])
        first = above.astype(np.int64)
        return np.asarray((up_to[first + equal.astype(np.int64)] - up_to[first]) / equal)

    def tied_pairs(self, *columns: Floats) -> Floats:
        """For each group the pairs of rows that are equal in all columns."""
        order = np.lexsort((*columns, self.group))
        starts = _starts(self.group[order], *(column[order] for column in columns))
        count = np.diff(np.append(starts, len(order)))
        pairs = count * (count - 1) / 2
        at = self.group[order][starts]
        return np.bincount(at, pairs, len(self.names)).astype(np.float64)

    def discordant_pairs(self) -> Floats:
        """For each group the pairs that the two columns order differently, ties apart.

        In order of the first column these are the inversions of the second.  They are counted bit
        by bit of its rank, highest first: two rows that agree in all higher bits are inverted if
        the earlier one has this bit and the later one has not.
        """
        n_groups = len(self.names)
        order = np.lexsort((self.actual, self.predicted, self.group))
        group = self.group[order]
        rank = self._below_and_equal(self.actual)[0].astype(np.int64)[order]
        found = np.zeros(n_groups)
        block = group.copy()
        for bit in reversed(range(int(rank.max(initial=0)).bit_length())):
            is_set = (rank >> bit) & 1
            starts = _starts(block)
            before = np.cumsum(is_set) - is_set
            before -= np.repeat(before[starts], np.diff(np.append(starts, len(block))))
            found += np.bincount(group, np.where(is_set == 0, before, 0), n_groups)
            block = 2 * block + is_set
            order = np.argsort(block, kind="stable")
            block, rank, group = block[order], rank[order], group[order]
            # Small again, because a group and its bits would outgrow an integer.
            block = np.cumsum(np.isin(np.arange(len(block)), _starts(block))) - 1
        return found

    def pooled_by_fisher(self, values: Floats, most: Floats, weight: Floats) -> ByGroup:
        is_known = np.isfinite(values) & (self.sizes >= LEAST_ADS)
        z = np.arctanh(np.clip(values, -most, most)[is_known])
        weight = weight[is_known]
        return self._by_group(values, is_known, ratio_of_sums(weight * z, weight).then(np.tanh))

    def pooled_by_mean(self, values: Floats, large_enough: Flags) -> ByGroup:
        is_known = np.isfinite(values) & large_enough
        return self._by_group(values, is_known, mean_of(values[is_known]))

    def _by_group(self, values: Floats, is_known: Flags, pooled: Summed) -> ByGroup:
        n_ads = self.sizes[is_known].astype(np.int64)
        return ByGroup(self.names[is_known], values[is_known], n_ads, pooled)

    def _below_and_equal(self, values: Floats) -> tuple[Floats, Floats]:
        """For each row how many of its group are smaller, and how many equal, itself included."""
        order = np.lexsort((values, self.group))
        starts = _starts(self.group[order], values[order])
        count = np.diff(np.append(starts, len(order)))
        of_group = np.cumsum(np.append(0, self.sizes))[:-1][self.group[order][starts]]
        below, equal = np.empty(len(order)), np.empty(len(order))
        below[order] = np.repeat(starts - of_group, count)
        equal[order] = np.repeat(count, count)
        return below, equal


def _starts(*columns: npt.NDArray[Any]) -> Positions:
    """Where runs of rows that are equal in all columns begin."""
    n = len(columns[0])
    changes = np.zeros(n, dtype=bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes).astype(np.int64)
