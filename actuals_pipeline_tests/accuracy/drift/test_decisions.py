"""From pairs to what should be done: the rows that are stored, and the decisions from them."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.drift.assessment import drift_as_of
from actuals_pipeline.accuracy.drift.contract import MODEL_DRIFT
from actuals_pipeline.accuracy.drift.decisions import RetrainRequest, decisions
from actuals_pipeline.accuracy.drift.retraining import Action, State
from actuals_pipeline.accuracy.drift.versions import versus_previous
from actuals_pipeline.accuracy.drift.weeks import model_weeks
from actuals_pipeline.frames import check_frame
from actuals_pipeline_tests.accuracy.drift.made_up_models import (
    FIRST_MONDAY,
    ctr_models,
    pairs_of,
)


def sunday(number: int) -> date:
    return FIRST_MONDAY + timedelta(weeks=number, days=6)


def drift(pairs: pd.DataFrame, as_of: date) -> pd.DataFrame:
    rows = drift_as_of(model_weeks(pairs, as_of=as_of), pairs, as_of)
    check_frame(rows, MODEL_DRIFT)
    return rows


def requests(pairs: pd.DataFrame, as_of: date) -> list[RetrainRequest]:
    return list(decisions(drift(pairs, as_of)).requests)


def shifted(**columns: Any) -> pd.DataFrame:
    made = ctr_models(runs=1, weeks=30, shifts_at=15, seed=3)
    return made.assign(**columns)


def test_a_shift_is_asked_about_once_with_its_factor_and_evidence() -> None:
    pairs = shifted()
    assert requests(pairs, sunday(14)) == []
    (request,) = requests(pairs, sunday(20))
    assert request.action is Action.RECALIBRATE
    assert request.breach_start in {sunday(each) - timedelta(days=6) for each in range(15, 19)}
    assert request.key == f"model 0:1:{request.breach_start}"
    factor = float(request.reason.rstrip(".").rpartition(" by ")[2])
    assert factor == pytest.approx(1 / 1.2, abs=0.05)
    assert [each["week"] for each in request.evidence] == [
        str(sunday(each) - timedelta(days=6)) for each in (17, 18, 19, 20)
    ]
    assert json.loads(json.dumps(request.evidence)) == request.evidence
    # Nobody did anything: thirteen weeks later it is still the same request.
    later = requests(pairs, sunday(29))
    assert [each.key for each in later] == [request.key]


def test_what_is_stored_is_all_that_decisions_rest_on_and_the_same_again() -> None:
    pairs = shifted()
    first, second = (
        drift(pairs, sunday(22)),
        drift(pairs.sample(frac=1, random_state=1), sunday(22)),
    )
    pd.testing.assert_frame_equal(first, second)
    assert decisions(first) == decisions(second)
    assert first["state"].iloc[0] == "ok"
    assert first["state"].iloc[-1] == "cooldown"
    assert (first["state_since"] <= first["week"]).all()


def test_a_day_in_the_middle_of_a_week_says_what_its_last_sunday_said() -> None:
    pairs = shifted()
    on_sunday = drift(pairs, sunday(20)).drop(columns="as_of_date")
    on_friday = drift(pairs, sunday(20) + timedelta(days=5)).drop(columns="as_of_date")
    pd.testing.assert_frame_equal(on_sunday, on_friday)


def test_a_newer_version_ends_it_and_an_abandoned_one_is_not_asked_about() -> None:
    old = shifted()
    old = old[old["matures_on"] <= sunday(20)]
    new = ctr_models(runs=1, weeks=30, seed=9).assign(model_version="2")
    new["ad_id"] = "n" + new["ad_id"]
    both = pd.concat([old, new[new["matures_on"] > sunday(20)]], ignore_index=True)
    assert len(requests(both, sunday(20))) == 1
    assert requests(both, sunday(22)) == []
    last = decisions(drift(both, sunday(22))).metrics
    assert [(each.model_version, each.standing.state) for each in last] == [
        ("1", State.OK),
        ("2", State.OK),
    ]
    # Neither is one of which no pair has matured for two months.
    assert len(requests(old, sunday(24))) == 1
    assert requests(old, sunday(30)) == []
    # After half a year it is watched no more.
    assert drift(old, sunday(47)).empty


def test_an_older_version_that_reappears_does_not_end_what_is_asked_of_the_newer_one() -> None:
    newer = shifted(model_version="2")
    newer = newer[(newer["matures_on"] > sunday(4)) & (newer["matures_on"] <= sunday(23))]
    older = ctr_models(runs=1, weeks=30, seed=9)
    older["ad_id"] = "o" + older["ad_id"]
    is_away = (older["matures_on"] > sunday(4)) & (older["matures_on"] <= sunday(20))
    both = pd.concat([older[~is_away], newer], ignore_index=True)
    (request,) = requests(both, sunday(20))
    assert [each.key for each in requests(both, sunday(24))] == [request.key]
    standings = {
        each.model_version: each.standing.state
        for each in decisions(drift(both, sunday(24))).metrics
    }
    assert standings == {"1": State.OK, "2": State.COOLDOWN}


def test_a_perfect_but_worse_ordering_model_is_to_be_trained_again() -> None:
    pairs = ctr_models(runs=1, weeks=30, seed=5, error=0.05)
    late = pairs["matures_on"] > sunday(14)
    # From then on its predictions are of other ads, and too high on the whole.
    mixed = pairs.loc[late, "predicted_ctr"].sample(frac=1, random_state=1).to_numpy()
    pairs.loc[late, "predicted_ctr"] = mixed * 1.3
    (request,) = requests(pairs, sunday(22))
    assert request.action is Action.RETRAIN
    assert "better ads from worse" in request.reason


def test_a_model_that_loses_to_the_average_is_to_be_trained_again() -> None:
    pairs = ctr_models(runs=1, weeks=12, seed=6, error=0.05)
    actual = pairs["clicks"] / pairs["impressions"]
    pairs["baseline_ctr"] = actual * 1.02
    (request,) = requests(pairs, sunday(11))
    assert request.action is Action.RETRAIN
    assert "average" in request.reason
    assert request.evidence[-1]["skill"] < 0
    assert request.evidence[-1]["normalised_entropy"] > 1
    better = pairs.assign(baseline_ctr=actual * 3)
    assert requests(better, sunday(11)) == []


def test_errors_of_revenue_beyond_chance_are_a_cause() -> None:
    random = np.random.default_rng(7)
    n = 40 * 8
    days = np.repeat([sunday(each) for each in range(8)], 40)
    common = {"protocol": "launch_ltd28", "matures_on": days, "roas_relative_se": 0.1}
    actual = 3 * np.exp(random.normal(0, 0.1, n))
    fine = pairs_of(n, actual_roas=actual, **common)
    assert requests(fine, sunday(7)) == []
    wild = pairs_of(n, actual_roas=3 * np.exp(random.normal(-0.125, 0.5, n)), **common)
    (request,) = requests(wild, sunday(7))
    assert request.action is Action.RETRAIN
    assert request.evidence[-1]["wape_excess"] > 0.15


def test_a_version_that_lost_to_the_one_before_is_rolled_back() -> None:
    good = ctr_models(runs=1, weeks=30, seed=8).assign(
        campaign_id=lambda frame: "c" + (frame.index % 25).astype(str)
    )
    bad = good[good["matures_on"] > sunday(9)].copy()
    bad["model_version"] = "2"
    late = bad["matures_on"] > sunday(19)
    bad.loc[late, "predicted_ctr"] *= 1.5
    both = pd.concat([good, bad], ignore_index=True)
    (request,) = requests(both, sunday(25))
    assert (request.model_version, request.action) == ("2", Action.ROLL_BACK)


def test_two_versions_are_compared_on_the_ads_of_both() -> None:
    n = 200
    common: dict[str, Any] = {
        "campaign_id": [str(each % 20) for each in range(n)],
        "clicks": np.random.default_rng(9).binomial(10_000, 0.02, n),
    }
    first = pairs_of(n, predicted_ctr=0.02, **common)
    for predicted, want in ((0.03, "worse"), (0.02, "unresolved")):
        second = pairs_of(n, predicted_ctr=predicted, model_version="2", **common)
        both = pd.concat([first, second], ignore_index=True)
        assert versus_previous(both, "ctr", "2", "1", seed_text="x") == want
    assert versus_previous(both, "ctr", "1", "3", seed_text="x") is None
    one_campaign = both.assign(campaign_id="1")
    assert versus_previous(one_campaign, "ctr", "2", "1", seed_text="x") is None


def test_nothing_gives_nothing() -> None:
    assert decisions(drift(pairs_of(0), sunday(0))).requests == []
