"""How good a model version was: its pairs summed up, beside chance and beside having no model.

Of launch_to_date every eligible pair counts.  The headline takes each ad once: its CTR of the
first seven days and its ROAS of the first 28, each when final, and a ROAS only if enough of its
revenue is in.  Pairs of imported predictions make a headline of their own.

Predictions made after the launch are never part of an accuracy; what they would have scored is
said beside it (`leaked_accuracy`), because a model that can see the results shows by it.

What cannot be known is missing, never 0 and never 100.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from actuals_pipeline.accuracy.achievable import accuracy_of_achievable
from actuals_pipeline.accuracy.bootstrap import bootstrap_intervals
from actuals_pipeline.accuracy.columns import Floats, Positions, codes_of
from actuals_pipeline.accuracy.contract import DELIVERED_ADS, JUDGED_PAIRS, MODEL_ACCURACY
from actuals_pipeline.accuracy.protocols import (
    HEADLINE,
    HEADLINE_UNATTESTED,
    LAUNCH_D7,
    LAUNCH_LTD28,
    LAUNCH_TO_DATE,
)
from actuals_pipeline.accuracy.sums import mean_of, means_by
from actuals_pipeline.accuracy.uncertainty import clusters_of
from actuals_pipeline.frames import Kind, check_columns, check_frame, conform, refuse_rows
from actuals_pipeline.money import ZERO, exact_sums, ratio

_MODEL = list(MODEL_ACCURACY.key)
_AD = list(DELIVERED_ADS.key)
_RUN = ["as_of_date", "protocol"]
_SERIES = ["as_of_date", "ad_id", "model_name", "model_version"]
_METRICS = ("ctr", "roas")
_READ = [
    *_MODEL,
    *("ad_id", "campaign_id", "status", "currency", "spend", "settled_spend_share"),
    *("is_attested", "is_provisional", "is_reconstructed"),
    *(
        name.format(metric)
        for metric in _METRICS
        for name in ("predicted_{}", "actual_{}", "baseline_{}")
    ),
    *(f"{metric}_{name}" for metric in _METRICS for name in ("accuracy", "verdict", "ceiling")),
]
"""What is read of a pair: half of its columns, which are copied several times."""
_NONE_UNMATCHED = pd.DataFrame(
    columns=["as_of_date", "model_name", "model_version", "n_unmatched", "is_attested"],
    dtype=object,
)
_COUNTS = [column.name for column in MODEL_ACCURACY.columns if column.kind is Kind.COUNT]


def score_models(
    judged: pd.DataFrame, delivered: pd.DataFrame, unmatched: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The MODEL_ACCURACY frame: one row per as-of day, model version and protocol, by key.

    `judged` is a JUDGED_PAIRS frame, of which launch_to_date is summed up as it is and the launch
    windows make the headlines; `delivered` the DELIVERED_ADS frame of the same days (see
    `pair.delivered_ads`), which coverage is a share of; `unmatched` counts the predicted videos
    without a pair (see `pair.unmatched_videos`; None: there are none); a model version that has no
    pair at all on a day has its rows all the same, to show them.  Only `eligible` pairs make
    the headline; each pair weighs the same.  `coverage_spend` and `settled_spend_share` are
    missing where the amounts are of several currencies.  `FrameMismatch` when an eligible pair's
    ad is not among the delivered.
    """
    check_columns(judged, JUDGED_PAIRS)
    check_columns(delivered, DELIVERED_ADS)
    read = judged[_READ]
    to_date = read[read["protocol"].eq(LAUNCH_TO_DATE)]
    pairs = _with_headline(pd.concat([to_date, headline_pairs(read)]), delivered)
    unmatched = _NONE_UNMATCHED if unmatched is None else unmatched
    paired = pairs.drop_duplicates("model", ignore_index=True)[_MODEL]
    told = paired.assign(
        **_counts(pairs), **_means(pairs), **_money(pairs), **_against_chance(pairs, paired)
    )
    models = (
        _models(paired, unmatched)
        .merge(told, how="left", on=_MODEL, validate="one_to_one")
        .merge(_delivered_by_day(delivered), how="left", on=_RUN, validate="many_to_one")
        .merge(
            unmatched.drop(columns="is_attested"),
            how="left",
            on=["as_of_date", "model_name", "model_version"],
            validate="many_to_one",
        )
    )
    counts = models.columns.intersection(_COUNTS).tolist()
    zeros = dict.fromkeys([*counts, "n_answered", "n_delivered", "covered_spend"], 0)
    models = models.fillna(zeros)
    n_delivered = models["n_delivered"]
    accuracy = conform(
        models.assign(
            n_no_prediction=n_delivered - models["n_answered"],
            coverage_ads=ratio(models["n_pairs"], n_delivered),
            coverage_spend=ratio(models["covered_spend"], models["delivered_spend"]).where(
                models["n_delivered_currencies"] <= 1
            ),
        ),
        MODEL_ACCURACY,
    )
    check_frame(accuracy, MODEL_ACCURACY)
    return accuracy


