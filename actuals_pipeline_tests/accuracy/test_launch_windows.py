"""What counts of an ad's first days, from when on, and how it is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from actuals_pipeline.accuracy.columns import Positions
from actuals_pipeline.accuracy.contract import PAIRS, WINDOW_DAYS
from actuals_pipeline.accuracy.launch_windows import (
    asked_windows,
    launch_pairs,
    window_figures,
)
from actuals_pipeline.frames import check_frame, conform

Frames = Callable[..., pd.DataFrame]

FIRST = date(2026, 3, 3)
NO_SEEN: dict[str, date] = {}


def day(number: int) -> date:
    """The ad's days of life, the first being 0."""
    return FIRST + timedelta(days=number)


def asked(pairs: pd.DataFrame, **seen: date) -> dict[str, dict[str, Any]]:
    rows = asked_windows(pairs, seen, evaluation_days=365).to_dict("records")
    return {str(row["protocol"]): {str(name): value for name, value in row.items()} for row in rows}


def window_days(windows: pd.DataFrame, *rows: dict[str, Any]) -> pd.DataFrame:
    """Days of every one of the windows, each known by its end unless a row says otherwise."""
    usual = {
        "impressions": 1000, "clicks": 25, "spend": Decimal(10), "conversions": 2,
        "revenue": Decimal(30),
    }  # fmt: skip
    made = [
        usual | {"reading": window["reading"], "known_on": window["known_by"]} | row
        for window in windows.to_dict("records")
        for row in rows
        if window["since"] <= row["report_date"] <= window["until"]
    ]
    return conform(pd.DataFrame(made, columns=WINDOW_DAYS.names), WINDOW_DAYS)


@pytest.mark.parametrize(
    ("as_of", "protocol", "until", "known_by", "is_final"),
    [
        (day(0), "launch_d7", day(0), day(0), False),
        (day(7), "launch_d7", day(6), day(7), False),
        (day(8), "launch_d7", day(6), day(8), True),
        (day(30), "launch_d7", day(6), day(8), True),
        (day(27), "launch_ltd28", day(27), day(27), False),
        (day(28), "launch_ltd28", day(27), day(28), True),
        (day(300), "launch_ltd28", day(27), day(28), True),
    ],
)
def test_a_window_grows_to_its_length_and_is_frozen_on_the_day_it_matures(
    pairs_of: Frames, as_of: date, protocol: str, until: date, known_by: date, *, is_final: bool
) -> None:
    window = asked(pairs_of({"as_of_date": as_of, "first_delivery_on": FIRST}))[protocol]
    assert (window["since"], window["until"], window["known_by"]) == (FIRST, until, known_by)
    assert (window["matures_on"] <= as_of) == is_final


def test_what_was_known_by_one_day_is_read_once_and_by_another_for_itself(
    pairs_of: Frames,
) -> None:
    shown = [{"as_of_date": day(number), "first_delivery_on": FIRST} for number in (7, 8, 9)]
    windows = asked_windows(pairs_of(*shown), NO_SEEN, evaluation_days=365)
    first_days = windows[windows["protocol"].eq("launch_d7")].set_index("as_of_date")
    # Of the same seven days; on the eighth they are final.
    assert first_days["until"].nunique() == 1
    before, final, after = (first_days["reading"][day(number)] for number in (7, 8, 9))
    assert before != final == after
    assert windows["reading"].nunique() == 2 + 3


def test_ads_never_shown_or_shown_long_ago_have_no_window(pairs_of: Frames) -> None:
    assert asked(pairs_of({"first_delivery_on": None})) == {}
    assert asked(pairs_of({"as_of_date": day(366), "first_delivery_on": FIRST})) == {}
    assert asked(pairs_of({"as_of_date": day(365), "first_delivery_on": FIRST}))


def test_a_window_that_was_final_before_the_account_was_seen_is_reconstructed(
    pairs_of: Frames,
) -> None:
    pairs = pairs_of({"as_of_date": day(40), "first_delivery_on": FIRST})
    windows = asked(pairs, **{"42": day(20)})
    found = {name: window["is_reconstructed"] for name, window in windows.items()}
    assert found == {"launch_d7": True, "launch_ltd28": False}


def test_figures_are_exact_sums_and_what_is_complete_is_weighted_by_spend(
    pairs_of: Frames,
) -> None:
    pairs = pairs_of({"as_of_date": day(9), "first_delivery_on": FIRST})
    windows = asked_windows(pairs, NO_SEEN, evaluation_days=365)
    rows = window_days(
        windows,
        {"report_date": day(0), "spend": Decimal("30.000001")},
        {"report_date": day(8), "spend": Decimal(10)},
    )

    def half_after_a_day(_: pd.DataFrame, ages: Positions, __: Positions) -> tuple[Any, Any]:
        return np.where(ages > 1, 1.0, 0.5), np.where(ages > 1, 0.0, 0.1)

    got = window_figures(windows, rows, half_after_a_day).set_index("protocol")
    assert got["spend"].to_dict() == {
        "launch_d7": Decimal("30.000001"), "launch_ltd28": Decimal("40.000001"),
    }  # fmt: skip
    late = got.loc["launch_ltd28"]
    assert late["completeness"] == pytest.approx((30.000001 + 5) / 40.000001)
    assert late["completeness_se"] == pytest.approx(1 / (30.000001 + 5))
    assert got["completeness"].isna().to_dict() == {"launch_d7": True, "launch_ltd28": False}


