"""Columns of Decimals: sums exact to the last digit, and the ratios made of them.

Python's default context rounds to 28 digits without a word; sums here either keep every digit or
raise `decimal.Inexact`.  Ratios are floats, because a rate is a measurement and no amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from typing import Any, Final

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
    # Group by group rather than one long sum and differences of it: so a total has the scale
    # (1.50 or 1.5000) of its own amounts, whatever other groups there are.
    totals, ends = cells.copy(), np.append(starts[1:], len(cells))
    several = ends - starts > 1
    with exact_arithmetic():
        for start, end in zip(starts[several], ends[several], strict=True):
            totals[start:end] = np.cumsum(cells[start:end])
    return totals


def ratio(numerator: pd.Series[Any], denominator: pd.Series[Any]) -> pd.Series[float]:
    """The quotients as floats; NaN where the denominator is zero or missing.

    Counts and Decimals may be mixed.  Divided before becoming floats, so that equal amounts give
    equal ratios however their digits are written, and 0.30 / 0.10 is 3.0.
    """
    defined = (denominator.notna() & denominator.ne(0).fillna(value=False)).to_numpy(dtype=bool)
    quotients = np.full(len(denominator), np.nan)
    quotients[defined] = _quotients(numerator[defined], denominator[defined])
    return pd.Series(quotients, index=denominator.index)


def _quotients(above: pd.Series[Any], below: pd.Series[Any]) -> npt.NDArray[np.float64]:
    over, under = _hundredths(above), _hundredths(below)
    if over is not None and under is not None:
        return over / under
    with localcontext(Context()):
        exact: npt.NDArray[Any] = above.to_numpy(dtype=object) / below.to_numpy(dtype=object)
    return exact.astype(float)


def _hundredths(values: pd.Series[Any]) -> npt.NDArray[np.float64] | None:
    """The values times 100 as whole numbers that a float holds exactly; None if not all are.

    Dividing such floats rounds once, as dividing the Decimals themselves would, in a fraction of
    the time.
    """
    if values.dtype.kind == "i":
        counts = values.to_numpy(dtype="int64")
        return counts * 100.0 if _within(counts, _EXACT_FLOATS // 100) else None
    with exact_arithmetic():
        exact = values.to_numpy(dtype=object) * 100
    try:
        whole = exact.astype("int64")
    except (OverflowError, ValueError):
        return None
    return whole.astype(float) if _within(whole, _EXACT_FLOATS) and (whole == exact).all() else None


def _within(numbers: npt.NDArray[np.int64], limit: int) -> bool:
    return bool(((-limit < numbers) & (numbers < limit)).all())


_EXACT_FLOATS: Final = 2**53
"""Whole numbers up to here, and not all beyond, are floats."""