def _models(paired: pd.DataFrame, unmatched: pd.DataFrame) -> pd.DataFrame:
    """The model versions of each day and protocol, by key; those without any pair as well."""
    version = ["as_of_date", "model_name", "model_version"]
    has_pair = pd.MultiIndex.from_frame(unmatched[version]).isin(
        pd.MultiIndex.from_frame(paired[version])
    )
    alone = unmatched[~has_pair]
    is_attested = alone["is_attested"].astype(bool)
    shown = [
        alone[version].assign(protocol=LAUNCH_TO_DATE),
        alone[version].assign(protocol=np.where(is_attested, HEADLINE, HEADLINE_UNATTESTED)),
    ]
    return pd.concat([paired, *shown]).sort_values(_MODEL, ignore_index=True)[_MODEL]


def headline_pairs(judged: pd.DataFrame) -> pd.DataFrame:
    """One row an ad and model version as of a day: final CTR and final ROAS side by side.

    The columns of `judged`, the figures those of the first seven days but for what is said of
    ROAS.  A metric that is not final has no accuracy; a row counts (`eligible`) if either is.
    A leaked row has the accuracy that it would have had.
    """
    ctr = judged[judged["protocol"].eq(LAUNCH_D7.name)]
    roas = judged[judged["protocol"].eq(LAUNCH_LTD28.name)].set_index(_SERIES)
    roas = roas.reindex(pd.MultiIndex.from_frame(ctr[_SERIES])).set_axis(ctr.index)
    of_roas = [name for name in judged.columns if "roas" in name]
    final_ctr = ctr["status"].eq("eligible")
    final_roas = roas["status"].eq("eligible") & roas["is_provisional"].eq(other=False)
    final = {
        "ctr": final_ctr | _is_leaked_and_final(ctr),
        "roas": final_roas | _is_leaked_and_final(roas),
    }
    pairs = ctr.assign(
        **{name: roas[name] for name in of_roas},
        protocol=np.where(ctr["is_attested"], HEADLINE, HEADLINE_UNATTESTED),
        status=ctr["status"].where(~final_roas, "eligible"),
        settled_spend_share=np.where(final_roas, 1.0, 0.0),
    )
    return pairs.assign(
        **{
            f"{metric}_{name}": pairs[f"{metric}_{name}"].where(final[metric])
            for metric in _METRICS
            for name in ("accuracy", "verdict")
        }
    )


def _is_leaked_and_final(pairs: pd.DataFrame) -> pd.Series[bool]:
    return pairs["status"].eq("leaked") & pairs["is_provisional"].eq(other=False)


