"""What was spent and earned on each report day, by currency, as it was known on any day.

Kept as what is known now and what came to be known later than some day: from the former, the
latter is taken back.  A report day that an account's first fetch brought only after the as-of day
counts with what that fetch said, because there is no older knowledge: it is reconstructed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import NamedTuple


class Figures(NamedTuple):
    """The figures of one report day and currency, over all ads."""

    day: date
    currency: str
    impressions: int
    clicks: int
    link_clicks: int
    conversions: int
    spend: Decimal
    revenue: Decimal

    def less(self, other: Figures) -> Figures:
        """These figures without those of `other`."""
        return Figures(
            self.day,
            self.currency,
            self.impressions - other.impressions,
            self.clicks - other.clicks,
            self.link_clicks - other.link_clicks,
            self.conversions - other.conversions,
            self.spend - other.spend,
            self.revenue - other.revenue,
        )


class Change(NamedTuple):
    """What a day's news added to the figures of a report day; negative where it took away."""

    known_on: date
    figures: Figures


class FirstKnown(NamedTuple):
    """That figures of a report day and currency were first known on a later day than usual."""

    day: date
    currency: str
    known_on: date


class Ledger:
    """Figures as of every day from a first one on.

    `current` is what is known now, one entry a day and currency.  `changes` are those that came
    after the first as-of day to be asked for; what an account's first fetch of a day brought is
    none.  `first_known` says of which days there was such a first fetch after that day.
    """

    def __init__(
        self,
        current: Iterable[Figures],
        changes: Iterable[Change] = (),
        first_known: Iterable[FirstKnown] = (),
    ) -> None:
        self._current = {(each.day, each.currency): each for each in current}
        self._changes: defaultdict[tuple[date, str], list[Change]] = defaultdict(list)
        for change in changes:
            self._changes[change.figures.day, change.figures.currency].append(change)
        self._first_known = list(first_known)

    def as_of(self, as_of_day: date) -> list[Figures]:
        """The figures of all report days up to `as_of_day` as they were known at its end."""
        return [
            self._known(key, as_of_day)
            for key in sorted({*self._current, *self._changes})
            if key[0] <= as_of_day
        ]

    def reconstructed(self, as_of_day: date) -> set[str]:
        """The currencies of which figures count that came to be known only after `as_of_day`."""
        return {
            each.currency for each in self._first_known if each.day <= as_of_day < each.known_on
        }

    def _known(self, key: tuple[date, str], as_of_day: date) -> Figures:
        figures = self._current.get(key, Figures(*key, 0, 0, 0, 0, Decimal(0), Decimal(0)))
        for change in self._changes.get(key, ()):
            if change.known_on > as_of_day:
                figures = figures.less(change.figures)
        return figures
