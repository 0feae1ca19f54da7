"""Join each prediction to what its ad did, as of a day, without letting the future in.

A prediction counts only if the database had it before the first day with impressions began in
the ad account's time zone: a prediction made later may have seen the results, and a model that is
scored again after launch would otherwise win by hindsight.  Such a pair is kept as `leaked`.

Every predicted ad has a row, whether it was shown or not, because leaving out the ads that never
ran would flatter the model.  Which rows count is said by `status`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from actuals_pipeline.accuracy.as_known import Knowledge
from actuals_pipeline.accuracy.contract import (
    DELIVERED_ADS,
    PAIRS,
    PREDICTIONS,
)
from actuals_pipeline.accuracy.launch_to_date import launch_to_date
from actuals_pipeline.accuracy.protocols import (
    HEADLINE,
    HEADLINE_UNATTESTED,
    LAUNCH_D7,
    LAUNCH_TO_DATE,
)
from actuals_pipeline.frames import check_frame, conform, empty_frame, first_that_applies
from actuals_pipeline.report_days import day_start, time_zone
from actuals_pipeline.videos import VIDEOS, one_video_per_ad

_SERIES = ["ad_id", "model_name", "model_version"]


def pair(
    predictions: pd.DataFrame,
    videos: pd.DataFrame,
    changes: pd.DataFrame,
    time_zones: Mapping[str, str],
    as_of_days: Sequence[date],
    *,
    known_days: pd.DataFrame | None = None,
    min_age_hours: int,
    max_age_days: int,
    default_zone: str,
) -> pd.DataFrame:
    """The PAIRS frame of launch_to_date, by key: one row per as-of day, ad and model version.

    A row stands for every ad of a video that existed and had a prediction by the end of the
    as-of day, which is midnight after it in the account's zone (`default_zone` while the account
    is unknown).  `changes` (KNOWN_CHANGES) holds what came to be known of all days since launch;
    what was learnt after the as-of day is not looked at.  A video's age counts from `created_at`
    to the end of the as-of day.  `known_days` (KNOWN_DAYS) gives the report days that were fetched
    whole (None: all of them, at once); an ad with days unknown between its video's creation and
    the as-of day is not compared, because its launch may lie in them.  `videos` may say since which
    day each is known to run as its ad (`known_on`, see `linked.videos_known_by`).
    `FrameMismatch` when a frame breaks its contract.
    """
    check_frame(predictions, PREDICTIONS, exact=False)
    check_frame(videos, VIDEOS, exact=False)
    # Without either figure nothing was predicted (table 1.2: excluded, counted as no prediction).
    predictions = predictions.dropna(subset=["predicted_ctr", "predicted_roas"], how="all")
    # What was said of any video of an ad was said of the ad.
    predictions = predictions.merge(
        videos[["video_id", "ad_id"]], on="video_id", validate="many_to_one"
    )
    ads = one_video_per_ad(videos)
    ads = ads[ads["ad_id"].isin(predictions["ad_id"])].reset_index(drop=True)
    knowledge = Knowledge.of(known_days, time_zones, default_zone)
    to_date = launch_to_date(
        ads,
        changes,
        time_zones,
        as_of_days,
        default_zone=default_zone,
        seen_since=knowledge.seen_since,
    )
    if to_date.empty:
        return empty_frame(PAIRS)
    logged = _logged(predictions[predictions["ad_id"].isin(ads["ad_id"])])
    candidates = _candidates(logged, ads, to_date)

    until = candidates["delivery_start"].fillna(candidates["day_end"])
    in_time = _latest_before(until, candidates["series"], logged)
    # What only claims its time never takes the place of what the database dated.
    attested = _latest_before(until, candidates["series"], logged[logged["is_attested"]])
    in_time = np.where(attested >= 0, attested, in_time)
    at_all = _latest_before(candidates["day_end"], candidates["series"], logged)
    existing = (at_all >= 0) & _is_known(candidates, ads).to_numpy()
    chosen = np.where(in_time >= 0, in_time, at_all)[existing]
    rows = candidates[existing].reset_index(drop=True)
    prediction = logged.iloc[chosen].reset_index(drop=True)
    since = rows["day_end"] - prediction["logged_at"]
    rows = rows.assign(
        protocol=LAUNCH_TO_DATE,
        prediction_id=prediction["prediction_id"],
        predicted_ctr=prediction["predicted_ctr"],
        predicted_roas=prediction["predicted_roas"],
        predicted_at=prediction["logged_at"],
        days_since_prediction=since.dt.days,
        is_attested=prediction["is_attested"],
        matures_on=None,
        completeness=np.nan,
        completeness_se=np.nan,
        is_provisional=~rows["settled_spend_share"].ge(1),
    )
    status = _statuses(
        rows,
        leaked=pd.Series(in_time[existing] < 0),
        ambiguous=prediction["is_ambiguous"],
        is_whole=knowledge.is_whole(rows, until=rows["as_of_date"], known_by=rows["as_of_date"]),
        min_age_hours=min_age_hours,
        max_age_days=max_age_days,
    )
    pairs = conform(rows.assign(status=status), PAIRS)
    check_frame(pairs, PAIRS)
    return pairs


def delivered_ads(
    videos: pd.DataFrame,
    changes: pd.DataFrame,
    time_zones: Mapping[str, str],
    as_of_days: Sequence[date],
    *,
    seen_since: Mapping[str, date] | None = None,
    evaluation_days: int,
    min_age_hours: int,
    max_age_days: int,
    default_zone: str,
) -> pd.DataFrame:
    """The DELIVERED_ADS frame: every ad that a prediction could be compared with, by as-of day.

    The ads that were shown by the end of the as-of day, predicted or not, with their spend since
    launch: of launch_to_date those whose video is of eligible age, of the headlines those whose
    first seven days are final and no older than `evaluation_days`.  This is what a model's coverage
    is a share of.
    """
    check_frame(videos, VIDEOS, exact=False)
    ads = one_video_per_ad(videos)
    to_date = launch_to_date(
        ads,
        changes,
        time_zones,
        as_of_days,
        default_zone=default_zone,
        seen_since=seen_since,
    )
    shown = to_date[(to_date["impressions"] > 0) & _is_known(to_date, ads)]
    age = shown["day_end"] - shown["created_at"]
    is_of_age = (age >= pd.Timedelta(hours=min_age_hours)) & (
        age <= pd.Timedelta(days=max_age_days)
    )
    since = shown["as_of_date"] - shown["first_delivery_on"]
    is_final = (since >= LAUNCH_D7.matures_after) & (since <= timedelta(days=evaluation_days))
    by_protocol = {LAUNCH_TO_DATE: is_of_age, HEADLINE: is_final, HEADLINE_UNATTESTED: is_final}
    found = pd.concat([shown[rows].assign(protocol=name) for name, rows in by_protocol.items()])
    delivered = conform(
        found.sort_values(list(DELIVERED_ADS.key), ignore_index=True), DELIVERED_ADS
    )
    check_frame(delivered, DELIVERED_ADS)
    return delivered


def unmatched_videos(
    predictions: pd.DataFrame,
    videos: pd.DataFrame,
    as_of_days: Sequence[date],
    *,
    default_zone: str,
) -> pd.DataFrame:
    """By as-of day and model version: `n_unmatched`, the predicted videos that have no pair.

    Those that are not among `videos`, name no ad there or have no date, and had a prediction by the
    end of the as-of day in `default_zone`; `is_attested` says whether the database dated any of
    these predictions.  This is all that is known of them.
    """
    ads = one_video_per_ad(videos)
    dated = ads[ads["created_at"].notna()]
    named = videos[videos["ad_id"].isin(dated["ad_id"])]
    zone, counts = time_zone(default_zone), []
    for day in as_of_days:
        known = named[named["known_on"] <= day] if "known_on" in named else named
        end = day_start(day + timedelta(days=1), zone)
        unmatched = predictions[
            ~predictions["video_id"].isin(known["video_id"]) & (predictions["logged_at"] < end)
        ]
        by_model = unmatched.groupby(["model_name", "model_version"], as_index=False).agg(
            n_unmatched=("video_id", "nunique"), is_attested=("is_attested", "any")
        )
        counts.append(by_model.assign(as_of_date=day))
    columns = ["as_of_date", "model_name", "model_version", "n_unmatched", "is_attested"]
    return pd.concat(counts)[columns] if counts else pd.DataFrame(columns=columns)


def _is_known(rows: pd.DataFrame, ads: pd.DataFrame) -> pd.Series[bool]:
    """Whether, as of its day, each row's ad was known to run a video that had been made."""
    is_made = rows["created_at"] < rows["day_end"]
    if "known_on" not in ads.columns:
        return is_made
    known_on = rows["ad_id"].map(ads.set_index("ad_id")["known_on"])
    return is_made & (known_on <= rows["as_of_date"])


