"""Columns of Decimals: sums exact to the last digit, and the ratios made of them.

Python's default context rounds to 28 digits without a word; sums here either keep every digit or
raise `decimal.Inexact`.  Ratios are floats, because a rate is a measurement and no amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

ZERO = Decimal(0)
"""No money."""


def exact_arithmetic() -> AbstractContextManager[Context]:
    """A context in which adding and multiplying Decimals loses no digit; it raises instead."""
    # 400 digits hold any sum of Postgres numerics that real money can reach.
    return localcontext(Context(prec=400, traps=[Inexact, InvalidOperation, Overflow]))


def exact_sums(frame: pd.DataFrame, by: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """The sums of the Decimal columns `names` over each group of `by`; one row a group, keyed."""
    with exact_arithmetic():
        return frame.groupby(list(by))[list(names)].sum()


def running_totals(amounts: pd.Series[Any], groups: pd.Series[int]) -> npt.NDArray[np.object_]:
    """For each row the exact sum of its group so far, itself included; a group's rows adjoin."""
    cells = amounts.to_numpy(dtype=object)
    starts = np.flatnonzero(groups.ne(groups.shift()).to_numpy(dtype=bool))
    if not len(starts):
        return cells
    # Group by group rather than one long sum and differences of it: so a total has the scale
    # (1.50 or 1.5000) of its own amounts, whatever other groups there are.
    with exact_arithmetic():
        return np.concatenate([np.cumsum(part) for part in np.split(cells, starts[1:])])


def ratio(numerator: pd.Series[Any], denominator: pd.Series[Any]) -> pd.Series[float]:
    """The quotients as floats; NaN where the denominator is zero or missing.

    Counts and Decimals may be mixed.  Divided before becoming floats, so that equal amounts give
    equal ratios however their digits are written.
    """
    defined = (denominator.notna() & denominator.ne(0).fillna(value=False)).to_numpy(dtype=bool)
    quotients = np.full(len(denominator), np.nan)
    above = numerator.to_numpy(dtype=object)[defined]
    below = denominator.to_numpy(dtype=object)[defined]
    with localcontext(Context()):
        quotients[defined] = (above / below).astype(float)
    return pd.Series(quotients, index=denominator.index)
