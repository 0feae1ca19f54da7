"""What comes in is checked where it comes in, and what is undefined is said to be."""

from __future__ import annotations

import ast
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.columns import codes_of, quotient, rows_of, whole_columns
from actuals_pipeline.accuracy.comparable import (
    CtrPairs,
    RoasPairs,
    is_comparable_ctr,
    is_comparable_roas,
)
from actuals_pipeline.accuracy.sums import mean_of
from actuals_pipeline.settings import PROJECT_ROOT

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "column",
    [
        [1, 2],
        (1.0, 2.0),
        np.array([1, 2], dtype=np.int32),
        pd.Series([1, 2], dtype="Int64", index=["a", "b"]),
        pd.Series([Decimal("1.00"), Decimal(2)]),
    ],
    ids=["list", "tuple", "integers", "nullable integers", "decimals"],
)
def test_a_column_of_any_make_becomes_floats(column: Any) -> None:
    [floats] = whole_columns(column=column)
    assert floats.dtype == np.float64
    assert floats.tolist() == [1.0, 2.0]


def test_a_single_number_holds_for_every_row() -> None:
    one, many = rows_of(one=3, many=[1, 2])
    assert one.tolist() == [3, 3]
    assert many.tolist() == [1, 2]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not clicks 2, impressions 3"):
        rows_of(clicks=[1, 2], impressions=[1, 2, 3])


def test_a_table_is_no_column() -> None:
    with pytest.raises(ValueError, match="one number a row"):
        rows_of(clicks=[[1, 2], [3, 4]])


@pytest.mark.parametrize("number", [NAN, INF, -INF, None, pd.NA])
def test_a_figure_of_all_rows_refuses_a_missing_one(number: Any) -> None:
    with pytest.raises(ValueError, match=r"clicks: (nan|-?inf) in row 1"):
        whole_columns(clicks=pd.Series([1.0, number, 2.0]))


def test_a_missing_label_is_refused() -> None:
    with pytest.raises(ValueError, match="label of row 1 is missing"):
        codes_of("groups", pd.Series(["a", None]), 2)
    with pytest.raises(ValueError, match="1 labels for 2 rows"):
        codes_of("groups", ["a"], 2)


def test_labels_are_numbered_in_their_own_order() -> None:
    codes, names = codes_of("groups", ["b", "a", "b"], 3)
    assert codes.tolist() == [1, 0, 1]
    assert names.tolist() == ["a", "b"]


def test_a_quotient_by_zero_is_undefined() -> None:
    with np.errstate(all="raise"):
        got = quotient(np.array([1.0, 0.0, 4.0]), np.array([0.0, 0.0, 2.0]))
    assert np.isnan(got[:2]).all()
    assert got[2] == 2


@pytest.mark.parametrize(
    ("predicted", "impressions", "clicks", "law"),
    [
        (1.01, 10, 1, "predicted: 1.01 in row 1"),
        (-0.1, 10, 1, "predicted"),
        (0.1, 0, 0, "impressions: 0.0"),
        (0.1, 1, 2, "clicks: 2.0 in row 1 .* from 0 to the impressions"),
        (0.1, 1, -1, "clicks"),
        (NAN, 10, 1, "predicted: nan"),
    ],
)
def test_what_no_click_rate_explains_is_not_comparable(
    *, predicted: float, impressions: float, clicks: float, law: str
) -> None:
    columns = [0.1, predicted], [10, impressions], [1, clicks]
    assert is_comparable_ctr(*columns).tolist() == [True, False]
    with pytest.raises(ValueError, match=law):
        CtrPairs.of(*columns)


@pytest.mark.parametrize(
    ("predicted", "spend", "revenue", "law"),
    [(-1, 1, 1, "predicted"), (INF, 1, 1, "predicted"), (1, 0, 1, "spend"), (1, 1, NAN, "revenue")],
)
def test_what_no_roas_explains_is_not_comparable(
    *, predicted: float, spend: float, revenue: float, law: str
) -> None:
    columns = [1, predicted], [1, spend], [1, revenue]
    assert is_comparable_roas(*columns).tolist() == [True, False]
    with pytest.raises(ValueError, match=law):
        RoasPairs.of(*columns, order_value=20, order_value_cv=0.8)


def test_every_comparable_row_is_taken() -> None:
    edges = [0, 1, 0.5], [1, 1, 10], [0, 1, 10]
    assert is_comparable_ctr(*edges).all()
    assert len(CtrPairs.of(*edges)) == 3
    refunds = [0.0, 3.0], [1.0, 2.0], [-5.0, 0.0]
    assert is_comparable_roas(*refunds).all()
    assert len(RoasPairs.of(*refunds, order_value=20, order_value_cv=0)) == 2


@pytest.mark.parametrize("wrong", [{"order_value": 0}, {"order_value_cv": -1}])
def test_an_order_value_is_above_zero(wrong: dict[str, float]) -> None:
    given = {"order_value": 20.0, "order_value_cv": 0.8} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RoasPairs.of([1], [1], [1], **given)


def test_overdispersion_is_above_zero() -> None:
    with pytest.raises(ValueError, match="overdispersion"):
        CtrPairs.of([0.1], [10], [1], 0)


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="weights"):
        mean_of([1, 2], [1, -1])


def test_a_mean_of_nothing_is_undefined() -> None:
    assert np.isnan(mean_of([]).value)
    assert np.isnan(mean_of([1.0, 2.0], [0, 0]).value)


def test_the_statistics_take_nothing_of_scipy_but_its_special_functions() -> None:
    """`scipy.stats` takes seconds to load; these take a tenth of one."""
    taken = {
        f"{node.module}.{alias.name}"
        for path in (PROJECT_ROOT / "actuals_pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("scipy")
        for alias in node.names
    }
    assert taken == {"scipy.special"}


def test_the_command_line_starts_without_scipy() -> None:
    program = "import sys, actuals_pipeline.serving.cli; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]