def usable_ctr(predicted: pd.Series[float]) -> pd.Series[bool]:
    """Whether each predicted CTR is a fraction at all: finite and within 0..1."""
    return predicted.between(0, 1)


def usable_roas(predicted: pd.Series[float]) -> pd.Series[bool]:
    """Whether each predicted ROAS is a multiple at all: finite and not negative."""
    return predicted.ge(0) & predicted.lt(np.inf)


def _logged(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions of ads, oldest first, with their `series` and whether they contradict.

    Two that claim one instant contradict each other unless they say the same.  What the database
    dated has an instant of its own.
    """
    logged = predictions.sort_values(["logged_at", "sequence"], ignore_index=True)
    logged = logged.assign(series=logged.groupby(_SERIES).ngroup())
    one_instant = ["series", "is_attested", "logged_at"]
    said = logged.drop_duplicates([*one_instant, "predicted_ctr", "predicted_roas"])
    said = said.assign(is_ambiguous=said.duplicated(one_instant, keep=False))
    contradicted = said[[*one_instant, "is_ambiguous"]].drop_duplicates(one_instant)
    return logged.merge(contradicted, how="left", on=one_instant, validate="many_to_one")


def _candidates(logged: pd.DataFrame, ads: pd.DataFrame, to_date: pd.DataFrame) -> pd.DataFrame:
    """The figures of each as-of day for each series of predictions, ordered by day and series."""
    series = logged.drop_duplicates("series").sort_values("series")
    position = pd.Series(np.arange(len(ads)), index=pd.Index(ads["ad_id"]))
    ad = series["ad_id"].map(position).to_numpy(dtype="int64")
    n_days = len(to_date) // len(ads)
    figures = (np.arange(n_days)[:, None] * len(ads) + ad).ravel()
    return (
        to_date.take(figures)
        .reset_index(drop=True)
        .assign(
            series=np.tile(series["series"].to_numpy(), n_days),
            model_name=np.tile(series["model_name"].to_numpy(), n_days),
            model_version=np.tile(series["model_version"].to_numpy(), n_days),
        )
    )


def _latest_before(
    instants: pd.Series[Any], series: pd.Series[int], logged: pd.DataFrame
) -> npt.NDArray[np.int64]:
    """Position in `logged` of the series' last prediction strictly before each instant, or -1."""
    asked = pd.DataFrame({"instant": instants, "series": series}).sort_values("instant")
    joined = pd.merge_asof(
        asked.reset_index(names="row"),
        logged[["logged_at", "series"]].rename_axis("position").reset_index(),
        left_on="instant",
        right_on="logged_at",
        by="series",
        direction="backward",
        allow_exact_matches=False,
    )
    found = np.full(len(asked), -1, dtype=np.int64)
    found[joined["row"]] = joined["position"].fillna(-1)
    return found


def _statuses(
    rows: pd.DataFrame,
    *,
    leaked: pd.Series[bool],
    ambiguous: pd.Series[bool],
    is_whole: pd.Series[bool],
    min_age_hours: int,
    max_age_days: int,
) -> pd.Series[str]:
    age = rows["day_end"] - rows["created_at"]
    applies = {
        "leaked": leaked,
        "no_delivery": rows["impressions"].eq(0),
        "ambiguous": ambiguous,
        "invalid_prediction": ~usable_ctr(rows["predicted_ctr"])
        & ~usable_roas(rows["predicted_roas"]),
        "too_young": age < pd.Timedelta(hours=min_age_hours),
        "too_old": age > pd.Timedelta(days=max_age_days),
        "incomplete_history": ~is_whole,
    }
    return first_that_applies(applies, otherwise="eligible")