def test_a_day_has_the_age_of_its_window_and_that_of_what_is_known_of_it(
    pairs_of: Frames,
) -> None:
    pairs = pairs_of({"as_of_date": day(28), "first_delivery_on": FIRST})
    windows = asked_windows(pairs, {"42": day(60)}, evaluation_days=365)
    rows = window_days(windows, {"report_date": day(27), "known_on": day(60)})
    ages: list[list[int]] = []

    def noting(_: pd.DataFrame, final: Positions, learnt: Positions) -> tuple[Any, Any]:
        ages.extend([final.tolist(), learnt.tolist()])
        return np.ones(len(final)), np.zeros(len(final))

    window_figures(windows, rows, noting)
    assert ages == [[0], [33]]


def test_a_reconstructed_window_takes_what_was_learnt_by_the_as_of_day(pairs_of: Frames) -> None:
    seen = {"42": day(50)}
    for as_of, learnt_by in ((day(49), date.max), (day(50), day(50)), (day(60), day(60))):
        pairs = pairs_of({"as_of_date": as_of, "first_delivery_on": FIRST})
        windows = asked_windows(pairs, seen, evaluation_days=365)
        assert windows["is_reconstructed"].all()
        assert set(windows["learnt_by"]) == {learnt_by}
    known = asked_windows(pairs, {"42": day(1)}, evaluation_days=365)
    assert (known["learnt_by"] == known["known_by"]).all()


@pytest.fixture
def launched(pairs_of: Frames, videos_of: Frames, known_days_of: Frames) -> Callable[..., Any]:
    """The launch pairs of one pair of launch_to_date, by protocol."""

    def build(
        as_of: date,
        *,
        known: int | None = None,
        learnt_from: int = 0,
        share: float = 1.0,
        **pair: Any,
    ) -> dict[str, dict[str, Any]]:
        pairs = pairs_of({"as_of_date": as_of, "first_delivery_on": FIRST} | pair)
        windows = asked_windows(pairs, NO_SEEN, evaluation_days=365)
        rows = window_days(windows, *({"report_date": day(n)} for n in range(learnt_from, 40)))

        def shares(_: pd.DataFrame, ages: Positions, __: Positions) -> tuple[Any, Any]:
            return np.full(len(ages), share), np.zeros(len(ages))

        days = [] if known is None else [{"report_date": day(n)} for n in range(-2, known)]
        got = launch_pairs(
            pairs,
            window_figures(windows, rows, shares),
            videos_of({"created_at": datetime(2026, 3, 1, 10, tzinfo=UTC)}),
            {},
            known_days=known_days_of(*days) if days else None,
            evaluation_days=365,
            default_zone="UTC",
        )
        check_frame(got, PAIRS)
        return {
            str(row["protocol"]): {str(name): value for name, value in row.items()}
            for row in got.to_dict("records")
        }

    return build


def test_both_windows_keep_the_prediction_and_count_their_own_days(
    launched: Callable[..., Any],
) -> None:
    got = launched(day(40))
    assert {name: row["impressions"] for name, row in got.items()} == {
        "launch_d7": 7000, "launch_ltd28": 28_000,
    }  # fmt: skip
    for row in got.values():
        assert (row["prediction_id"], row["status"], row["is_provisional"]) == (
            "p1", "eligible", False,
        )  # fmt: skip


@pytest.mark.parametrize(("as_of", "want"), [(7, ["immature"] * 2), (8, ["eligible", "immature"])])
def test_until_it_is_final_a_comparison_is_immature_and_provisional(
    launched: Callable[..., Any], as_of: int, want: list[str]
) -> None:
    got = launched(day(as_of))
    assert [row["status"] for row in got.values()] == want
    assert [row["is_provisional"] for row in got.values()] == [
        status == "immature" for status in want
    ]


def test_a_roas_of_which_too_much_is_missing_stays_provisional(
    launched: Callable[..., Any],
) -> None:
    assert launched(day(40), share=0.9)["launch_ltd28"]["is_provisional"] is False
    incomplete = launched(day(40), share=0.89)["launch_ltd28"]
    assert (incomplete["status"], incomplete["is_provisional"]) == ("eligible", True)


@pytest.mark.parametrize("status", ["leaked", "ambiguous", "invalid_prediction"])
def test_what_is_wrong_with_a_prediction_is_wrong_whatever_days_are_compared(
    launched: Callable[..., Any], status: str
) -> None:
    assert {row["status"] for row in launched(day(40), status=status).values()} == {status}


@pytest.mark.parametrize("status", ["too_young", "too_old", "incomplete_history"])
def test_what_is_wrong_with_the_days_since_launch_need_not_be_with_the_first(
    launched: Callable[..., Any], status: str
) -> None:
    assert {row["status"] for row in launched(day(40), status=status).values()} == {"eligible"}


def test_an_ad_that_was_never_shown_stays_in_the_denominator(launched: Callable[..., Any]) -> None:
    got = launched(
        day(8), status="no_delivery", first_delivery_on=None, impressions=0, clicks=0,
        spend=Decimal(0),
    )  # fmt: skip
    assert {row["status"] for row in got.values()} == {"no_delivery"}
    assert {row["impressions"] for row in got.values()} == {0}


def test_a_window_with_a_day_unknown_is_an_incomplete_history(
    launched: Callable[..., Any],
) -> None:
    assert launched(day(40), known=28)["launch_ltd28"]["status"] == "eligible"
    short = launched(day(40), known=20)
    assert short["launch_ltd28"]["status"] == "incomplete_history"
    assert short["launch_d7"]["status"] == "eligible"


def test_a_window_of_which_nothing_was_learnt_until_it_was_over_is_an_incomplete_history(
    launched: Callable[..., Any],
) -> None:
    young, old = (launched(day(n), learnt_from=30) for n in (7, 40))
    assert [row["status"] for row in young.values()] == ["immature"] * 2
    for row in old.values():
        assert (row["status"], row["is_provisional"]) == ("incomplete_history", True)
        assert (row["impressions"], row["revenue"]) == (0, 0), "what came later is not its own"
