"""The curve of an account: how it is chosen, recovered from made-up buyers, and looked up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from actuals_pipeline.accuracy.account_curves import (
    AccountCurve,
    AccountHistory,
    CohortRow,
    Curves,
    SettledRow,
    account_curve,
    cohorts_of,
    develop,
)
from actuals_pipeline.accuracy.cape_cod import launch_to_date
from actuals_pipeline.accuracy.contract import REVENUE_DEVELOPMENT
from actuals_pipeline.accuracy.purchase_delay import AGES, assumed
from actuals_pipeline.frames import check_frame
from actuals_pipeline.report_days import DayWindow

Floats = npt.NDArray[np.float64]

FIRST = date(2026, 1, 1)
ROAS, SPEND, ORDER_VALUE = 3.0, 1_000.0, 75.0


@dataclass(frozen=True)
class Buyers:
    """Purchases that followed the clicks of `n_days` days of one account, one row each.

    Half of those within 28 days come within a day, 85 % within 7, as in `purchase_delay.py`; a
    tenth of the spending is on an ad that runs for the first half of each fortnight only.
    """

    click_at: Floats
    delay: Floats
    value: Floats
    reported_after: Floats

    @classmethod
    def of(cls, seed: int, n_days: int, *, purchases: float = 40.0, late: float = 0.0) -> Buyers:
        """`purchases` a day worth a ROAS of 3; a share `late` of them is reported a day late."""
        rng = np.random.default_rng(seed)
        n = rng.poisson(purchases * n_days)
        quantile = rng.uniform(size=n)
        knots = [0, 0.35, 0.5, 0.85, 1]
        delay = np.exp(np.interp(quantile, knots, np.log([1e-3, 1 / 24, 1, 7, 28])))
        delay = np.where(quantile < 0.35, quantile / 0.35 / 24, delay)
        mean = ROAS * SPEND / purchases
        spread = np.sqrt(np.log(1 + 0.8**2))
        value = mean * rng.lognormal(-(spread**2) / 2, spread, n)
        return cls(
            rng.uniform(0, n_days, n), delay, value, (rng.uniform(size=n) < late).astype(float)
        )

    def day(self, dating: str) -> npt.NDArray[np.int64]:
        """The report day on which each purchase stands."""
        at = self.click_at if dating == "impression" else self.click_at + self.delay
        return np.floor(at).astype(int)

    @property
    def known_on(self) -> npt.NDArray[np.int64]:
        return np.floor(self.click_at + self.delay + self.reported_after).astype(int)

    def history(self, dating: str, *, undelivered: float = 0.0) -> AccountHistory:
        """What the account's report days showed, under one of Meta's datings."""
        day, known_on = self.day(dating), self.known_on
        windows = [np.where(self.delay <= days, self.value, 0) for days in (1, 7, 28)]
        cohorts: list[CohortRow] = []
        settled: list[SettledRow] = []
        for each in range(day.max() + 1):
            of_day = day == each
            ages = [0, *sorted({*(known_on[of_day] - each)} - {0})]
            at = [of_day & (known_on - each == age) for age in ages]
            revenue = [float(self.value[these].sum()) for these in at]
            cohorts.append(
                (
                    FIRST + timedelta(days=each),
                    ages,
                    revenue,
                    [1000.0, *[0.0] * (len(ages) - 1)],
                    [float(these.sum()) for these in at],
                    [undelivered * amount for amount in revenue],
                    [0.0] * len(ages),
                    revenue,
                )
            )
            amounts = [float(window[of_day].sum()) for window in windows]
            settled.append((cohorts[-1][0], amounts[-1], *amounts))
        return AccountHistory.of(cohorts, settled)


def curve(history: AccountHistory, day: int) -> AccountCurve:
    return account_curve(history.before(FIRST + timedelta(days=day)))


TRUE = assumed(28).shares


def test_a_curve_is_recovered_from_days_that_were_followed() -> None:
    for seed in range(4):
        got = curve(Buyers.of(seed, 61).history("impression"), 61)
        assert (got.source, got.dating) == ("revisions", "impression")
        assert np.abs(got.revenue.shares - TRUE).max() < 0.02
        assert (np.abs(got.revenue.shares - TRUE) < 3.5 * got.revenue.errors + 1e-3).all()
        assert got.clicks.tolist() == [1.0] * 29
        assert got.n_cohorts == 60


@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_curve_is_recovered_from_click_windows_and_late_reports(late: float) -> None:
    history = Buyers.of(2, 200, late=late).history("conversion", undelivered=0.1)
    got = curve(history, 190)
    assert (got.source, got.dating, got.n_cohorts) == ("click_windows", "conversion", 62)
    want = (1 - late) * TRUE + late * np.append(0, TRUE[:-1])
    assert np.abs(got.revenue.shares - want).max() < 0.025


@pytest.mark.parametrize("dating", ["impression", "conversion"])
def test_the_true_roas_is_found_at_once_under_either_dating(dating: str) -> None:
    """Of ads that began 7, 14 and 60 days ago the naive ROAS reads 2.05, 2.38 and 2.84."""
    history = Buyers.of(7, 150).history(dating, undelivered=0.1 * (dating == "conversion"))
    by_age = curve(history, 150).revenue
    naive, adjusted = [], []
    for life in (7, 14, 60):
        ads = [Buyers.of(100 + seed, life) for seed in range(40)]
        known = [float(ad.value[ad.known_on < life].sum()) for ad in ads]
        ages = np.minimum(np.arange(life)[::-1], AGES[-1])
        names = np.repeat(np.arange(40), life)
        got = launch_to_date(
            names,
            np.full(40 * life, SPEND),
            np.concatenate([np.append(np.zeros(life - 1), each) for each in known]),
            np.tile(by_age.shares[ages], 40),
            np.tile(by_age.errors[ages], 40),
        )
        naive.append(np.mean(known) / life / SPEND)
        adjusted.append(got.roas.mean())
        assert got.completeness[0] == pytest.approx(by_age.shares[ages].mean())
        assert 0 < got.relative_error[0] < 0.03
    assert naive == pytest.approx([2.05, 2.38, 2.84], abs=0.06)
    assert adjusted == pytest.approx([3.0, 3.0, 3.0], abs=0.08)


def test_an_account_that_was_seen_for_a_short_time_has_the_assumed_curve() -> None:
    history = Buyers.of(1, 60).history("impression")
    early = curve(history, 20)
    assert (early.source, early.dating, early.n_cohorts) == ("assumed", "unknown", 0)
    assert early.revenue.shares.tolist() == assumed(28).shares.tolist()
    assert np.isnan(early.clicks).all()


def test_nothing_that_came_to_be_known_later_changes_the_curve_as_of_a_day() -> None:
    buyers = Buyers.of(1, 120)
    known = buyers.known_on < 75
    until = Buyers(*(column[known] for column in vars(buyers).values()))
    late = curve(buyers.history("impression"), 75)
    then = curve(until.history("impression"), 75)
    assert late.source == "revisions"
    assert late.revenue.shares.tobytes() == then.revenue.shares.tobytes()


def test_the_report_days_looked_at_are_ninety() -> None:
    day = date(2026, 5, 1)
    window = cohorts_of(DayWindow.inclusive(day, day + timedelta(days=2)))
    assert window == DayWindow.inclusive(day - timedelta(days=90), day + timedelta(days=2))


@pytest.fixture
def developed() -> pd.DataFrame:
    histories = {"42": Buyers.of(1, 61).history("impression")}
    day = FIRST + timedelta(days=61)
    return develop(histories, ["43", "42"], [day])


def test_a_frame_has_every_account_and_age(developed: pd.DataFrame) -> None:
    check_frame(developed, REVENUE_DEVELOPMENT)
    assert developed["account_id"].tolist() == ["42"] * 29 + ["43"] * 29
    assert developed["age_days"].tolist() == [*range(29), *range(29)]
    assert set(developed["source"]) == {"revisions", "assumed"}
    check_frame(develop({}, [], []), REVENUE_DEVELOPMENT)


def test_shares_are_looked_up_for_many_days_at_once(developed: pd.DataFrame) -> None:
    curves = Curves.of(developed)
    own = developed["revenue_share"].to_numpy()[:29]
    shares, errors = curves.share(pd.Series(["42", "42", "43", "no such", None]), [3, 400, 3, 3, 0])
    usual = assumed().shares
    assert shares.tolist() == [own[3], 1.0, usual[3], usual[3], usual[0]]
    assert errors[1] == 0 < errors[0] < errors[2]
    assert curves.clicks_share(["42", "43"], 1).tolist() == pytest.approx([1, NAN], nan_ok=True)
    assert curves.is_assumed(["42", "43", "no such"]).tolist() == [False, True, True]
    assert curves.share("42", 3)[0] == own[3]
    assert Curves.of(developed.iloc[:0]).share(["42"], [3])[0].tolist() == [usual[3]]
    with pytest.raises(ValueError, match="before the day itself"):
        curves.share(["42"], [-1])


NAN = float("nan")


def test_curves_of_two_days_or_with_an_age_missing_are_refused(developed: pd.DataFrame) -> None:
    other = developed.assign(as_of_date=FIRST)
    with pytest.raises(ValueError, match="several days"):
        Curves.of(pd.concat([developed, other], ignore_index=True))
    with pytest.raises(ValueError, match="every age"):
        Curves.of(developed.iloc[1:])
