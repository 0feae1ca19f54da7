"""What the statistics of 100,000 pairs cost: seconds of each piece, of all, and memory.

    python -m actuals_pipeline_tests.benchmarks.accuracy [--pairs N]

Pairs of 300 campaigns with seven days each; all of it made up, seeded.  CPU seconds tell the code,
wall-clock seconds the machine as it is.  Memory is the process's peak (`ru_maxrss`), interpreter,
pandas and the made-up pairs included.  Exit 1 if the pieces take more than 3 s of CPU or the peak
is above 1 GB.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click
import numpy as np

from actuals_pipeline.accuracy.achievable import (
    ctr_ceiling,
    excess_ctr_error,
    noise_corrected_ctr_error,
    noise_corrected_roas_error,
    roas_ceiling,
)
from actuals_pipeline.accuracy.beta_prior import fit_beta_priors, shrunken_rates
from actuals_pipeline.accuracy.bootstrap import bootstrap_difference, bootstrap_intervals
from actuals_pipeline.accuracy.break_even import against_the_bar
from actuals_pipeline.accuracy.calibration import (
    calibration_bins,
    calibration_line,
    calibration_ratio,
)
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.entropy import (
    brier,
    entropy_floor,
    explained_share,
    log_loss,
    normalized_entropy,
)
from actuals_pipeline.accuracy.intervals import jeffreys, scaled_gamma, shrunken_order_value, wilson
from actuals_pipeline.accuracy.noise import ctr_noise, expected_purchases
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign
from actuals_pipeline.accuracy.point_errors import log_ratio_quantile, mae, r_squared, skill, wape
from actuals_pipeline.accuracy.ranking import hit_at, kendall, ndcg_at, regret_at, spearman
from actuals_pipeline.accuracy.segments import segment_calibration
from actuals_pipeline.accuracy.shrinkage import shrunken_roas
from actuals_pipeline.accuracy.sums import Summed
from actuals_pipeline.accuracy.verdict import ctr_verdicts, roas_verdicts

CAMPAIGNS: Final = 300
DAYS: Final = 7
MOST_SECONDS: Final = 3.0
MOST_MEGABYTES: Final = 1000.0


class Watch:
    """Runs pieces and prints what each took."""

    def __init__(self) -> None:
        self.cpu = 0.0
        self.wall = 0.0

    def run(self, name: str, piece: Callable[[], Any]) -> Any:
        cpu, wall = time.process_time(), time.perf_counter()
        result = piece()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        self.cpu += cpu
        self.wall += wall
        click.echo(f"{name:<44}{cpu:>8.3f}{wall:>8.3f}")
        return result


class Made:
    """Made-up pairs: a model that is right about campaigns and roughly about ads."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(7)
        self.campaign = np.array([f"campaign {i:03d}" for i in range(CAMPAIGNS)])[
            rng.integers(0, CAMPAIGNS, n)
        ]
        true_ctr = np.clip(0.02 * np.exp(rng.normal(0, 0.4, n)), 0, 0.3)
        self.predicted_ctr = true_ctr * np.exp(rng.normal(0, 0.2, n))
        daily = np.rint(np.exp(rng.normal(6.5, 1.2, (n, DAYS)))).astype(np.int64) + 1
        self.daily_impressions = daily.ravel()
        clicks = rng.binomial(daily, true_ctr[:, None])
        self.daily_clicks = clicks.ravel()
        self.impressions, self.clicks = daily.sum(axis=1), clicks.sum(axis=1)
        self.ad = np.arange(n)
        self.spend = self.impressions * 0.01
        true_roas = 3 * np.exp(rng.normal(0, 0.4, n))
        self.predicted_roas = true_roas * np.exp(rng.normal(0, 0.3, n))
        self.purchases = rng.poisson(true_roas * self.spend / 20)
        self.revenue = 20.0 * self.purchases * np.exp(rng.normal(0, 0.1, n))


def pieces_of_pairs(made: Made, watch: Watch) -> tuple[CtrPairs, RoasPairs]:
    """What is said of each pair; gives the pairs for what is said of all."""
    by_campaign = watch.run(
        f"overdispersion of {len(made.daily_clicks):,} ad-days",
        lambda: overdispersion_by_campaign(
            made.daily_impressions,
            made.daily_clicks,
            ads=np.repeat(made.ad, DAYS),
            campaigns=np.repeat(made.campaign, DAYS),
        ),
    )
    factor = by_campaign.set_index("campaign")["overdispersion"].loc[made.campaign].to_numpy()
    value = watch.run(
        "shrunken order value",
        lambda: shrunken_order_value(made.revenue, made.purchases, account_order_value=20.0),
    )
    ctr = CtrPairs.of(made.predicted_ctr, made.impressions, made.clicks, factor)
    roas = RoasPairs.of(
        made.predicted_roas, made.spend, made.revenue, order_value=value, order_value_cv=0.8
    )
    p, n, c = made.predicted_ctr, made.impressions, made.clicks
    watch.run("Wilson", lambda: wilson(c, n, overdispersion=factor))
    watch.run("Jeffreys", lambda: jeffreys(c, n, overdispersion=factor))
    watch.run("scaled gamma", lambda: scaled_gamma(made.revenue, made.spend, order_value=value))
    watch.run("verdicts, CTR", lambda: ctr_verdicts(p, n, c, overdispersion=factor))
    watch.run(
        "verdicts, ROAS",
        lambda: roas_verdicts(
            made.predicted_roas, made.spend, made.revenue, made.purchases, order_value=value
        ),
    )
    watch.run("noise, CTR", lambda: ctr_noise(p, n, overdispersion=factor))
    watch.run("noise ceiling, CTR", lambda: ctr_ceiling(p, n, overdispersion=factor))
    watch.run(
        "noise ceiling, ROAS",
        lambda: roas_ceiling(
            expected_purchases(made.predicted_roas, made.spend, order_value=value)
        ),
    )
    return ctr, roas


