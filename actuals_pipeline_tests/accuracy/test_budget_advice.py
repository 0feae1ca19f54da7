"""What might be spent next: the exponent that made the days, the best split, a step towards it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.budget_advice import (
    best_split,
    budget_advice,
    fit_exponent,
    marginal_roas,
    next_step,
)
from actuals_pipeline.accuracy.contract import KNOWN_AD_DAYS, REVENUE_DEVELOPMENT
from actuals_pipeline.frames import conform, empty_frame

AS_OF = date(2026, 3, 10)
ASSUMED = Curves.of(empty_frame(REVENUE_DEVELOPMENT))
SCALES = (10.0, 8.0, 6.0)


def test_the_reference_case() -> None:
    split = best_split(SCALES, 0.6, 1000)
    assert split == pytest.approx([540.1644, 309.2082, 150.6274], abs=5e-5)
    assert marginal_roas(SCALES, 0.6, split) == pytest.approx([0.484329] * 3, abs=5e-7)
    equal = np.full(3, 1000 / 3)
    assert revenue(split) == pytest.approx(807.22, abs=0.005)
    assert revenue(equal) == pytest.approx(783.32, abs=0.005)


def revenue(spend: npt.NDArray[np.float64]) -> float:
    return float((np.array(SCALES) * spend**0.6).sum())


def test_steps_lead_to_the_best_split_each_within_reach_and_none_for_less() -> None:
    spend = np.array([100.0, 300.0, 600.0])
    for _ in range(30):
        after = next_step(SCALES, 0.6, spend)
        assert after.sum() == pytest.approx(1000)
        assert (np.abs(after / spend - 1) < 0.2 + 1e-9).all()
        assert revenue(after) >= revenue(spend) - 1e-9
        spend = after
    assert spend == pytest.approx(best_split(SCALES, 0.6, 1000))
    assert next_step(SCALES, 0.6, spend) == pytest.approx(spend)


def test_no_ad_set_is_taken_below_the_floor_and_one_below_is_raised_to_it() -> None:
    spend = np.array([51.0, 20.0, 929.0])
    after = next_step([0.01, 0.01, 10.0], 0.6, spend)
    assert after[:2] == pytest.approx([50.0, 24.0])
    # With very many ad sets five percent each would be more than there is.
    many = next_step([1e-6] * 39 + [1.0], 0.6, np.full(40, 10.0))
    assert many[:39] == pytest.approx(np.full(39, 400 * 0.9 / 39), abs=2)
    assert many[39] == pytest.approx(12.0)


spends = st.lists(st.floats(0.01, 1e6), min_size=2, max_size=12)


@settings(max_examples=50)
@given(spends, st.floats(0.4, 0.9), st.integers(0, 10))
def test_a_step_keeps_the_sum_and_does_not_mind_unit_or_order(
    spend: list[float], exponent: float, seed: int
) -> None:
    s = np.array(spend)
    scale = np.random.default_rng(seed).uniform(0.1, 10, len(s))
    after = next_step(scale, exponent, s)
    assert after.sum() == pytest.approx(s.sum())
    assert ((after > 0.8 * s * (1 - 1e-9)) & (after < 1.2 * s * (1 + 1e-9))).all()
    order = np.random.default_rng(seed).permutation(len(s))
    assert next_step(scale[order], exponent, s[order]) == pytest.approx(after[order], rel=1e-6)
    yen = next_step(scale * 165 ** (1 - exponent), exponent, 165 * s)
    assert yen == pytest.approx(165 * after, rel=1e-6)


def test_the_exponent_that_made_the_days_is_found_exactly() -> None:
    spend = np.array([50.0, 100.0, 200.0, 30.0, 60.0])
    adset, day = ["s1", "s1", "s1", "s2", "s2"], [1, 2, 3, 1, 2]
    grown = np.where(np.array(adset) == "s1", 9.0, 4.0) * spend**0.7
    fitted = fit_exponent(spend, grown, adsets=adset, days=day)
    assert fitted.value == pytest.approx(0.7)
    assert fitted.n_days == 3
    known = np.array([1.0, 0.9, 0.8, 1.0, 0.95])
    fitted = fit_exponent(spend, grown * known, exposure=known, adsets=adset, days=day)
    assert fitted.value == pytest.approx(0.7)


def test_the_interval_has_the_exponent_in_nineteen_of_twenty_worlds() -> None:
    rng = np.random.default_rng(2)
    adset, day = np.repeat(np.arange(6), 35), np.tile(np.arange(35), 6)
    hits = 0
    for _ in range(200):
        spend = 100 * rng.lognormal(0, 0.4, len(adset))
        # Some days are good for every ad set.
        weather = rng.lognormal(0, 0.15, 35)[day]
        orders = rng.poisson(5 * weather * (spend / 100) ** 0.6)
        fitted = fit_exponent(spend, orders * 30.0, adsets=adset, days=day)
        hits += fitted.low <= 0.6 <= fitted.high
    assert 0.91 <= hits / 200 <= 0.99


def test_what_does_not_tell_gives_no_exponent() -> None:
    for spend, sold in (([10.0] * 4, [3.0, 4.0, 5.0, 6.0]), ([1.0, 2.0, 3.0, 4.0], [0.0] * 4)):
        fitted = fit_exponent(spend, sold, adsets=["s1"] * 4, days=[1, 2, 3, 4])
        assert np.isnan([fitted.value, fitted.low, fitted.high]).all()
    with pytest.raises(ValueError, match="spend"):
        fit_exponent([0.0], [1.0], adsets=["s1"], days=[1])
    with pytest.raises(ValueError, match="room"):
        best_split([1.0, 1.0], 0.6, 100, most=10.0)


def world(
    scatter: float, *, account_id: str = "42", currency: str = "EUR", unit: float = 1.0
) -> list[dict[str, Any]]:
    """Eight weeks of six ad sets of one account, the first the best, with an exponent of 0.65."""
    rng = np.random.default_rng(4)
    return [
        {
            "account_id": account_id,
            "adset_id": f"{account_id}-s{s}",
            "campaign_id": "c1",
            "currency": currency,
            "ad_id": f"{account_id}-a{s}",
            "report_date": AS_OF - timedelta(days=back),
            "impressions": 2000,
            "clicks": 40,
            "spend": unit * (spend := 100 * rng.lognormal(0, scatter)),
            "conversions": (orders := rng.poisson((22 - 3 * s) * (spend / 100) ** 0.65)),
            "revenue": unit * 30.0 * orders,
        }
        for s in range(6)
        for back in range(1, 57)
    ]


def advised(rows: list[dict[str, Any]]) -> Any:
    """The advice by ad set; a frame, of whose cells no type is known."""
    days = conform(pd.DataFrame(rows, columns=KNOWN_AD_DAYS.names), KNOWN_AD_DAYS)
    return budget_advice(days, AS_OF, ASSUMED).set_index("adset_id")


def test_money_moves_to_where_the_next_unit_earns_more() -> None:
    found = advised(world(0.35))
    assert found["exponent"].iloc[0] == pytest.approx(0.65, abs=0.12)
    assert (found["exponent_low"] < 0.65).all()
    assert (found["exponent_high"] > 0.65).all()
    spent, next_spent = found["spend_per_day"], found["advised_spend_per_day"]
    assert next_spent.sum() == pytest.approx(spent.sum())
    more = found["reason"].str.startswith("more")
    assert (next_spent[more] > spent[more]).all()
    assert more["42-s0"]
    assert not more["42-s5"]
    assert found.loc[more, "marginal_roas"].min() > found.loc[~more, "marginal_roas"].max() * 0.9
    # On days that are all alike it is the exponent times the ROAS; these are nearly so.
    ratio = found["marginal_roas"] / found["roas"] / found["exponent"]
    assert ratio.tolist() == pytest.approx([1.0] * 6, abs=0.25)


def test_accounts_stay_apart_and_the_currency_does_not_matter() -> None:
    euros, yen = world(0.35), world(0.35, account_id="43", currency="JPY", unit=165.0)
    both = advised([*yen, *euros])
    alone = advised(euros)
    pd.testing.assert_frame_equal(both[both["account_id"] == "42"], alone)
    in_yen = both[both["account_id"] == "43"]
    for name, unit in (("spend_per_day", 165), ("advised_spend_per_day", 165), ("exponent", 1)):
        assert in_yen[name].tolist() == pytest.approx((unit * alone[name]).tolist(), rel=1e-6)
    assert set(in_yen["currency"]) == {"JPY"}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (world(0.0), "too little data: spend hardly varies from day to day"),
        (world(0.02), "too little data: how revenue grows with spend is not told from chance"),
        (
            [row for row in world(0.35) if row["report_date"] > AS_OF - timedelta(days=16)],
            "too little data: 12 matured days, fewer than 14",
        ),
        (
            [row | {"conversions": 0, "revenue": 0.0} for row in world(0.35)],
            "too little data: 0 purchases, fewer than 100",
        ),
        (
            [row for row in world(0.35) if row["adset_id"] == "42-s1"],
            "the only ad set that runs: nothing to shift",
        ),
    ],
    ids=["constant", "unclear", "young", "no sales", "alone"],
)
def test_where_the_days_do_not_tell_there_is_no_advice_but_a_reason(
    rows: list[dict[str, Any]], why: str
) -> None:
    found = advised(rows)
    assert set(found["reason"]) == {why}
    assert found["advised_spend_per_day"].isna().all()
    assert found["marginal_roas"].isna().all()
    assert (found["spend_per_day"] > 0).all()


def test_ad_sets_that_rest_get_no_advice() -> None:
    stopped = AS_OF - timedelta(days=8)
    rows = [
        row for row in world(0.35) if row["adset_id"] != "42-s2" or row["report_date"] <= stopped
    ]
    assert "42-s2" not in advised(rows).index
    assert advised([]).empty