def _with_headline(scored: pd.DataFrame, delivered: pd.DataFrame) -> pd.DataFrame:
    """The pairs in key order, with their accuracy, their ad's spend, and whether they count.

    `model` numbers their models, in that order.
    """
    comparable = delivered[[*_AD, "spend"]].rename(columns={"spend": "ad_spend"})
    # One order, because adding floats in another gives other last digits.
    pairs = scored.sort_values([*_MODEL, "ad_id"]).merge(
        comparable, how="left", on=_AD, validate="many_to_one"
    )
    accuracy = pairs[["ctr_accuracy", "roas_accuracy"]].mean(axis=1)
    is_eligible = pairs["status"].eq("eligible")
    is_delivered = pairs["ad_spend"].notna()
    refuse_rows(pairs, JUDGED_PAIRS, "status", is_eligible & ~is_delivered, "is of a delivered ad")
    return pairs.assign(
        model=pairs.groupby(_MODEL).ngroup(),
        accuracy=accuracy,
        is_delivered=is_delivered,
        is_eligible=is_eligible,
        in_headline=is_eligible & accuracy.notna(),
    )


def _counts(pairs: pd.DataFrame) -> dict[str, Positions]:
    """By model: how many pairs there are of each sort."""
    # As categories, because texts would be compared letter by letter for each of them.
    status, counted = pairs["status"].astype("category"), pairs["in_headline"]
    flags = {
        "n_pairs": counted,
        "n_ctr": counted & pairs["ctr_accuracy"].notna(),
        "n_roas": counted & pairs["roas_accuracy"].notna(),
        "n_predicted": status.notna(),
        "n_leaked": status.eq("leaked"),
        "n_no_delivery": status.eq("no_delivery"),
        "n_ambiguous": status.eq("ambiguous"),
        "n_invalid": status.eq("invalid_prediction"),
        "n_too_young": status.eq("too_young"),
        "n_too_old": status.eq("too_old"),
        "n_immature": status.eq("immature"),
        "n_incomplete_history": status.eq("incomplete_history"),
        "n_reconstructed": counted & pairs["is_reconstructed"],
        "n_unattested": counted & ~pairs["is_attested"],
        "n_unscored": pairs["is_eligible"] & ~counted,
        "n_answered": pairs["is_delivered"],
    }
    model = pairs["model"].to_numpy()
    n_models = int(model.max(initial=-1)) + 1
    return {
        name: np.bincount(model[flag.to_numpy(dtype=bool)], minlength=n_models)
        for name, flag in flags.items()
    }


def _means(pairs: pd.DataFrame) -> dict[str, Floats]:
    """By model: what is the mean of something over its pairs."""
    counted = pairs["in_headline"]
    gaps = {
        metric: (pairs[f"predicted_{metric}"] - pairs[f"actual_{metric}"])
        .abs()
        .where(counted & pairs[f"{metric}_accuracy"].notna())
        for metric in ("ctr", "roas")
    }
    means = {
        "ctr_mae": 100 * gaps["ctr"],
        "roas_mae": gaps["roas"],
        "prediction_accuracy": 100 * pairs["accuracy"].where(counted),
        "leaked_accuracy": 100 * pairs["accuracy"].where(pairs["status"].eq("leaked")),
    }
    model = pairs["model"].to_numpy()
    return {name: means_by(model, each) for name, each in means.items()}