def pieces_of_models(made: Made, ctr: CtrPairs, roas: RoasPairs, watch: Watch) -> None:
    """What is said of a model."""
    baseline = np.full(len(ctr), ctr.clicks.sum() / ctr.impressions.sum())

    def figures() -> dict[str, Summed]:
        return {
            "calibration": calibration_ratio(ctr),
            "calibration_roas": calibration_ratio(roas),
            "log_loss": log_loss(ctr),
            "ne": normalized_entropy(ctr),
            "ne_asof": normalized_entropy(ctr, background=baseline),
            "floor": entropy_floor(ctr),
            "explained": explained_share(ctr),
            "brier": brier(ctr),
            "mae": mae(ctr.predicted, ctr.actual),
            "wape": wape(roas.predicted, roas.actual, roas.spend),
            "r_squared": r_squared(ctr.predicted, ctr.actual, ctr.impressions),
            "skill": skill(ctr.predicted, ctr.actual, baseline=baseline),
            "excess": excess_ctr_error(ctr),
            "rmse": noise_corrected_ctr_error(ctr),
            "rmse_roas": noise_corrected_roas_error(roas),
        }

    made_figures = watch.run("15 figures made of sums", figures)
    watch.run("their values", lambda: [figure.value for figure in made_figures.values()])
    watch.run(
        "their bootstrap intervals",
        lambda: bootstrap_intervals(made_figures, made.campaign, seed_text="benchmark"),
    )
    watch.run(
        "two models compared",
        lambda: bootstrap_difference(
            made_figures["ne"], made_figures["ne_asof"], made.campaign, seed_text="benchmark"
        ),
    )
    watch.run("calibration line", lambda: calibration_line(ctr))
    watch.run("calibration bins", lambda: calibration_bins(ctr))
    watch.run("p90 of the log ratio", lambda: log_ratio_quantile(ctr.predicted, ctr.actual))
    priors = watch.run(
        "beta priors of 300 campaigns",
        lambda: fit_beta_priors(ctr.clicks, ctr.impressions, made.campaign),
    )
    rates = watch.run(
        "shrunken rates",
        lambda: shrunken_rates(ctr.clicks, ctr.impressions, priors, made.campaign),
    )
    watch.run("shrunken ROAS", lambda: shrunken_roas(roas, made.campaign))
    watch.run("Spearman", lambda: spearman(ctr.predicted, ctr.actual, made.campaign))
    watch.run("Kendall", lambda: kendall(ctr.predicted, ctr.actual, made.campaign))
    watch.run("hit at 3", lambda: hit_at(3, ctr.predicted, rates, made.campaign))
    watch.run("regret at 3", lambda: regret_at(3, ctr.predicted, rates, made.campaign))
    watch.run("NDCG at 10", lambda: ndcg_at(10, ctr.predicted, rates, made.campaign))
    interval = scaled_gamma(roas.revenue, roas.spend, order_value=roas.order_value)
    watch.run(
        "break-even decision",
        lambda: against_the_bar(roas.predicted, interval, bar=2.5, weights=roas.spend),
    )
    watch.run("segments, CTR", lambda: segment_calibration(ctr, made.campaign))
    watch.run("segments, ROAS", lambda: segment_calibration(roas, made.campaign))


@click.command()
@click.option("--pairs", default=100_000, show_default=True)
def main(pairs: int) -> None:
    """Print what each piece takes."""
    watch = Watch()
    made = Made(pairs)
    click.echo(f"{f'{pairs:,} pairs':<44}{'CPU s':>8}{'wall s':>8}")
    ctr, roas = pieces_of_pairs(made, watch)
    pieces_of_models(made, ctr, roas, watch)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"{'all':<44}{watch.cpu:>8.3f}{watch.wall:>8.3f}   peak {megabytes:,.0f} MB")
    if pairs <= 100_000 and (watch.cpu > MOST_SECONDS or megabytes > MOST_MEGABYTES):
        sys.exit(1)


if __name__ == "__main__":
    main()
