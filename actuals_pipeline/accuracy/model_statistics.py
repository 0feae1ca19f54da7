"""Everything else that is said of a model version's final comparisons, one statistic a row.

Of the pairs that make a headline: calibration, entropy, errors with and without chance, skill
against the baseline, the order within ad sets, the decision at break-even, calibration by
campaign and account, and the difference to the version before on the ads of both.  Figures made
of sums have a 95 % interval by campaign.

Money of several currencies is never added up: then what weighs by money is told of each currency
by itself, as a segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.achievable import (
    excess_ctr_error,
    excess_roas_error,
    noise_corrected_ctr_error,
    noise_corrected_roas_error,
)
from actuals_pipeline.accuracy.beta_prior import fit_beta_priors, shrunken_rates
from actuals_pipeline.accuracy.bootstrap import bootstrap_difference, bootstrap_intervals
from actuals_pipeline.accuracy.break_even import against_the_bar
from actuals_pipeline.accuracy.calibration import (
    calibration_bins,
    calibration_line,
    calibration_ratio,
    expected_calibration_error,
    expected_calibration_noise,
)
from actuals_pipeline.accuracy.columns import Floats
from actuals_pipeline.accuracy.comparable import (
    CtrPairs,
    RoasPairs,
    is_comparable_ctr,
    is_comparable_roas,
)
from actuals_pipeline.accuracy.contract import JUDGED_PAIRS, MODEL_STATISTICS
from actuals_pipeline.accuracy.entropy import (
    brier,
    entropy_floor,
    explained_share,
    log_loss,
    normalized_entropy,
)
from actuals_pipeline.accuracy.intervals import ORDER_VALUE_CV, Interval
from actuals_pipeline.accuracy.models import headline_pairs
from actuals_pipeline.accuracy.noise import any_error_p
from actuals_pipeline.accuracy.point_errors import log_ratio_quantile, mae, skill, smape, wape
from actuals_pipeline.accuracy.protocols import LAUNCH_D7, LAUNCH_LTD28
from actuals_pipeline.accuracy.ranking import hit_at, kendall, ndcg_at, regret_at, spearman
from actuals_pipeline.accuracy.segments import segment_calibration
from actuals_pipeline.accuracy.shrinkage import shrunken_roas
from actuals_pipeline.accuracy.sums import Summed, mean_of
from actuals_pipeline.accuracy.uncertainty import clusters_of
from actuals_pipeline.frames import check_columns, check_frame, conform, empty_frame

BREAK_EVEN = 1.0
"""The ROAS at which an ad earns what it costs, before the cost of what it sells."""

TOP = 3
"""Ads of an ad set that are picked when the order is judged."""

MOST_SEGMENTS = 50
"""Segments of a kind that are told, those with most pairs first."""

_MODEL = ["as_of_date", "protocol", "model_name", "model_version"]
_FAMILY = ["as_of_date", "protocol", "model_name"]

Row = dict[str, Any]


def model_statistics(judged: pd.DataFrame) -> pd.DataFrame:
    """The MODEL_STATISTICS frame of a JUDGED_PAIRS frame, by key.

    Only final pairs count; of a model version without any there is no row.  A statistic that is
    undefined, as the order of ads in ad sets of one, has none either.
    """
    check_columns(judged, JUDGED_PAIRS)
    protocols = _final(judged)
    rows: list[Row] = []
    for key, part in protocols.groupby(_MODEL, sort=True):
        named = dict(zip(_MODEL, key, strict=True))
        rows += [named | row for row in _Version(part, _seed(key)).statistics()]
    for key, part in headline_pairs(judged).groupby(_FAMILY, sort=True):
        named = dict(zip(_FAMILY, key, strict=True))
        rows += [named | row for row in _differences(part, _seed(key))]
    told = [row for row in rows if np.isfinite(row["value"])]
    if not told:
        return empty_frame(MODEL_STATISTICS)
    frame = pd.DataFrame(told).reindex(columns=MODEL_STATISTICS.names)
    frame = frame.assign(is_off=frame["is_off"].eq(other=True), segment=frame["segment"].fillna(""))
    found = conform(
        frame.sort_values(list(MODEL_STATISTICS.key), ignore_index=True), MODEL_STATISTICS
    )
    check_frame(found, MODEL_STATISTICS)
    return found


def _seed(key: tuple[Any, ...]) -> str:
    return " ".join(["model_statistics", *map(str, key)])


def _final(judged: pd.DataFrame) -> pd.DataFrame:
    """The final pairs of both launch windows under the name of the headline that they make."""
    windows = judged["protocol"].isin([LAUNCH_D7.name, LAUNCH_LTD28.name])
    counted = judged["status"].eq("eligible") & ~judged["is_provisional"]
    final = judged[windows & counted]
    headline = np.where(final["is_attested"], "headline", "headline_unattested")
    return final.assign(window=final["protocol"], protocol=headline, cluster=clusters_of(final))


@dataclass(frozen=True, slots=True, eq=False)
class _Version:
    """The final pairs of one model version as of a day."""

    pairs: pd.DataFrame
    seed: str

    def statistics(self) -> Iterator[Row]:
        ctr = self.pairs[self.pairs["window"].eq(LAUNCH_D7.name)]
        known = is_comparable_ctr(ctr["predicted_ctr"], ctr["impressions"], ctr["clicks"])
        yield from self.of_ctr(ctr[known].sort_values("ad_id"))
        roas = self.pairs[self.pairs["window"].eq(LAUNCH_LTD28.name)]
        roas = roas.assign(
            mature_spend=roas["spend"].astype("float64") * roas["completeness"].fillna(1.0)
        )
        known = is_comparable_roas(roas["predicted_roas"], roas["mature_spend"], roas["revenue"])
        known &= roas["order_value"].gt(0).to_numpy()
        roas = roas[known].sort_values("ad_id")
        by_currency = {str(currency): part for currency, part in roas.groupby("currency")}
        for currency, part in by_currency.items():
            segment = "" if len(by_currency) == 1 else f"currency {currency}"
            yield from self.of_roas(part, segment)

    def of_ctr(self, rows: pd.DataFrame) -> Iterator[Row]:
        if rows.empty:
            return
        pairs = CtrPairs.of(
            rows["predicted_ctr"],
            rows["impressions"],
            rows["clicks"],
            np.maximum(rows["dispersion"], 1.0),
        )
        told = _Told("ctr", rows, self.seed)
        summed: dict[str, tuple[Summed, str]] = {
            "calibration": (calibration_ratio(pairs), "predicted / observed"),
            "log_loss": (log_loss(pairs), "nats"),
            "ne": (normalized_entropy(pairs), "of the pairs' own rate"),
            "ne_floor": (entropy_floor(pairs), "of the pairs' own rate"),
            "explained": (explained_share(pairs), "fraction"),
            "brier": (brier(pairs), "squared fraction"),
            "mae": (mae(pairs.predicted, pairs.actual), "fraction"),
            "weighted_mae": (mae(pairs.predicted, pairs.actual, pairs.impressions), "fraction"),
            "wape": (wape(pairs.predicted, pairs.actual, pairs.impressions), "fraction"),
            "smape": (smape(pairs.predicted, pairs.actual), "fraction"),
            "excess_error": (excess_ctr_error(pairs), "fraction"),
            "rmse_without_noise": (noise_corrected_ctr_error(pairs), "fraction"),
        }
        yield from told.summed(summed)
        yield from self._against_the_baseline(rows, told)
        line = calibration_line(pairs)
        half = 1.96 * line.slope_error
        yield told.row("slope", line.slope, "logit / logit", line.slope - half, line.slope + half)
        bins = calibration_bins(pairs)
        yield told.row("ece", expected_calibration_error(bins), "fraction")
        yield told.row("ece_of_a_perfect_model", expected_calibration_noise(bins), "fraction")
        yield from self._everyday(rows, told)
        priors = fit_beta_priors(
            pairs.clicks / pairs.overdispersion,
            pairs.impressions / pairs.overdispersion,
            rows["cluster"],
        )
        rates = shrunken_rates(
            pairs.clicks / pairs.overdispersion,
            pairs.impressions / pairs.overdispersion,
            priors,
            rows["cluster"],
        )
        rates = np.where(np.isnan(rates), pairs.actual, rates)
        yield from self._order(rows, pairs.predicted, pairs.actual, rates, told)
        yield from self._segments(pairs, rows, told)

    def of_roas(self, rows: pd.DataFrame, segment: str) -> Iterator[Row]:
        pairs = RoasPairs.of(
            rows["predicted_roas"],
            rows["mature_spend"],
            rows["revenue"].astype("float64"),
            order_value=rows["order_value"],
            # The scatter of a purchase's value that the pair was judged with.
            order_value_cv=_cv(rows),
        )
        told = _Told("roas", rows, self.seed, segment)
        summed: dict[str, tuple[Summed, str]] = {
            "calibration": (calibration_ratio(pairs), "predicted / observed"),
            "mae": (mae(pairs.predicted, pairs.actual), "multiple"),
            "weighted_mae": (mae(pairs.predicted, pairs.actual, pairs.spend), "multiple"),
            "excess_error": (excess_roas_error(pairs), "multiple"),
            "rmse_without_noise": (noise_corrected_roas_error(pairs), "multiple"),
        }
        if pairs.revenue.sum() > 0:
            summed["wape"] = (wape(pairs.predicted, pairs.actual, pairs.spend), "fraction")
        yield from told.summed(summed)
        yield from self._against_the_baseline(rows, told)
        yield from self._everyday(rows, told)
        shrunken = shrunken_roas(pairs, rows["cluster"])
        # A campaign that sold nothing draws its ads nowhere.
        shrunken = np.where(np.isnan(shrunken), pairs.actual, shrunken)
        yield from self._order(rows, pairs.predicted, pairs.actual, shrunken, told)
        low, high = rows["roas_low"].to_numpy(), rows["roas_high"].to_numpy()
        bar = against_the_bar(
            pairs.predicted, Interval(low, high), bar=BREAK_EVEN, weights=pairs.spend
        )
        yield from told.summed(
            {
                "break_even_precision": (bar.precision, "fraction of spend"),
                "break_even_recall": (bar.recall, "fraction of spend"),
            },
            with_intervals=False,
        )
        if not segment:
            yield from self._segments(pairs, rows, told)

    @staticmethod
    def _against_the_baseline(rows: pd.DataFrame, told: _Told) -> Iterator[Row]:
        metric = told.metric
        known = rows[rows[f"baseline_{metric}"].notna()]
        if known.empty:
            return
        predicted, actual, baseline = (
            known[f"{name}_{metric}"] for name in ("predicted", "actual", "baseline")
        )
        against = {"skill": (skill(predicted, actual, baseline=baseline), "1 - MAE / baseline's")}
        if metric == "ctr":
            pairs = CtrPairs.of(predicted, known["impressions"], known["clicks"])
            asof = normalized_entropy(pairs, background=baseline)
            against["ne_asof"] = (asof, "of the baseline")
        yield from told.of(known).summed(against)

    @staticmethod
    def _everyday(rows: pd.DataFrame, told: _Told) -> Iterator[Row]:
        metric = told.metric
        actual = np.maximum(rows[f"actual_{metric}"], 0.0)
        ninth = log_ratio_quantile(rows[f"predicted_{metric}"], actual)
        yield told.row("log_ratio_p90", ninth, "|ln(predicted / actual)|")
        yield told.row("any_error_p", any_error_p(rows[f"{metric}_z"]), "probability")
        resolved = rows[f"{metric}_verdict"].dropna()
        for verdict in ("within_tolerance", "under", "over", "unresolved"):
            share = resolved.eq(verdict).mean() if len(resolved) else np.nan
            yield told.row(f"share_{verdict}", float(share), "fraction of pairs")

    @staticmethod
    def _order(
        rows: pd.DataFrame, predicted: Any, actual: Any, shrunken: Any, told: _Told
    ) -> Iterator[Row]:
        groups = rows["adset_id"].where(rows["adset_id"].notna(), rows["cluster"])
        order = {
            "spearman": spearman(predicted, actual, groups),
            "kendall": kendall(predicted, actual, groups),
            f"hit_at_{TOP}": hit_at(TOP, predicted, shrunken, groups),
            f"regret_at_{TOP}": regret_at(TOP, predicted, shrunken, groups),
            "ndcg": ndcg_at(None, predicted, np.maximum(shrunken, 0.0), groups),
        }
        units = {"spearman": "-1..1", "kendall": "-1..1"}
        for name, by_group in order.items():
            value = by_group.pooled.value
            row = told.row(name, value, units.get(name, "fraction"))
            yield row | {"n_pairs": int(by_group.n_ads.sum()), "n_clusters": len(by_group.groups)}

    @staticmethod
    def _segments(pairs: CtrPairs | RoasPairs, rows: pd.DataFrame, told: _Told) -> Iterator[Row]:
        kinds: Mapping[str, pd.Series[Any]] = {
            "campaign": rows["cluster"],
            "account": rows["account_id"],
        }
        for kind, labels in kinds.items():
            if labels.nunique() < 2:
                continue
            found = segment_calibration(pairs, labels).nlargest(MOST_SEGMENTS, "n_pairs")
            for each in found.to_dict("records"):
                yield told.row(
                    "calibration",
                    each["pooled_calibration"],
                    "predicted / observed, drawn to the others",
                    each["pooled_low"],
                    each["pooled_high"],
                ) | {
                    "segment": f"{kind} {each['segment']}",
                    "n_pairs": int(each["n_pairs"]),
                    "is_off": bool(each["is_off"]),
                }


def _cv(rows: pd.DataFrame) -> Floats:
    """The order value's scatter behind `roas_relative_se`, which is `sqrt((1 + cv^2) / n)`."""
    purchases = rows["conversions"].astype("float64")
    square = rows["roas_relative_se"] ** 2 * purchases - 1
    return np.asarray(np.sqrt(square.clip(lower=0).fillna(ORDER_VALUE_CV**2)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    """Rows of statistics about some pairs."""

    metric: str
    pairs: pd.DataFrame
    seed: str
    segment: str = ""

    def of(self, pairs: pd.DataFrame) -> _Told:
        return _Told(self.metric, pairs, self.seed, self.segment)

    def row(
        self,
        name: str,
        value: float,
        unit: str,
        low: float = float("nan"),
        high: float = float("nan"),
    ) -> Row:
        return {
            "statistic": f"{self.metric}_{name}",
            "segment": self.segment,
            "value": value,
            "low": low,
            "high": high,
            "unit": unit,
            "n_pairs": len(self.pairs),
            "n_clusters": self.pairs["cluster"].nunique(),
        }

    def summed(
        self, figures: Mapping[str, tuple[Summed, str]], *, with_intervals: bool = True
    ) -> Iterator[Row]:
        found = (
            bootstrap_intervals(
                {name: figure for name, (figure, _) in figures.items()},
                self.pairs["cluster"],
                seed_text=f"{self.seed} {self.metric} {self.segment}",
            )
            if with_intervals
            else {}
        )
        for name, (figure, unit) in figures.items():
            interval = found.get(name)
            ends = (interval.low, interval.high) if interval else ()
            yield self.row(name, figure.value, unit, *ends)


def _differences(pairs: pd.DataFrame, seed: str) -> Iterator[Row]:
    """Each version's accuracy less that of the version before it, on the ads of both."""
    accuracy = pairs[["ctr_accuracy", "roas_accuracy"]].mean(axis=1)
    counted = pairs.assign(accuracy=100 * accuracy, cluster=clusters_of(pairs))
    counted = counted[counted["accuracy"].notna() & counted["status"].eq("eligible")]
    began = counted.groupby("model_version")["predicted_at"].min().sort_values(kind="stable")
    versions = [str(version) for version in began.index]
    for before, version in pairwise(versions):
        both = counted[counted["model_version"].eq(version)].merge(
            counted.loc[counted["model_version"].eq(before), ["ad_id", "accuracy"]],
            on="ad_id",
            suffixes=("", "_before"),
            validate="one_to_one",
        )
        if both.empty:
            continue
        both = both.sort_values("ad_id")
        found = bootstrap_difference(
            mean_of(both["accuracy"]),
            mean_of(both["accuracy_before"]),
            both["cluster"],
            seed_text=f"{seed} {version} {before}",
        )
        yield {
            "model_version": version,
            "statistic": "accuracy_difference",
            "segment": f"version {before}",
            "value": found.interval.value,
            "low": found.interval.low,
            "high": found.interval.high,
            "unit": "points of accuracy",
            "n_pairs": len(both),
            "n_clusters": found.interval.n_clusters,
            "verdict": _VERDICTS.get(found.verdict or ""),
        }


_VERDICTS: Mapping[str, str] = {
    "first_higher": "better",
    "first_lower": "worse",
    "unresolved": "unresolved",
}
