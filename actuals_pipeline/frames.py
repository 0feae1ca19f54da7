"""Contracts of frames: which columns a table in memory has, and the check that it has them.

A contract is data, owned by the package that makes the frame; this module only knows how to hold
a frame against one.  A breach is a bug of ours, so it is raised (`FrameMismatch`), never repaired.

Here: kinds of columns, keys and row rules.  Not here: the contracts themselves
(`actuals/contract.py`, `accuracy/contract.py`) and the constraints in Postgres.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from pandas.api.types import pandas_dtype

from actuals_pipeline.errors import FrameMismatch


class Kind(StrEnum):
    """What one cell of a column is."""

    TEXT = "text"
    DAY = "day"
    """A `datetime.date`; a datetime is refused, because a report day is no instant."""
    INSTANT = "instant"
    """A moment in UTC, to the microsecond."""
    DECIMAL = "decimal"
    """A finite `decimal.Decimal`, exact to the last digit; None, never NaN, where nullable."""
    COUNT = "count"
    NUMBER = "number"
    """A float; NaN where the column is nullable, never infinite."""
    CLAIM = "claim"
    """A float that someone else asserted: kept as given, even infinite, until it is judged."""
    FLAG = "flag"
    TALLY = "tally"
    """Counts by name, those that are zero left out."""


_DTYPES = {
    Kind.TEXT: "str",
    Kind.DAY: "object",
    Kind.INSTANT: "datetime64[us, UTC]",
    Kind.DECIMAL: "object",
    Kind.COUNT: "int64",
    Kind.NUMBER: "float64",
    Kind.CLAIM: "float64",
    Kind.FLAG: "bool",
    Kind.TALLY: "object",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column; `unit` is empty where there is nothing to measure."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    nullable: bool = False

    @property
    def dtype(self) -> str:
        """The pandas dtype in which this project makes the column."""
        return "Int64" if self.kind is Kind.COUNT and self.nullable else _DTYPES[self.kind]


@dataclass(frozen=True, slots=True)
class Rule:
    """A law each row obeys; `broken` gives True for the rows that break it."""

    column: str
    law: str
    broken: Callable[[pd.DataFrame], pd.Series[bool]]


@dataclass(frozen=True, slots=True)
class Contract:
    """A frame's name, its columns in order, what identifies a row, and the rules of its rows."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]


def at_least_zero(*names: str) -> tuple[Rule, ...]:
    """One rule a column: no value below zero (a missing one is no breach)."""
    return tuple(Rule(name, "is at least 0", _below_zero(name)) for name in names)


def at_most(name: str, limit: float) -> Rule:
    """No value of the column above `limit`."""
    return Rule(name, f"is at most {limit:g}", lambda frame: frame[name] > limit)


def one_of(name: str, allowed: Sequence[str]) -> Rule:
    """Only the words of `allowed`, or nothing."""
    return Rule(name, f"is one of {', '.join(allowed)}", _not_among(name, list(allowed)))


def matching(name: str, pattern: str, law: str) -> Rule:
    """Only texts that match the whole `pattern`, or nothing; `law` says it in words."""
    return Rule(name, law, _not_matching(name, pattern))


def check_frame(frame: pd.DataFrame, contract: Contract, *, exact: bool = True) -> None:
    """Raise `FrameMismatch` unless `frame` keeps `contract`.

    The message names the frame, the column, the key of the first offending row and the rule.
    With `exact=False` the frame may have further columns and any order of them: what a function
    reads, rather than what it makes.
    """
    _check_names(frame, contract, exact=exact)
    for column in contract.columns:
        _check_cells(frame, contract, column)
    refuse_rows(frame, contract, contract.key[0], _repeated(frame, contract), "has a unique key")
    for rule in contract.rules:
        refuse_rows(frame, contract, rule.column, rule.broken(frame), rule.law)


def check_columns(frame: pd.DataFrame, contract: Contract) -> None:
    """Raise `FrameMismatch` unless `frame` has the columns of `contract`, in their dtypes.

    For a frame whose rows were held against the contract when they were made: by the step before,
    or by Postgres.  Further columns are no breach.
    """
    _check_names(frame, contract, exact=False)
    for column in contract.columns:
        _check_dtype(frame[column.name], contract, column)


def check_added(frame: pd.DataFrame, contract: Contract, to: Contract) -> None:
    """Raise `FrameMismatch` unless the columns that `contract` adds to `to` keep it.

    For rows that keep `to` already, in number and key the same.
    """
    _check_names(frame, contract, exact=True)
    for column in contract.columns:
        if column not in to.columns:
            _check_cells(frame, contract, column)
    for rule in contract.rules:
        if rule not in to.rules:
            refuse_rows(frame, contract, rule.column, rule.broken(frame), rule.law)


