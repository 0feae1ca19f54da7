from __future__ import annotations

from decimal import Decimal, Inexact
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.money import exact_arithmetic, exact_sums, ratio, running_totals

AMOUNTS = st.decimals(
    min_value=Decimal("-1e24"), max_value=Decimal("1e24"), allow_nan=False, places=12
)


def money(*cells: Any) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype=object)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("ab"), AMOUNTS), max_size=20))
def test_a_sum_keeps_every_digit(rows: list[tuple[str, Decimal]]) -> None:
    frame = pd.DataFrame(
        {
            "group": pd.Series([group for group, _ in rows], dtype="str"),
            "amount": money(*(amount for _, amount in rows)),
        }
    )
    got = exact_sums(frame, ["group"], ["amount"])["amount"].to_dict()
    with exact_arithmetic():
        want = {
            group: sum((amount for g, amount in rows if g == group), Decimal(0))
            for group, _ in rows
        }
    assert got == want


def test_a_sum_that_cannot_be_exact_is_refused_rather_than_rounded() -> None:
    frame = pd.DataFrame(
        {"group": ["a", "a"], "amount": money(Decimal("1e300"), Decimal("1e-300"))}
    )
    with pytest.raises(Inexact):
        exact_sums(frame, ["group"], ["amount"])


def test_running_totals_start_again_with_each_group_and_keep_its_scale() -> None:
    totals = running_totals(
        money(Decimal("0.10"), Decimal("0.20"), Decimal("1.0000"), Decimal(2)),
        pd.Series([1, 1, 2, 2]),
    )
    assert [str(total) for total in totals] == ["0.10", "0.30", "1.0000", "3.0000"]


def test_running_totals_keep_more_digits_than_python_would() -> None:
    totals = running_totals(money(Decimal("1e20"), Decimal("1e-20")), pd.Series([1, 1]))
    assert str(totals[1]) == "100000000000000000000.00000000000000000001"


def test_a_ratio_without_a_denominator_is_undefined() -> None:
    got = ratio(money(Decimal(3), Decimal(3), Decimal(3)), pd.Series([2, 0, None], dtype="Int64"))
    assert got[0] == 1.5
    assert got[1:].isna().all()


@given(
    st.lists(
        st.tuples(
            st.decimals(-(10**11), 10**11, places=2)
            | st.decimals(-(10**6), 10**6, places=5)
            | st.integers(-(2**60), 2**60).map(Decimal),
            st.integers(1, 10**9) | st.integers(1, 2**62),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["int64", "Int64", "object"]),
)
def test_a_ratio_is_the_float_nearest_to_the_true_quotient(
    pairs: list[tuple[Decimal, int]], dtype: str
) -> None:
    above, below = money(*(amount for amount, _ in pairs)), [count for _, count in pairs]
    got = ratio(above, pd.Series(below, dtype=dtype)).tolist()
    assert got == [float(Fraction(amount) / count) for amount, count in pairs]


def test_a_ratio_of_counts_beyond_a_floats_digits_is_not_rounded_twice() -> None:
    counts = pd.Series([2**62 + 1, 3 * 10**17 + 1], dtype="int64")
    got = ratio(counts, pd.Series([2**62, 10**17], dtype="int64")).tolist()
    assert got == [(2**62 + 1) / 2**62, (3 * 10**17 + 1) / 10**17]


def test_equal_amounts_have_equal_ratios_however_their_digits_are_written() -> None:
    spelt = [Decimal(text) for text in ("0.3", "0.30", "0.300000", "3e-1")]
    assert ratio(money(*spelt), money(*[Decimal("0.1")] * 4)).tolist() == [3.0] * 4
