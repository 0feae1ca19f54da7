"""What the statistics of 100,000 pairs cost: seconds of each piece, of all, and memory.

    python -m actuals_pipeline_tests.benchmarks.accuracy [--pairs N] [--path [--profile]]

Pairs of 300 campaigns with seven days each; all of it made up, seeded.  With `--path`, instead of
the pieces, the way that a run takes as of one day: ads of 28 days, each predicted by five versions,
from the frames that the database gives to `model_accuracy`.  CPU seconds tell the code, wall-clock
seconds the machine as it is.  Memory is the process's peak (`ru_maxrss`), interpreter, pandas and
the made-up pairs included.  Exit 1 if it takes more than 3 s of CPU or the peak is above 1 GB.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import click
import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.achievable import (
    ctr_ceiling,
    excess_ctr_error,
    noise_corrected_ctr_error,
    noise_corrected_roas_error,
    roas_ceiling,
)
from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.baseline import account_rates
from actuals_pipeline.accuracy.beta_prior import fit_beta_priors, shrunken_rates
from actuals_pipeline.accuracy.bootstrap import bootstrap_difference, bootstrap_intervals
from actuals_pipeline.accuracy.break_even import against_the_bar
from actuals_pipeline.accuracy.calibration import (
    calibration_bins,
    calibration_line,
    calibration_ratio,
)
from actuals_pipeline.accuracy.comparable import CtrPairs, RoasPairs
from actuals_pipeline.accuracy.contract import (
    KNOWN_ACCOUNT_DAYS,
    KNOWN_CHANGES,
    KNOWN_DAYS,
    PREDICTIONS,
    READ,
    WINDOW_DAYS,
)
from actuals_pipeline.accuracy.entropy import (
    brier,
    entropy_floor,
    explained_share,
    log_loss,
    normalized_entropy,
)
from actuals_pipeline.accuracy.intervals import jeffreys, scaled_gamma, shrunken_order_value, wilson
from actuals_pipeline.accuracy.launch_windows import (
    asked_windows,
    launch_pairs,
    window_figures,
)
from actuals_pipeline.accuracy.models import score_models
from actuals_pipeline.accuracy.noise import ctr_noise, expected_purchases
from actuals_pipeline.accuracy.overdispersion import overdispersion_by_campaign
from actuals_pipeline.accuracy.pair import delivered_ads, pair
from actuals_pipeline.accuracy.point_errors import log_ratio_quantile, mae, r_squared, skill, wape
from actuals_pipeline.accuracy.ranking import hit_at, kendall, ndcg_at, regret_at, spearman
from actuals_pipeline.accuracy.score import score
from actuals_pipeline.accuracy.segments import segment_calibration
from actuals_pipeline.accuracy.shrinkage import shrunken_roas
from actuals_pipeline.accuracy.sums import Summed
from actuals_pipeline.accuracy.uncertainty import Assumptions, judge
from actuals_pipeline.accuracy.verdict import ctr_verdicts, roas_verdicts
from actuals_pipeline.frames import conform
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.videos import VIDEOS

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


VERSIONS: Final = 5
LIFE: Final = 28
AS_OF: Final = date(2026, 5, 20)
ACCOUNT: Final = "42"
AGES: Final[dict[str, Any]] = {"min_age_hours": 24, "max_age_days": 365, "default_zone": "UTC"}


class Launched:
    """The frames of the database as of a day on which every ad has run for 28 days."""

    def __init__(self, n_ads: int) -> None:
        rng = np.random.default_rng(7)
        ad = np.arange(n_ads)
        self.ad_ids = pd.Series([f"12020{n:010d}" for n in ad], dtype="str")
        self.first: pd.Series[Any] = pd.Series(
            [AS_OF - timedelta(days=int(n)) for n in rng.integers(30, 60, n_ads)], dtype=object
        )
        ctr = np.clip(0.02 * np.exp(rng.normal(0, 0.4, n_ads)), 0, 0.3)
        roas = 3 * np.exp(rng.normal(0, 0.4, n_ads))
        shown = np.rint(np.exp(rng.normal(6.5, 1.2, (n_ads, LIFE)))).astype(np.int64) + 1
        spend = shown
        sold = rng.poisson(roas[:, None] * spend / 2000)
        self.daily = {
            "impressions": shown.ravel(),
            "clicks": rng.binomial(shown, ctr[:, None]).ravel(),
            "spend": _money(spend.ravel()),
            "conversions": sold.ravel(),
            "revenue": _money((sold * rng.integers(1500, 2500, sold.shape)).ravel()),
        }
        self.videos = self._videos()
        campaign = pd.Series([f"campaign {n % CAMPAIGNS:03d}" for n in ad], dtype="str")
        self.places = pd.DataFrame(
            {"ad_id": self.ad_ids, "campaign_id": campaign, "adset_id": campaign}
        )
        self.predictions = self._predictions(ctr, roas, rng)
        self.changes = self._changes()
        days = list(DayWindow(AS_OF - timedelta(days=100), AS_OF))
        known = {"account_id": ACCOUNT, "report_date": days, "known_since": days}
        self.known_days = conform(pd.DataFrame(known), KNOWN_DAYS)
        of_account = {
            "is_reconstructed": False, "account_id": ACCOUNT, "report_date": days,
            "known_on": AS_OF, "impressions": 200_000, "clicks": 4000, "spend": Decimal(2000),
            "revenue": Decimal(6000),
        }  # fmt: skip
        self.account_days = conform(pd.DataFrame(of_account), KNOWN_ACCOUNT_DAYS)

    def _videos(self) -> pd.DataFrame:
        created = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in self.first]
        rows = {
            "video_id": "v" + self.ad_ids,
            "ad_id": self.ad_ids,
            "created_at": pd.Series(created) - pd.Timedelta(hours=20),
        }
        return conform(pd.DataFrame(rows), VIDEOS)

    def _predictions(self, ctr: Any, roas: Any, rng: np.random.Generator) -> pd.DataFrame:
        n = len(self.ad_ids) * VERSIONS
        version = np.repeat(np.arange(VERSIONS), len(self.ad_ids))
        rows = {
            "sequence": np.arange(1, n + 1),
            "prediction_id": [f"p{each}" for each in range(n)],
            "video_id": np.tile(self.videos["video_id"], VERSIONS),
            "model_name": "ranker",
            "model_version": version.astype(str),
            "predicted_ctr": np.tile(ctr, VERSIONS) * np.exp(rng.normal(0, 0.2, n)),
            "predicted_roas": np.tile(roas, VERSIONS) * np.exp(rng.normal(0, 0.3, n)),
            "logged_at": pd.concat([self.videos["created_at"]] * VERSIONS, ignore_index=True),
            "is_attested": True,
            "claimed_at": None,
            "received_at": pd.concat([self.videos["created_at"]] * VERSIONS, ignore_index=True),
        }
        return conform(pd.DataFrame(rows), PREDICTIONS)

    def _changes(self) -> pd.DataFrame:
        figures = {
            name: values.reshape(len(self.ad_ids), LIFE).sum(axis=1)
            for name, values in self.daily.items()
        }
        rows = {
            "is_reconstructed": False, "account_id": ACCOUNT, "ad_id": self.ad_ids,
            "known_on": AS_OF, "currency": "EUR", **figures, "settled_spend": figures["spend"],
            "first_shown_on": self.first, "last_shown_on": self.first + timedelta(days=LIFE - 1),
        }  # fmt: skip
        return conform(pd.DataFrame(rows), KNOWN_CHANGES)

    def window_days(self, asked: pd.DataFrame) -> pd.DataFrame:
        """What `warehouse.as_known.window_days` would read."""
        each = pd.DataFrame(
            {
                "ad_id": self.ad_ids.repeat(LIFE),
                "report_date": self.first.repeat(LIFE) + np.tile(_AFTER, len(self.ad_ids)),
            }
        ).reset_index(drop=True)
        windows = asked.drop_duplicates("reading")[["reading", *READ]]
        days = windows.merge(each.assign(**self.daily), on="ad_id")
        days = days[days["report_date"] <= days["until"]].assign(known_on=days["known_by"])
        return conform(days.reset_index(drop=True), WINDOW_DAYS)


_AFTER: Final = np.array([timedelta(days=n) for n in range(LIFE)])


def _money(cents: Any) -> Any:
    return np.array([Decimal(each).scaleb(-2) for each in cents.tolist()], dtype=object)


def scoring_path(launched: Launched, watch: Watch) -> pd.DataFrame:
    """From the frames of the database to `model_accuracy`, as `orchestration/launches.py` goes."""
    of = launched
    seen = watch.run("known days", lambda: Knowledge.of(of.known_days, {}, "UTC").seen_since)
    pairs = watch.run(
        "pair",
        lambda: pair(
            of.predictions, of.videos, of.changes, {}, [AS_OF], known_days=of.known_days, **AGES
        ),
    )
    asked = watch.run("launch windows", lambda: asked_windows(pairs, seen, evaluation_days=365))
    days = of.window_days(asked)

    def shares(_: Any, ages: Any, __: Any) -> tuple[Any, Any]:
        share = 1 - 0.5 * np.exp(-np.asarray(ages, dtype=float) / 3)
        return share, 0.1 * share * (1 - share)

    figures = watch.run(
        f"their figures, of {len(days):,} ad-days", lambda: window_figures(asked, days, shares)
    )
    windows = watch.run(
        "pairs of the windows",
        lambda: launch_pairs(
            pairs, figures, of.videos, {}, known_days=of.known_days, evaluation_days=365,
            default_zone="UTC",
        ),
    )  # fmt: skip
    scored = watch.run("score", lambda: score(pd.concat([pairs, windows], ignore_index=True)))
    rates = watch.run("baseline", lambda: account_rates(scored, of.account_days, seen))
    judged = watch.run(
        f"judge {len(scored):,} rows",
        lambda: judge(
            scored, places=of.places, asked=asked, days=days, baselines=rates,
            assumptions=Assumptions(),
        ),
    )  # fmt: skip
    delivered = watch.run(
        "delivered ads",
        lambda: delivered_ads(
            of.videos, of.changes, {}, [AS_OF], seen_since=seen, evaluation_days=365, **AGES
        ),
    )
    models: pd.DataFrame = watch.run("score models", lambda: score_models(judged, delivered))
    return models


@click.command()
@click.option("--pairs", default=100_000, show_default=True)
@click.option("--path", "follows_path", is_flag=True, help="From the database's frames to models.")
@click.option("--profile", "profiles", is_flag=True, help="Profile the path.")
def main(*, pairs: int, follows_path: bool, profiles: bool) -> None:
    """Print what each piece takes."""
    watch = Watch()
    click.echo(f"{f'{pairs:,} pairs':<44}{'CPU s':>8}{'wall s':>8}")
    if follows_path:
        launched = Launched(pairs // VERSIONS)
        with cProfile.Profile() if profiles else nullcontext() as profiler:
            scoring_path(launched, watch)
        if profiler:
            pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    else:
        made = Made(pairs)
        ctr, roas = pieces_of_pairs(made, watch)
        pieces_of_models(made, ctr, roas, watch)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"{'all':<44}{watch.cpu:>8.3f}{watch.wall:>8.3f}   peak {megabytes:,.0f} MB")
    if pairs <= 100_000 and (watch.cpu > MOST_SECONDS or megabytes > MOST_MEGABYTES):
        sys.exit(1)


if __name__ == "__main__":
    main()
