"""A world in which Meta restates nearly everything that it still may, whenever the clock moves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from actuals_pipeline.graph_stand_in.delivery import Figures
from actuals_pipeline.graph_stand_in.world import AccountPlan, Ad, World
from actuals_pipeline.report_days import DayWindow, is_settled


class RestatedWorld(World):
    """Every full hour the figures of each unsettled day are others, and some ads' are gone.

    By turns an ad has no row on any unsettled day; a quarter of the ads is never restated.
    Settled days show what a world without restatements shows, and go on doing so.
    """

    def __init__(
        self, *, now: datetime, accounts: Sequence[AccountPlan], history_days: int
    ) -> None:
        super().__init__(now=now, accounts=accounts, history_days=history_days)
        self.born = now

    def days(
        self, ad: Ad, window: DayWindow, as_of: datetime | None = None
    ) -> list[tuple[date, Figures]]:
        instant = as_of or self.now
        today = self.today(ad.account_id, instant)
        # Hours since an arbitrary day: never the same twice.
        turn = int(instant.timestamp()) // 3600 - 490_000
        shown = []
        for day, figures in super().days(ad, window, as_of):
            if is_settled(day, today):
                shown.append((day, figures))
            elif not _is_gone(ad, turn):
                shown.append((day, figures + _restatement(ad, turn)))
        return shown


def _number(ad: Ad) -> int:
    return int(ad.ad_id[-8:])


def _is_gone(ad: Ad, turn: int) -> bool:
    return (_number(ad) + turn) % 6 == 0


def _restatement(ad: Ad, turn: int) -> Figures:
    if _number(ad) % 4 == 1:
        return Figures()
    return Figures(impressions=turn, clicks=turn % 7, spend_minor=turn)
