"""Amounts in another currency: exact, by the rates that were supplied, and by no others."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.spend.exchange import (
    DatedAmounts,
    ExchangeRates,
    Rate,
    convert,
)

DAY = date(2026, 3, 7)

few = settings(max_examples=50)
cents = st.decimals(min_value=0, max_value=10**9, places=2)
currencies = st.sampled_from(["EUR", "USD", "JPY"])
days = st.integers(0, 60).map(lambda days: DAY - timedelta(days=days))
rows = st.lists(st.builds(DatedAmounts, days, currencies, st.tuples(cents, cents)), max_size=30)


def days_before(days: int) -> date:
    return DAY - timedelta(days=days)


def rates(*given: tuple[date, str, str, str], most_days_old: int = 7) -> ExchangeRates:
    return ExchangeRates(
        (Rate(day, one, other, Decimal(rate)) for day, one, other, rate in given),
        most_days_old=most_days_old,
    )


def spend(day: date, currency: str, amount: str) -> DatedAmounts:
    return DatedAmounts(day, currency, (Decimal(amount),))


def test_the_rate_of_a_day_is_its_own_or_the_latest_before() -> None:
    known = rates(
        (days_before(9), "USD", "EUR", "0.90"),
        (days_before(2), "USD", "EUR", "0.92"),
        (DAY + timedelta(days=1), "USD", "EUR", "0.99"),
    )
    wanted = {2: "0.92", 1: "0.92", 0: "0.92", 3: "0.90", 9: "0.90"}
    for before, rate in wanted.items():
        assert known.on(days_before(before), "USD", "EUR") == Decimal(rate), before
    assert known.on(days_before(10), "USD", "EUR") is None


@pytest.mark.parametrize("most", [0, 1, 7])
def test_a_rate_holds_for_as_many_days_as_it_may(most: int) -> None:
    known = rates((days_before(most), "USD", "EUR", "0.9"), most_days_old=most)
    assert known.on(DAY, "USD", "EUR") == Decimal("0.9")
    assert known.on(DAY + timedelta(days=1), "USD", "EUR") is None


def test_the_opposite_rate_counts_where_there_is_no_other() -> None:
    known = rates((DAY, "EUR", "USD", "1.25"), (days_before(1), "EUR", "JPY", "150"))
    assert known.on(DAY, "USD", "EUR") == Decimal("0.8")
    assert known.on(DAY, "JPY", "EUR") == Decimal("0.006666666666666667")
    both = rates((DAY, "EUR", "USD", "1.25"), (days_before(1), "USD", "EUR", "0.81"))
    assert both.on(DAY, "USD", "EUR") == Decimal("0.81")


def test_no_rate_is_made_of_two_others() -> None:
    known = rates((DAY, "USD", "EUR", "0.9"), (DAY, "EUR", "JPY", "150"))
    assert known.on(DAY, "USD", "JPY") is None


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity"])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="above 0 and finite"):
        rates((DAY, "USD", "EUR", rate))


def test_what_has_no_rate_is_named_and_not_added() -> None:
    known = rates((DAY, "USD", "EUR", "0.9"), (days_before(20), "JPY", "EUR", "0.006"))
    converted = convert(
        [
            spend(DAY, "EUR", "10.01"),
            spend(DAY, "USD", "3.33"),
            spend(DAY, "JPY", "1000"),
            spend(days_before(1), "USD", "5"),
            spend(days_before(1), "JPY", "0.00"),
            spend(days_before(19), "JPY", "1000"),
        ],
        "EUR",
        known,
    )
    assert converted.sums == (Decimal("10.01") + Decimal("2.997") + Decimal(6),)
    assert converted.unconverted == {"JPY": (DAY,), "USD": (days_before(1),)}
    assert not converted.is_whole


def test_nothing_converts_to_nothing() -> None:
    assert (convert([], "EUR", rates()).sums, convert([], "EUR", rates()).is_whole) == ((), True)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        convert(
            [spend(DAY, "EUR", "1"), DatedAmounts(DAY, "EUR", (Decimal(1),) * 2)], "EUR", rates()
        )


@few
@given(rows)
def test_a_rate_of_one_changes_nothing(given_rows: list[DatedAmounts]) -> None:
    oldest = days_before(60)
    one = rates((oldest, "USD", "EUR", "1"), (oldest, "EUR", "JPY", "1.000"), most_days_old=60)
    converted = convert(given_rows, "EUR", one)
    assert converted.is_whole
    want = [sum((row.amounts[at] for row in given_rows), Decimal(0)) for at in (0, 1)]
    assert list(converted.sums) == (want if given_rows else [])


@few
@given(rows, st.randoms(use_true_random=False), st.decimals("0.0001", 200, places=4))
def test_the_order_of_rows_and_their_grouping_do_not_matter(
    given_rows: list[DatedAmounts], random: object, rate: Decimal
) -> None:
    known = ExchangeRates(
        [Rate(days_before(30), "USD", "EUR", rate), Rate(days_before(3), "JPY", "EUR", rate)]
    )
    whole = convert(given_rows, "EUR", known)
    shuffled = list(given_rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert convert(shuffled, "EUR", known) == whole
    # Converted day by day or all at once: the same to the last digit.
    parts = [convert([row], "EUR", known) for row in given_rows]
    for at, total in enumerate(whole.sums):
        assert sum((part.sums[at] for part in parts), Decimal(0)) == total


@few
@given(rows)
def test_without_rates_only_the_own_currency_is_summed(given_rows: list[DatedAmounts]) -> None:
    converted = convert(given_rows, "EUR", rates())
    own = [row for row in given_rows if row.currency == "EUR"]
    want = [sum((row.amounts[at] for row in own), Decimal(0)) for at in (0, 1)]
    assert list(converted.sums) == (want if given_rows else [])
    others = {row.currency for row in given_rows if row.currency != "EUR" and any(row.amounts)}
    assert set(converted.unconverted) == others


def test_converting_loads_no_pandas() -> None:
    code = (
        "import sys; import actuals_pipeline.spend.exchange; "
        "sys.exit(str({'pandas', 'numpy', 'scipy'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "\n"
