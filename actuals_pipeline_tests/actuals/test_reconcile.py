from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal, localcontext
from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.actuals.contract import AD_ACTUALS, RECONCILIATION, TOTALS
from actuals_pipeline.actuals.normalize import normalize
from actuals_pipeline.actuals.reconcile import reconcile
from actuals_pipeline.errors import FrameMismatch
from actuals_pipeline.frames import check_frame, empty_frame

Frames = Callable[..., pd.DataFrame]

TOLERANCE = Decimal("0.005")


@pytest.fixture(scope="session")
def actuals_of(insights_of: Frames, videos_of: Frames) -> Frames:
    """An AD_ACTUALS frame, one ad for each amount spent."""

    def build(*spends: str) -> pd.DataFrame:
        rows = [{"ad_id": str(i), "spend": Decimal(spend)} for i, spend in enumerate(spends)]
        return normalize(
            insights_of(*rows), videos_of(), {("42", date(2026, 3, 7)): date(2026, 3, 8)}
        )

    return build


@pytest.mark.parametrize(
    ("ads", "total", "want"),
    [
        (["0.1", "0.2"], "0.3", ("0", "exact")),
        (["99.50"], "100", ("0.50", "within_tolerance")),
        (["99.49999999"], "100", ("0.50000001", "gap")),
        (["100.50"], "100", ("-0.50", "within_tolerance")),
        (["100.51"], "100", ("-0.51", "gap")),
        (["0.01"], "0", ("-0.01", "gap")),
        (["0"], "0", ("0", "exact")),
        (["1e-20"], "1e20", ("99999999999999999999.99999999999999999999", "gap")),
    ],
)
def test_the_verdict_follows_the_difference_to_the_last_digit(
    actuals_of: Frames, totals_of: Frames, ads: list[str], total: str, want: tuple[str, str]
) -> None:
    totals = totals_of({"spend": Decimal(total)})
    [row] = reconcile(actuals_of(*ads), totals, TOLERANCE).to_dict("records")
    assert (row["spend_difference"], row["verdict"]) == (Decimal(want[0]), want[1])
    assert (row["n_ads"], row["tolerance_share"]) == (len(ads), TOLERANCE)
    assert row["impressions_difference"] == 50_000 - 50_000 * len(ads)


def test_a_total_without_ads_is_held_against_zero(totals_of: Frames) -> None:
    zero = {"spend": Decimal(0), "impressions": 0, "reach": 0, "is_reported": False}
    totals = totals_of({}, {"report_date": date(2026, 3, 6)} | zero)
    got = reconcile(empty_frame(AD_ACTUALS), totals, TOLERANCE)
    assert got["report_date"].tolist() == [date(2026, 3, 6), date(2026, 3, 7)]
    assert got["verdict"].tolist() == ["exact", "gap"]
    assert got["ads_spend"].tolist() == [0, 0]
    assert got["n_ads"].tolist() == [0, 0]


def test_ads_without_a_total_are_refused(actuals_of: Frames, totals_of: Frames) -> None:
    for totals in (empty_frame(TOTALS), totals_of({"account_id": "43"})):
        with pytest.raises(FrameMismatch, match="'has a total of its account' at account_id=42"):
            reconcile(actuals_of("1"), totals, TOLERANCE)


def test_two_currencies_are_never_subtracted(actuals_of: Frames, totals_of: Frames) -> None:
    with pytest.raises(FrameMismatch, match=r"ad_actuals\.currency: EUR"):
        reconcile(actuals_of("1"), totals_of({"currency": "USD"}), TOLERANCE)


def test_nothing_fetched_is_nothing_to_reconcile() -> None:
    got = reconcile(empty_frame(AD_ACTUALS), empty_frame(TOTALS), TOLERANCE)
    check_frame(got, RECONCILIATION)
    assert got.empty


@settings(max_examples=25)
@given(
    amounts=st.lists(st.decimals(0, 10**20, allow_nan=False, places=14), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_ads_that_add_up_to_the_total_are_exact_in_any_order(
    actuals_of: Frames, totals_of: Frames, amounts: list[Decimal], order: Random
) -> None:
    with localcontext(prec=100):
        total = sum(amounts, Decimal(0))
    order.shuffle(amounts)
    got = reconcile(actuals_of(*map(str, amounts)), totals_of({"spend": total}), TOLERANCE)
    assert got["verdict"].tolist() == ["exact"]
    assert got["ads_spend"].tolist() == [total]
