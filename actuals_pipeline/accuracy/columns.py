"""Columns of numbers as the statistics of this package take and give them, checked at the door.

A column is one number a row, of any make: a list, a Series, integers that may be missing,
Decimals.  Here it becomes an array of floats, once.

What is said of one row is NaN where it is undefined.  What is said of many rows refuses a missing
number, because leaving the row out would change the question without a word.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Positions: TypeAlias = npt.NDArray[np.int64]
Column: TypeAlias = "npt.ArrayLike | pd.Series[Any]"
"""One number a row, or a single number that holds for every row."""
Labels: TypeAlias = "npt.ArrayLike | pd.Series[Any]"
"""One label a row: a campaign, an ad set, a segment."""


def rows_of(**given: Column) -> list[Floats]:
    """The columns as float arrays of one shape, in the order given; a single number is repeated.

    For what is said row by row: missing and infinite values stay as they are, and if all columns
    are single numbers so are the arrays (shape `()`).  `ValueError` where the lengths differ or a
    column has more than one dimension.
    """
    arrays = [_floats(name, values) for name, values in given.items()]
    lengths = {array.size for array in arrays if array.ndim}
    if len(lengths) > 1:
        sizes = ", ".join(f"{n} {a.size}" for n, a in zip(given, arrays, strict=True) if a.ndim)
        raise ValueError(f"Columns of one length are needed, not {sizes}.")
    return [np.array(array) for array in np.broadcast_arrays(*arrays)]


def whole_columns(**given: Column) -> list[Floats]:
    """The columns as float arrays of shape `(n,)`, in the order given, with every number there.

    For what is said of all rows together.  `ValueError` naming column and row where one is
    missing or infinite, and where the lengths differ.
    """
    arrays = [np.atleast_1d(array) for array in rows_of(**given)]
    for name, array in zip(given, arrays, strict=True):
        refuse(name, array, ~np.isfinite(array), "is a finite number")
    return arrays


def weights_of(weights: Column | None, like: Floats) -> Floats:
    """The weights of the rows of `like`, each 1 if none are given; `ValueError` below zero."""
    if weights is None:
        return np.ones_like(like)
    checked, _ = whole_columns(weights=weights, rows=like)
    refuse("weights", checked, checked < 0, "is at least 0")
    return checked


def refuse(name: str, values: Floats, broken: Flags, law: str) -> None:
    """Raise `ValueError` about the first row of the column for which `broken` is True, if any."""
    offenders = np.flatnonzero(broken)
    if len(offenders):
        first = offenders[0]
        raise ValueError(
            f"{name}: {np.atleast_1d(values)[first]} in row {first} breaks the rule '{law}' "
            f"({len(offenders)} rows in all)."
        )


def codes_of(name: str, labels: Labels, n_rows: int) -> tuple[Positions, npt.NDArray[Any]]:
    """For each row the position of its label among all labels, and these, each once and sorted.

    Sorted, so that what is computed by label does not depend on the order of the rows.
    `ValueError` where a label is missing or there are not `n_rows` of them.
    """
    column = pd.Series(labels).reset_index(drop=True)
    if len(column) != n_rows:
        raise ValueError(f"{name}: {len(column)} labels for {n_rows} rows.")
    if column.isna().any():
        raise ValueError(f"{name}: the label of row {int(column.isna().argmax())} is missing.")
    codes, names = pd.factorize(column, sort=True)
    return codes.astype(np.int64), np.asarray(names)


def ordinals(days: pd.Series[Any]) -> Positions:
    """Each day's `date.toordinal()`: numbers are compared and subtracted all at once."""
    return np.fromiter(map(date.toordinal, days.tolist()), dtype=np.int64, count=len(days))


def quotient(above: Floats, below: Floats) -> Floats:
    """`above / below`, NaN where `below` is zero; infinite where no float is large enough."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    out = np.full(above.shape, np.nan)
    with np.errstate(over="ignore"):
        np.divide(above, below, out=out, where=below != 0)
    return out


def _floats(name: str, values: Column) -> Floats:
    if isinstance(values, pd.Series):
        array = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        array = np.asarray(values, dtype=np.float64)
    if array.ndim > 1:
        raise ValueError(f"{name}: one number a row is needed, not an array of {array.shape}.")
    return array
