"""Laws that every figure keeps: of order, of units, of weights, and of how an ad is cut up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy import point_errors
from actuals_pipeline.accuracy.achievable import (
    excess_ctr_error,
    excess_roas_error,
    noise_corrected_ctr_error,
    noise_corrected_roas_error,
)
from actuals_pipeline.accuracy.beta_prior import fit_beta_priors, shrunken_rates
from actuals_pipeline.accuracy.bootstrap import bootstrap_intervals
from actuals_pipeline.accuracy.break_even import against_the_bar
from actuals_pipeline.accuracy.calibration import (
    calibration_bins,
    calibration_line,
    calibration_ratio,
    expected_calibration_error,
    expected_calibration_noise,
)
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.entropy import (
    brier,
    entropy_floor,
    explained_share,
    information_gain,
    log_loss,
    normalized_entropy,
)
from actuals_pipeline.accuracy.intervals import scaled_gamma, shrunken_order_value
from actuals_pipeline.accuracy.noise import any_error_p, ctr_noise, ctr_z
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign
from actuals_pipeline.accuracy.quantiles import (
    conformal_factor,
    coverage,
    pinball_loss,
    winkler_score,
)
from actuals_pipeline.accuracy.ranking import hit_at, kendall, ndcg_at, regret_at, spearman
from actuals_pipeline.accuracy.segments import segment_calibration
from actuals_pipeline.accuracy.shrinkage import shrunken_roas
from actuals_pipeline.accuracy.verdict import ctr_verdicts, roas_verdicts

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class World:
    """Ads of 12 campaigns, in columns."""

    campaign: Array
    predicted: Array
    impressions: Array
    clicks: Array
    roas: Array
    spend: Array
    revenue: Array
    purchases: Array
    order_value: Array

    @classmethod
    def made(cls, seed: int = 1, size: int = 240) -> World:
        rng = np.random.default_rng(seed)
        # Even numbers, so that an ad can be cut in two.
        impressions = 2.0 * rng.integers(500, 20_000, size)
        predicted = np.round(np.clip(0.02 * np.exp(rng.normal(0, 0.4, size)), 0, 0.1), 3)
        clicks = 2.0 * rng.binomial((impressions / 2).astype(int), predicted * 0.9)
        spend = np.round(impressions / 100, 2)
        roas = np.round(3 * np.exp(rng.normal(0, 0.3, size)), 2)
        purchases = 2.0 * rng.poisson(roas * spend / 40)
        revenue = purchases * np.round(rng.uniform(10, 30, size), 2)
        value = shrunken_order_value(revenue, purchases, account_order_value=20)
        campaign = np.array([f"campaign {i:02d}" for i in range(12)])[rng.integers(0, 12, size)]
        return cls(campaign, predicted, impressions, clicks, roas, spend, revenue, purchases, value)

    @property
    def names(self) -> list[str]:
        return [field.name for field in fields(self)]

    def map(self, change: Callable[[Array], Array]) -> World:
        return World(**{name: change(getattr(self, name)) for name in self.names})

    @property
    def ctr(self) -> CtrPairs:
        return CtrPairs.of(self.predicted, self.impressions, self.clicks, 1.5)

    @property
    def returns(self) -> RoasPairs:
        return RoasPairs.of(
            self.roas, self.spend, self.revenue, order_value=self.order_value, order_value_cv=0.8
        )


WORLD = World.made()


def line(world: World) -> list[float]:
    found = calibration_line(world.ctr)
    return [found.intercept, found.slope, found.slope_error]


def bins(world: World) -> list[float]:
    found = calibration_bins(world.ctr)
    table = found[["predicted", "actual", "impressions", "clicks", "noise"]]
    errors = expected_calibration_error(found), expected_calibration_noise(found)
    return [*table.to_numpy().ravel().tolist(), *errors]


def priors(world: World) -> list[float]:
    found = fit_beta_priors(world.clicks, world.impressions, world.campaign)
    return [*found.mean.tolist(), *(1 / found.strength).tolist()]


def segments(world: World) -> list[float]:
    frame = segment_calibration(world.ctr, world.campaign)
    kept = ["calibration", "pooled_calibration", "pooled_low", "pooled_high", "z", "adjusted_p"]
    return frame[kept].to_numpy().ravel().tolist()


def roas_segments(world: World) -> list[float]:
    frame = segment_calibration(world.returns, world.campaign)
    return frame[["calibration", "pooled_calibration", "z"]].to_numpy().ravel().tolist()


def at_bar(world: World) -> list[float]:
    interval = scaled_gamma(world.revenue, world.spend, order_value=world.order_value)
    table = against_the_bar(world.roas, interval, bar=2.5, weights=world.spend)
    return [table.precision.value, table.recall.value, table.correlation.value]


def intervals(world: World) -> list[float]:
    figures = {"ne": normalized_entropy(world.ctr), "ratio": calibration_ratio(world.returns)}
    got = bootstrap_intervals(figures, world.campaign, seed_text="laws")
    return [end for each in got.values() for end in (each.low, each.high)]


def z_of(world: World) -> Array:
    return ctr_z(world.predicted, world.impressions, world.clicks, overdispersion=1.5)


CUT_PROOF: dict[str, Callable[[World], Any]] = {
    "calibration": lambda w: calibration_ratio(w.ctr).value,
    "calibration of ROAS": lambda w: calibration_ratio(w.returns).value,
    "calibration line": line,
    "calibration bins": bins,
    "log loss": lambda w: log_loss(w.ctr).value,
    "NE": lambda w: normalized_entropy(w.ctr).value,
    "NE as of": lambda w: normalized_entropy(w.ctr, background=0.02).value,
    "NE floor": lambda w: entropy_floor(w.ctr).value,
    "explained share": lambda w: explained_share(w.ctr).value,
    "information gain": lambda w: information_gain(w.ctr).value,
    "Brier": lambda w: brier(w.ctr).value,
    "WAPE": lambda w: point_errors.wape(w.ctr.predicted, w.ctr.actual, w.impressions).value,
    "weighted MAE": lambda w: point_errors.mae(w.ctr.predicted, w.ctr.actual, w.impressions).value,
    "weighted RMSE": lambda w: point_errors.rmse(w.roas, w.returns.actual, w.spend).value,
    "weighted R2": lambda w: point_errors.r_squared(w.predicted, w.ctr.actual, w.impressions).value,
    "weighted skill": lambda w: (
        point_errors.skill(
            w.roas, w.returns.actual, baseline=np.full(len(w.roas), 3.0), weights=w.spend
        ).value
    ),
    "weighted log ratio": lambda w: point_errors.log_ratio_quantile(
        w.predicted, w.ctr.actual, weights=w.impressions
    ),
    "segments": segments,
    "ROAS segments": roas_segments,
    "bootstrap": intervals,
}
"""What an ad counts in by its volume, so that it does not matter whether it is one row or two."""

ORDERLESS: dict[str, Callable[[World], Any]] = {
    **CUT_PROOF,
    "MAE": lambda w: point_errors.mae(w.predicted, w.ctr.actual).value,
    "sMAPE": lambda w: point_errors.smape(w.predicted, w.ctr.actual).value,
    "log ratio": lambda w: point_errors.log_ratio_quantile(w.predicted, w.ctr.actual),
    "Poisson deviance": lambda w: point_errors.poisson_deviance(w.ctr.expected, w.clicks).value,
    "revenue deviance": lambda w: (
        point_errors.revenue_deviance(w.returns.expected, w.revenue).value
    ),
    "excess error": lambda w: excess_ctr_error(w.ctr).value,
    "excess ROAS error": lambda w: excess_roas_error(w.returns).value,
    "corrected error": lambda w: noise_corrected_ctr_error(w.ctr).value,
    "corrected ROAS error": lambda w: noise_corrected_roas_error(w.returns).value,
    "Spearman": lambda w: spearman(w.predicted, w.ctr.actual, w.campaign).values.tolist(),
    "Kendall": lambda w: kendall(w.predicted, w.ctr.actual, w.campaign).values.tolist(),
    "hit": lambda w: hit_at(3, w.predicted, w.ctr.actual, w.campaign).values.tolist(),
    "regret": lambda w: regret_at(3, w.predicted, w.ctr.actual, w.campaign).values.tolist(),
    "NDCG": lambda w: ndcg_at(5, w.predicted, w.ctr.actual, w.campaign).values.tolist(),
    "beta priors": priors,
    "break-even": at_bar,
    "any error": lambda w: any_error_p(z_of(w)),
    "pinball": lambda w: pinball_loss(w.roas, w.returns.actual, quantile=0.3).value,
    "coverage": lambda w: coverage(w.roas / 1.2, w.roas * 1.2, w.returns.actual).value,
    "Winkler": lambda w: (
        winkler_score(w.roas / 1.2, w.roas * 1.2, w.returns.actual, promised=0.5).value
    ),
    "conformal": lambda w: conformal_factor(w.roas, w.returns.actual, promised=0.8),
    "overdispersion": lambda w: overdispersion_by_campaign(
        w.impressions,
        w.clicks,
        ads=w.predicted,
        campaigns=np.floor(w.predicted * 100),
    )["overdispersion"].tolist(),
}


@pytest.mark.parametrize("figure", ORDERLESS.values(), ids=ORDERLESS)
def test_the_order_of_rows_does_not_matter(figure: Callable[[World], Any]) -> None:
    order = np.random.default_rng(2).permutation(len(WORLD.campaign))
    got = figure(WORLD.map(lambda column: column[order]))
    assert got == pytest.approx(figure(WORLD), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("figure", CUT_PROOF.values(), ids=CUT_PROOF)
def test_an_ad_may_be_one_row_or_two_of_half_its_volume(figure: Callable[[World], Any]) -> None:
    volumes = {"impressions", "clicks", "spend", "revenue", "purchases"}
    halved = {name: getattr(WORLD, name) / 2 for name in volumes}
    halves = replace(WORLD, **halved).map(lambda column: np.repeat(column, 2))
    assert figure(halves) == pytest.approx(figure(WORLD), rel=1e-9, abs=1e-12)


def in_cents(world: World) -> World:
    money = ("spend", "revenue", "order_value")
    return replace(world, **{name: 100 * getattr(world, name) for name in money})


@pytest.mark.parametrize(
    "figure",
    [
        lambda w: calibration_ratio(w.returns).value,
        lambda w: point_errors.wape(w.roas, w.returns.actual, w.spend).value,
        lambda w: noise_corrected_roas_error(w.returns).value,
        lambda w: excess_roas_error(w.returns).value,
        lambda w: shrunken_roas(w.returns, w.campaign).tolist(),
        lambda w: scaled_gamma(w.revenue, w.spend, order_value=w.order_value).low.tolist(),
        roas_segments,
        at_bar,
    ],
)
def test_roas_is_judged_alike_in_any_currency(figure: Callable[[World], Any]) -> None:
    assert figure(in_cents(WORLD)) == pytest.approx(figure(WORLD), rel=1e-9)


def test_a_roas_verdict_is_the_same_in_any_currency() -> None:
    def frame(world: World) -> Any:
        return roas_verdicts(
            world.roas, world.spend, world.revenue, world.purchases, order_value=world.order_value
        )

    one, other = frame(WORLD), frame(in_cents(WORLD))
    assert one["verdict"].tolist() == other["verdict"].tolist()
    np.testing.assert_allclose(one["z"], other["z"])


ERRORS_IN_A_UNIT = {
    "mae": point_errors.mae,
    "rmse": point_errors.rmse,
    "pinball": lambda p, a: pinball_loss(p, a, quantile=0.3),
}
ERRORS_WITHOUT_A_UNIT = {
    "smape": point_errors.smape,
    "mape": point_errors.mape,
    "r squared": point_errors.r_squared,
    "skill": lambda p, a: point_errors.skill(p, a, baseline=np.roll(p, 1)),
    "wape": lambda p, a: point_errors.wape(p, a, np.arange(len(p))),
}


@pytest.mark.parametrize("measure", ERRORS_IN_A_UNIT.values(), ids=ERRORS_IN_A_UNIT)
def test_an_error_in_percent_is_a_hundred_times_that_in_fractions(
    measure: Callable[..., Any],
) -> None:
    p, a = WORLD.predicted, WORLD.ctr.actual
    assert measure(100 * p, 100 * a).value == pytest.approx(100 * measure(p, a).value)


@pytest.mark.parametrize("measure", ERRORS_WITHOUT_A_UNIT.values(), ids=ERRORS_WITHOUT_A_UNIT)
def test_a_relative_error_has_no_unit(measure: Callable[..., Any]) -> None:
    p, a = WORLD.predicted, WORLD.ctr.actual
    assert measure(100 * p, 100 * a).value == pytest.approx(measure(p, a).value)


@pytest.mark.parametrize(
    "measure",
    [
        point_errors.mae,
        point_errors.rmse,
        point_errors.smape,
        point_errors.mape,
        point_errors.r_squared,
        lambda p, a, w=None: point_errors.skill(p, a, baseline=np.roll(p, 1), weights=w),
        lambda p, a, w=None: pinball_loss(p, a, quantile=0.3, weights=w),
        lambda p, a, w=None: coverage(p / 1.2, p * 1.2, a, w),
        lambda p, a, w=None: winkler_score(p / 1.2, p * 1.2, a, promised=0.5, weights=w),
    ],
)
def test_equal_weights_are_no_weights(measure: Callable[..., Any]) -> None:
    p, a = WORLD.predicted, WORLD.ctr.actual
    want = measure(p, a).value
    for weight in (1.0, 7.5):
        assert measure(p, a, np.full(len(p), weight)).value == pytest.approx(want)
    half = np.where(np.arange(len(p)) % 2, 2.0, 0.0)
    assert measure(p, a, half).value != pytest.approx(want)


def test_order_within_groups_knows_no_units() -> None:
    for figure in (spearman, kendall, lambda *columns: hit_at(3, *columns)):
        want = figure(WORLD.predicted, WORLD.ctr.actual, WORLD.campaign)
        got = figure(np.exp(WORLD.predicted), 100 * WORLD.ctr.actual, WORLD.campaign)
        assert got.values.tolist() == want.values.tolist()


def test_a_global_factor_moves_the_calibration_and_leaves_the_order() -> None:
    """He et al., section 2: taken back, entropy falls and the ranking stays."""
    doubled = replace(WORLD, predicted=2 * WORLD.predicted)
    assert calibration_ratio(doubled.ctr).value == 2 * calibration_ratio(WORLD.ctr).value
    assert normalized_entropy(doubled.ctr).value > normalized_entropy(WORLD.ctr).value
    actual = WORLD.ctr.actual
    assert (
        spearman(doubled.predicted, actual, WORLD.campaign).pooled.value
        == spearman(WORLD.predicted, actual, WORLD.campaign).pooled.value
    )


def test_what_is_said_of_one_row_does_not_depend_on_the_others() -> None:
    frame = ctr_verdicts(WORLD.predicted, WORLD.impressions, WORLD.clicks)
    one = ctr_verdicts(WORLD.predicted[7], WORLD.impressions[7], [WORLD.clicks[7]])
    assert one.iloc[0].equals(frame.iloc[7])
    alone = float(ctr_noise(WORLD.predicted[7], WORLD.impressions[7]))
    assert alone == ctr_noise(WORLD.predicted, WORLD.impressions)[7]
    priors_of_all = fit_beta_priors(WORLD.clicks, WORLD.impressions, WORLD.campaign)
    rates = shrunken_rates(WORLD.clicks, WORLD.impressions, priors_of_all, WORLD.campaign)
    single = shrunken_rates(
        WORLD.clicks[7:8], WORLD.impressions[7:8], priors_of_all, WORLD.campaign[7:8]
    )
    assert single.item() == rates[7]
