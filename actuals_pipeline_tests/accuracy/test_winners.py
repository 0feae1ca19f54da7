"""Which ad may be called the best of its ad set, and what is missing where none may."""

from __future__ import annotations

import tracemalloc
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.account_curves import Curves
from actuals_pipeline.accuracy.contract import KNOWN_AD_DAYS, REVENUE_DEVELOPMENT
from actuals_pipeline.accuracy.winners import winners
from actuals_pipeline.frames import conform, empty_frame

AS_OF = date(2026, 3, 10)
ASSUMED = Curves.of(empty_frame(REVENUE_DEVELOPMENT))

_DAY = {
    "account_id": "42",
    "adset_id": "s1",
    "campaign_id": "c1",
    "currency": "EUR",
    "impressions": 2000,
    "clicks": 40,
    "spend": 40.0,
    "conversions": 4,
    "revenue": 120.0,
}


def ad_days(ad_id: str, backs: range = range(1, 41), **own: Any) -> list[dict[str, Any]]:
    """Days of an ad, so many before the as-of day, all alike."""
    return [
        {**_DAY, "ad_id": ad_id, "report_date": AS_OF - timedelta(days=back), **own}
        for back in backs
    ]


def judged(*ads: list[dict[str, Any]]) -> Any:
    """The winners of these ads, by metric and ad; a frame, of whose cells no type is known."""
    days = pd.DataFrame([row for ad in ads for row in ad], columns=KNOWN_AD_DAYS.names)
    found = winners(conform(days, KNOWN_AD_DAYS), AS_OF, ASSUMED)
    return found.set_index(["metric", "ad_id"])


def test_an_ad_that_is_better_by_half_for_weeks_is_a_winner_and_the_other_says_who_leads() -> None:
    found = judged(ad_days("a1", clicks=60, revenue=240.0, conversions=8), ad_days("a2"))
    for metric in ("ctr", "roas"):
        best, other = found.loc[(metric, "a1")], found.loc[(metric, "a2")]
        assert best["is_winner"], best["missing"]
        assert pd.isna(best["missing"])
        assert best["p_best"] > 0.999
        assert best["low"] < best["rate"] < best["high"]
        assert not other["is_winner"]
        assert other["missing"].startswith("the lead, which ad a1 has; an expected loss below 1%")
        assert other["missing"].endswith("an always-valid p below 0.05 against ad a1")
    assert set(found["basis"]) == {"observational"}
    # Clicks may still be taken back on the day before the as-of day; revenue is made mature.
    assert found.loc[("ctr", "a1"), "n_days"] == 39
    assert found.loc[("roas", "a1"), "n_days"] == 40


def test_an_ad_set_of_hundreds_of_ads_fits_into_memory() -> None:
    few = range(1, 15)
    others = [ad_days(f"b{number:03}", few, clicks=36 + number % 9) for number in range(400)]
    tracemalloc.start()
    found = judged(ad_days("a1", few, clicks=90), *others)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6, "all days of each ad against each are 18 MB an array"
    best = found.loc[("ctr", "a1")]
    assert best["is_winner"]
    by_ctr = found.loc["ctr"]
    assert by_ctr["p_best"].sum() == pytest.approx(1)
    # Ads alike in all are told the same, be they compared in one go or in another.
    alike = by_ctr[by_ctr.index.str.startswith("b")].groupby(by_ctr["rate"].round(6))
    assert (alike["always_valid_p"].nunique() == 1).all()
    assert len(alike) == 9


def test_a_lead_of_six_days_is_no_winner_however_large() -> None:
    few = range(1, 8)
    found = judged(ad_days("a1", few, clicks=400, impressions=20_000), ad_days("a2", few, clicks=9))
    best = found.loc[("ctr", "a1")]
    assert (best["n_days"], best["missing"]) == (6, "7 full days")


def test_revenue_that_is_still_coming_in_has_no_winner() -> None:
    few = range(1, 9)
    much = ad_days("a1", few, revenue=4000.0, conversions=100)
    best = judged(much, ad_days("a2", few)).loc[("roas", "a1")]
    assert best["missing"] == "revenue that is 90% known"
    # The rate is that of the spend that has had its time, not of all spend.
    assert best["rate"] > 1.1 * 4000 / 40


