"""How report days came to be known, read from revisions that the eye can check."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.warehouse import history
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.tables import ad_actuals_revisions

DAY = date(2026, 1, 10)
WINDOW = DayWindow.inclusive(DAY, DAY + timedelta(days=1))
LATER = DAY + timedelta(days=60)


@pytest.fixture
def know(insert: Callable[..., None]) -> Callable[..., None]:
    """What came to be known of an ad's day at an age: spend, clicks, purchases, revenue."""

    def add(ad_id: str, age: int, known: tuple[int, ...] | None, **values: Any) -> None:
        names = ("spend", "clicks", "conversions", "revenue")
        nothing = dict.fromkeys(("currency", "impressions", "link_clicks", "reach", *names))
        figures = dict(zip(names, known, strict=True)) if known else nothing
        day = values.setdefault("report_date", DAY)
        insert(
            ad_actuals_revisions, ad_id=ad_id, as_of_date=day + timedelta(days=age),
            is_listed=known is not None, **{**figures, **values},
        )  # fmt: skip

    return add


def cohorts(database: str, known_before: date = LATER) -> dict[str, list[tuple[Any, ...]]]:
    return history.cohorts(Warehouse(database), WINDOW, known_before)


def test_what_each_revision_added_is_summed_over_the_ads(
    database: str, know: Callable[..., None]
) -> None:
    know("a", 0, (10, 100, 1, 20))
    know("a", 2, (10, 101, 3, 50))
    # Bought by people who saw the ad before; it was not shown on the day itself.
    know("b", 2, (0, 0, 1, 40), impressions=0)
    # Taken back by Meta.
    know("c", 0, (5, 3, 1, 10))
    know("c", 3, None)
    know("a", 0, (1, 1, 1, 7), account_id="43", report_date=DAY + timedelta(days=1))
    none = [0.0, 0.0, 0.0]
    assert cohorts(database) == {
        "42": [
            (
                DAY, [0, 2, 3], [30.0, 70.0, -10.0], [103.0, 1.0, -3.0], [2.0, 3.0, -1.0],
                [0.0, 40.0, 0.0], none, none,
            )
        ],
        "43": [(DAY + timedelta(days=1), [0], [7.0], [1.0], [1.0], [0.0], [0.0], [0.0])],
    }  # fmt: skip


def test_purchases_of_another_type_are_nothing_that_came(
    database: str, know: Callable[..., None]
) -> None:
    know("a", 0, (10, 100, 4, 40), purchase_action_type="omni_purchase")
    know("a", 1, (10, 101, 5, 50), purchase_action_type="omni_purchase")
    # Only what was bought on the web counts from here on.
    know("a", 2, (10, 103, 3, 30), purchase_action_type="offsite_conversion.fb_pixel_purchase")
    know("a", 3, (10, 103, 4, 45), purchase_action_type="offsite_conversion.fb_pixel_purchase")
    # Listed no more, and listed again.
    know("a", 4, None, purchase_action_type=None)
    know("a", 5, (10, 103, 4, 45), purchase_action_type="omni_purchase")
    (cohort,) = cohorts(database)["42"]
    assert cohort[1:5] == (
        [0, 1, 2, 3, 4, 5],
        [40.0, 10.0, 0.0, 15.0, -45.0, 45.0],
        [100.0, 1.0, 2.0, 0.0, -103.0, 103.0],
        [4.0, 1.0, 0.0, 1.0, -4.0, 4.0],
    )


def test_nothing_is_read_that_was_not_known_before_the_day(
    database: str, know: Callable[..., None]
) -> None:
    for age in (0, 1, 2):
        know("a", age, (10, 1, 1, 10 * (age + 1)))
    (known,) = cohorts(database, DAY + timedelta(days=2))["42"]
    assert known[:3] == (DAY, [0, 1], [10.0, 10.0])
    assert cohorts(database, DAY) == {}


@pytest.mark.parametrize(
    ("setting", "want"),
    [
        ("7d_click_1d_view", (0.0, 0.0)),
        ("28d_click_1d_view", (0.0, 20.0)),
        ("1d_click", (20.0, 0.0)),
        ("1d_view", (20.0, 0.0)),
        ("1d_view_7d_click", (0.0, 0.0)),
        (None, (0.0, 0.0)),
    ],
)
def test_revenue_is_told_apart_by_the_click_window_of_its_ad_set(
    database: str, know: Callable[..., None], setting: str | None, want: tuple[float, float]
) -> None:
    know("a", 0, (10, 1, 1, 20), attribution_setting=setting)
    (known,) = cohorts(database)["42"]
    assert (known[-2], known[-1]) == ([want[0]], [want[1]])