def conform(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The declared columns of `frame`, in order and in their dtypes; other columns are dropped."""
    columns = {column.name: _cast(frame[column.name], column) for column in contract.columns}
    # Told the index, pandas need not find out that all columns share it.  They are copied when
    # somebody writes to them, which of wide frames saves time and half of the memory.
    return pd.DataFrame(columns, index=frame.index, copy=False)


def empty_frame(contract: Contract) -> pd.DataFrame:
    """A frame without rows that keeps `contract`."""
    return conform(pd.DataFrame(columns=contract.names), contract)


def first_that_applies(conditions: Mapping[str, pd.Series[bool]], otherwise: str) -> pd.Series[str]:
    """For each row the first word whose condition holds, in the order of `conditions`."""
    words = np.array([*conditions, otherwise], dtype=object)
    index = next(iter(conditions.values())).index
    holds = np.column_stack([*conditions.values(), np.ones(len(index), dtype=bool)])
    return pd.Series(words[holds.argmax(axis=1)], index=index, dtype="str")


def refuse_rows(
    frame: pd.DataFrame, contract: Contract, column: str, broken: pd.Series[bool], law: str
) -> None:
    """Raise `FrameMismatch` about the first row for which `broken` is True, if there is one."""
    # Nearly always there is none, which is told soonest so; what is missing breaks nothing.
    if broken.any():
        offenders = np.flatnonzero(broken.fillna(value=False).to_numpy(dtype=bool))
        row = frame.iloc[offenders[0]]
        key = ", ".join(f"{name}={row[name]}" for name in contract.key)
        _refuse(
            contract,
            column,
            f"{row[column]} breaks the rule '{law}' at {key} ({len(offenders)} rows in all)",
        )


def _check_names(frame: pd.DataFrame, contract: Contract, *, exact: bool) -> None:
    given, declared = list(frame.columns), contract.names
    for name in declared:
        if given.count(name) != 1:
            _refuse(contract, name, f"declared once, but there {given.count(name)} times")
    if exact and given != declared:
        at = next(i for i, name in enumerate(given) if i >= len(declared) or name != declared[i])
        _refuse(contract, str(given[at]), f"not declared as column {at + 1}")


def _check_cells(frame: pd.DataFrame, contract: Contract, column: Column) -> None:
    values = frame[column.name]
    _check_dtype(values, contract, column)
    # Looking for what is missing takes long among texts, and tells nothing where it is allowed.
    if not column.nullable and values.hasnans:
        refuse_rows(frame, contract, column.name, values.isna(), "is never missing")
    if column.kind in _BAD_CELLS:
        bad, law = _BAD_CELLS[column.kind]
        found = bad(values)
        if found is not None:
            refuse_rows(frame, contract, column.name, found & ~values.isna(), law)


def _check_dtype(values: pd.Series[Any], contract: Contract, column: Column) -> None:
    # A count that has no missing value may come in either of the two integer dtypes.
    accepted = {column.dtype, "Int64", "int64"} if column.kind is Kind.COUNT else {column.dtype}
    if values.dtype.name not in accepted:
        _refuse(contract, column.name, f"dtype {values.dtype}, declared {column.dtype}")


# Cell by cell takes most of the time of a check: all cells of a column at once first.


def _not_days(values: pd.Series[Any]) -> pd.Series[bool] | None:
    cells = values.tolist()
    if {*map(type, cells)} <= {date, type(None)}:
        return None
    bad = [type(cell) is not date for cell in cells]
    return pd.Series(bad, index=values.index, dtype=bool)


def _not_decimals(values: pd.Series[Any]) -> pd.Series[bool] | None:
    cells = values.tolist()
    if {*map(type, cells)} == {Decimal} and all(map(Decimal.is_finite, cells)):
        return None
    bad = [type(cell) is not Decimal or not cell.is_finite() for cell in cells]
    return pd.Series(bad, index=values.index, dtype=bool)


def _infinite(values: pd.Series[Any]) -> pd.Series[bool] | None:
    bad = np.isinf(values.to_numpy(dtype=np.float64))
    return pd.Series(bad, index=values.index) if bad.any() else None


_BAD_CELLS: dict[Kind, tuple[Callable[[pd.Series[Any]], pd.Series[bool] | None], str]] = {
    Kind.DAY: (_not_days, "is a datetime.date"),
    Kind.DECIMAL: (_not_decimals, "is a finite Decimal"),
    Kind.NUMBER: (_infinite, "is finite"),
}


def _repeated(frame: pd.DataFrame, contract: Contract) -> pd.Series[bool]:
    return frame.duplicated(subset=list(contract.key))


def _below_zero(name: str) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    return lambda frame: frame[name] < 0


def _not_among(name: str, allowed: list[str]) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    def broken(frame: pd.DataFrame) -> pd.Series[bool]:
        others = ~frame[name].isin(allowed)
        return others & frame[name].notna() if others.any() else others

    return broken


def _not_matching(name: str, pattern: str) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    def broken(frame: pd.DataFrame) -> pd.Series[bool]:
        # The same few words come again and again.
        words = frame[name].dropna().unique()
        return frame[name].isin([word for word in words if re.fullmatch(pattern, word) is None])

    return broken


def _cast(values: pd.Series[Any], column: Column) -> pd.Series[Any]:
    dtype = _named(column.dtype)
    cast: pd.Series[Any] = values if values.dtype == dtype else values.astype(dtype)
    # One way to say "missing" among objects, so that equal tables compare equal.
    return cast.where(cast.notna(), None) if column.dtype == "object" and cast.hasnans else cast


_named = cache(pandas_dtype)


def _refuse(contract: Contract, column: str, reason: str) -> NoReturn:
    raise FrameMismatch(f"{contract.name}.{column}: {reason}.")