def test_a_small_lead_says_what_it_takes_and_against_which_ad() -> None:
    found = judged(ad_days("a1", clicks=44), ad_days("a2", clicks=43), ad_days("a3", clicks=30))
    assert found.loc[("ctr", "a1"), "missing"] == (
        "P(best) above 0.95; an always-valid p below 0.05 against ad a2"
    )
    assert found.loc["ctr", "always_valid_p"].tolist() == [1.0, 1.0, 1.0]


def test_an_ad_alone_and_ads_of_which_nothing_is_known_say_so() -> None:
    alone = judged(ad_days("a1")).loc[("ctr", "a1")]
    assert alone["missing"] == "another ad to compare with"
    assert np.isnan(alone["always_valid_p"])
    nothing = [ad_days(each, clicks=0, conversions=0, revenue=0.0) for each in ("a1", "a2")]
    found = judged(*nothing)
    for metric, what in (("ctr", "a click in the campaign"), ("roas", "a purchase in the account")):
        row = found.loc[(metric, "a1")]
        assert row["missing"].startswith(f"{what}; ")
        assert np.isnan([row["p_best"], row["expected_loss"], row["rate"]]).all()


def test_only_ads_that_run_are_compared_but_those_that_ran_tell_of_the_campaign() -> None:
    stopped = ad_days("a2", range(8, 41), clicks=200)
    found = judged(ad_days("a1"), stopped, ad_days("a3", adset_id="s2"))
    assert sorted(set(found.index.get_level_values("ad_id"))) == ["a1", "a3"]
    assert set(found["missing"]) == {"another ad to compare with"}
    assert judged(stopped).empty


def test_an_ad_shown_on_good_days_only_gains_no_p_by_it() -> None:
    """Both have the same rate on every day; one was mostly shown when everyone clicks."""
    good, bad = range(1, 21), range(21, 41)
    lucky = [
        *ad_days("a1", good, impressions=8000, clicks=320),
        *ad_days("a1", bad, impressions=500, clicks=5),
    ]
    other = [
        *ad_days("a2", good, impressions=2000, clicks=80),
        *ad_days("a2", bad, impressions=2000, clicks=20),
    ]
    found = judged(lucky, other)
    assert found.loc[("ctr", "a1"), "p_best"] > 0.9
    assert found.loc[("ctr", "a1"), "always_valid_p"] == 1.0
    assert not found.loc[("ctr", "a1"), "is_winner"]


def test_neither_the_order_of_the_rows_nor_the_currency_matters() -> None:
    rng = np.random.default_rng(3)
    rows = [
        row | {"clicks": int(rng.binomial(2000, rate)), "revenue": float(rng.gamma(4, 30))}
        for ad_id, rate in (("a1", 0.02), ("a2", 0.022), ("a3", 0.024))
        for row in ad_days(ad_id)
    ]
    found = judged(rows)
    pd.testing.assert_frame_equal(judged(list(reversed(rows))), found)
    yen = judged([row | {name: 165 * row[name] for name in ("spend", "revenue")} for row in rows])
    pd.testing.assert_frame_equal(yen, found)


def test_equals_looked_at_every_day_for_a_month_hardly_ever_have_a_winner() -> None:
    """Sixty ad sets of two equal ads; a plain z test calls sixteen of them."""
    rng = np.random.default_rng(5)
    clicks = rng.binomial(2000, 0.02, (60, 2, 28))
    rows = [
        row | {"adset_id": f"s{s}", "clicks": int(clicks[s, a, back - 1])}
        for s in range(60)
        for a in range(2)
        for back, row in enumerate(ad_days(f"{s}-{a}", range(1, 29)), 1)
    ]
    found = judged(rows)
    assert (found.loc["ctr", "always_valid_p"] < 0.05).sum() <= 2
    assert found["is_winner"].sum() <= 1


def test_days_that_no_click_rate_explains_do_not_count() -> None:
    odd = ad_days("a1", range(3, 4), impressions=1, clicks=3)
    found = judged([*ad_days("a1", range(4, 20)), *odd], ad_days("a2"))
    assert found.loc[("ctr", "a1"), "n_days"] == 16
    assert judged().empty


def test_a_campaign_with_the_flattest_prior_is_judged_whatever_the_rounding() -> None:
    """Of ads as unlike as these the parameters are one half, to the last digit but one."""
    few = range(2, 9)
    without_clicks = [ad_days(f"a{n}", few, clicks=0) for n in range(2, 7)]
    for clicks in (50, 70, 80, 110):
        found = judged(ad_days("a1", few, clicks=clicks), *without_clicks)
        assert found.loc["ctr", "rate"].notna().all()