def _money(pairs: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    """By model: the delivered spend that its headline covers, and the settled share of it."""
    counted = pairs["in_headline"]
    spend = pairs["spend"].where(counted, ZERO).astype(float)
    share = pairs["settled_spend_share"].fillna(0)
    columns = pairs[["model"]].assign(
        covered_spend=pairs["ad_spend"].where(counted, ZERO),
        settled=spend * share,
        unsettled=spend * (1 - share),
        currency=pairs["currency"].where(counted),
    )
    by_model = columns.groupby("model")
    sums = by_model[["settled", "unsettled"]].sum()
    # The two parts rather than the whole: so no rounding lifts the share above 1.
    settled_share = ratio(sums["settled"], sums["settled"] + sums["unsettled"])
    one_currency = by_model["currency"].nunique() <= 1
    return {
        "covered_spend": exact_sums(columns, ["model"], ["covered_spend"])["covered_spend"],
        "settled_spend_share": settled_share.where(one_currency),
    }


def _delivered_by_day(delivered: pd.DataFrame) -> pd.DataFrame:
    by_day = delivered.groupby(_RUN)
    return (
        exact_sums(delivered, _RUN, ["spend"])
        .rename(columns={"spend": "delivered_spend"})
        .assign(n_delivered=by_day.size(), n_delivered_currencies=by_day["currency"].nunique())
        .reset_index()
    )


def _against_chance(pairs: pd.DataFrame, models: pd.DataFrame) -> dict[str, Any]:
    """By model: the interval of its accuracy, the ceiling, the baseline, and what is unresolved."""
    codes = pairs["model"].to_numpy()
    baselines = {each: _accuracy_of(pairs, each) for each in _METRICS}
    ceilings = {each: pairs[f"{each}_ceiling"] for each in _METRICS}
    own = {each: pairs[f"{each}_accuracy"] for each in _METRICS}
    # All three on the pairs that have a baseline, or they could not be compared.
    accuracy, baseline, ceiling = (
        _means_of_pairs(
            pairs,
            codes,
            {each: values.where(baselines[each].notna()) for each, values in of.items()},
        )
        for of in (own, baselines, ceilings)
    )
    return {
        **_intervals(pairs, models, codes),
        "noise_ceiling": _means_of_pairs(pairs, codes, ceilings),
        "baseline_accuracy": baseline,
        "accuracy_of_achievable": [
            accuracy_of_achievable(each, baseline=low, ceiling=high)
            for each, low, high in zip(accuracy, baseline, ceiling, strict=True)
        ],
        "unresolved_share": _unresolved(pairs, codes),
    }


def _intervals(
    pairs: pd.DataFrame, models: pd.DataFrame, codes: Positions
) -> dict[str, list[float]]:
    """The interval of each model's accuracy, and the clusters that it rests on."""
    counted = pairs["in_headline"].to_numpy(dtype=bool)
    accuracy = 100 * pairs["accuracy"].to_numpy()
    clusters, _ = codes_of("clusters", clusters_of(pairs), len(pairs))
    found = []
    for code, key in enumerate(models.itertuples(index=False, name=None)):
        rows = np.flatnonzero(counted & (codes == code))
        found.append(
            bootstrap_intervals(
                {"accuracy": mean_of(accuracy[rows])},
                clusters[rows],
                seed_text=" ".join(["model_accuracy", *map(str, key)]),
            )["accuracy"]
        )
    return {
        "prediction_accuracy_low": [each.low for each in found],
        "prediction_accuracy_high": [each.high for each in found],
        "n_clusters": [each.n_clusters for each in found],
    }


def _unresolved(pairs: pd.DataFrame, codes: Positions) -> Floats:
    """By model: the share of the verdicts that need more data."""
    verdicts = [pairs[f"{each}_verdict"].where(pairs["in_headline"]) for each in _METRICS]
    is_one = [each.eq("unresolved").astype("float64").where(each.notna()) for each in verdicts]
    return means_by(np.tile(codes, len(_METRICS)), pd.concat(is_one))


def _means_of_pairs(
    pairs: pd.DataFrame, codes: Positions, by_metric: dict[str, pd.Series[float]]
) -> Floats:
    """By model, in percent: the mean over its pairs of the mean over the metrics of each."""
    scored = {
        each: values.where(pairs["in_headline"] & pairs[f"{each}_accuracy"].notna())
        for each, values in by_metric.items()
    }
    return 100 * means_by(codes, pd.concat(scored, axis=1).mean(axis=1))


def _accuracy_of(pairs: pd.DataFrame, metric: str) -> pd.Series[float]:
    """The accuracy that the baseline would have had as a prediction of each pair."""
    predicted, actual = pairs[f"baseline_{metric}"], pairs[f"actual_{metric}"]
    accuracy = 1 - (predicted - actual).abs() / predicted.where(predicted > 0)
    return accuracy.clip(0, 1).where(pairs[f"{metric}_accuracy"].notna())
