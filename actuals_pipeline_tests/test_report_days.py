from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actuals_pipeline.errors import InputError
from actuals_pipeline.report_days import (
    DayWindow,
    day_start,
    is_settled,
    over_everywhere,
    parse_day,
    report_day,
    retention_floor,
    time_zone,
)

ZONES = sorted(zoneinfo.available_timezones() - {"localtime", "Factory"})


@pytest.mark.parametrize(
    ("zone", "instant", "day"),
    [
        ("Pacific/Honolulu", datetime(2026, 3, 8, 9, 59, tzinfo=UTC), date(2026, 3, 7)),
        ("Pacific/Honolulu", datetime(2026, 3, 8, 10, 0, tzinfo=UTC), date(2026, 3, 8)),
        ("Pacific/Kiritimati", datetime(2026, 3, 7, 9, 59, tzinfo=UTC), date(2026, 3, 7)),
        ("Pacific/Kiritimati", datetime(2026, 3, 7, 10, 0, tzinfo=UTC), date(2026, 3, 8)),
        ("Asia/Kathmandu", datetime(2026, 3, 7, 18, 14, tzinfo=UTC), date(2026, 3, 7)),
        ("Asia/Kathmandu", datetime(2026, 3, 7, 18, 15, tzinfo=UTC), date(2026, 3, 8)),
        ("Europe/Berlin", datetime(2026, 7, 31, 21, 59, 59, tzinfo=UTC), date(2026, 7, 31)),
        ("Europe/Berlin", datetime(2026, 7, 31, 22, 0, tzinfo=UTC), date(2026, 8, 1)),
        ("Europe/Berlin", datetime(2026, 1, 31, 22, 0, tzinfo=UTC), date(2026, 1, 31)),
        ("America/New_York", datetime(2024, 3, 1, 4, 59, tzinfo=UTC), date(2024, 2, 29)),
        (
            "UTC",
            datetime(2026, 3, 8, 1, 0, tzinfo=timezone(timedelta(hours=2))),
            date(2026, 3, 7),
        ),
    ],
)
def test_a_report_day_is_the_accounts_own_calendar_day(
    zone: str, instant: datetime, day: date
) -> None:
    assert report_day(instant, time_zone(zone)) == day


def test_a_naive_datetime_names_no_instant() -> None:
    with pytest.raises(ValueError, match="naive"):
        report_day(datetime(2026, 3, 7), time_zone("UTC"))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        # Their clocks change at midnight: the day begins at 1:00, or an hour comes twice.
        ("America/Santiago", date(2026, 9, 6), datetime(2026, 9, 6, 4, tzinfo=UTC), 23),
        ("America/Santiago", date(2026, 4, 4), datetime(2026, 4, 4, 3, tzinfo=UTC), 25),
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, tzinfo=UTC), 25),
        ("Australia/Lord_Howe", date(2026, 10, 4), datetime(2026, 10, 3, 13, 30, tzinfo=UTC), 23.5),
        ("Pacific/Kiritimati", date(2024, 2, 29), datetime(2024, 2, 28, 10, tzinfo=UTC), 24),
    ],
)
def test_a_day_lasts_from_its_start_to_the_next_however_long(
    zone: str, day: date, start: datetime, hours: float
) -> None:
    own = time_zone(zone)
    assert day_start(day, own) == start
    assert day_start(day + timedelta(days=1), own) - start == timedelta(hours=hours)
    assert day_start(day, own).tzinfo is UTC


@given(
    zone=st.sampled_from(ZONES).map(time_zone), day=st.dates(date(2012, 1, 1), date(2036, 12, 31))
)
def test_a_day_begins_where_the_one_before_ends(zone: zoneinfo.ZoneInfo, day: date) -> None:
    start = day_start(day, zone)
    assert report_day(start, zone) == day
    assert report_day(start - timedelta(microseconds=1), zone) == day - timedelta(days=1)


def test_a_day_that_a_country_skipped_is_empty() -> None:
    apia = time_zone("Pacific/Apia")
    assert day_start(date(2011, 12, 30), apia) == day_start(date(2011, 12, 31), apia)


@pytest.mark.parametrize(
    "name", ["", "Berlin", "europe/berlin ", "../../etc/passwd", "Europe", "/etc/localtime", "a\0"]
)
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not an IANA time zone such as Europe/Berlin") as error:
        time_zone(name)
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("today", "settled"),
    [
        (date(2026, 3, 28), False),
        (date(2026, 3, 29), False),
        (date(2026, 3, 30), True),
        (date(2026, 2, 1), False),
    ],
)
def test_a_day_is_settled_once_it_is_more_than_28_days_old(today: date, *, settled: bool) -> None:
    assert is_settled(date(2026, 3, 1), today) is settled


@pytest.mark.parametrize(
    ("today", "floor"),
    [
        (date(2026, 3, 7), date(2023, 2, 7)),
        (date(2026, 1, 31), date(2022, 12, 31)),
        (date(2026, 2, 1), date(2023, 1, 1)),
        (date(2026, 12, 31), date(2023, 12, 1)),
        (date(2026, 3, 31), date(2023, 3, 1)),
        (date(2026, 3, 29), date(2023, 3, 1)),
        (date(2027, 3, 29), date(2024, 2, 29)),
        (date(2024, 2, 29), date(2021, 1, 29)),
        (date(2026, 1, 1), date(2022, 12, 1)),
    ],
    ids=str,
)
def test_meta_keeps_37_months(today: date, floor: date) -> None:
    assert retention_floor(today) == floor


@given(st.dates(date(2012, 1, 1), date(2100, 12, 31)))
def test_the_oldest_day_kept_moves_on_by_the_day_and_never_back(today: date) -> None:
    floor, following = retention_floor(today), retention_floor(today + timedelta(days=1))
    assert floor <= following <= floor + timedelta(days=4)
    months = 12 * (today.year - floor.year) + today.month - floor.month
    assert (months, floor.day) == (37, today.day) or (months, floor.day) == (36, 1)


def test_a_window_holds_both_days_that_people_write() -> None:
    window = DayWindow.inclusive(date(2024, 2, 28), date(2024, 3, 1))
    assert window == DayWindow(date(2024, 2, 28), date(2024, 3, 2))
    assert list(window) == [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
    assert (window.since, window.until) == (date(2024, 2, 28), date(2024, 3, 1))
    assert (len(window), str(window)) == (3, "2024-02-28..2024-03-01")
    assert date(2024, 3, 1) in window
    assert date(2024, 3, 2) not in window
    assert date(2024, 2, 27) not in window


@pytest.mark.parametrize("days", [1, 28])
def test_trailing_days_end_with_the_last(days: int) -> None:
    window = DayWindow.trailing(date(2026, 3, 7), days)
    assert (len(window), window.until) == (days, date(2026, 3, 7))


@pytest.mark.parametrize(
    ("since", "until"),
    [(date(2026, 3, 7), date(2026, 3, 6)), (date(2026, 3, 7), date(2025, 3, 7))],
)
def test_a_window_that_ends_before_it_starts_is_refused(since: date, until: date) -> None:
    with pytest.raises(InputError, match=rf"ends \({until}\) before it starts \({since}\)"):
        DayWindow.inclusive(since, until)
    with pytest.raises(InputError):
        DayWindow.trailing(since, 0)


FIRST_WEEK = DayWindow.inclusive(date(2026, 3, 1), date(2026, 3, 7))


@pytest.mark.parametrize(
    ("since", "until", "left"),
    [
        (None, None, "2026-03-01..2026-03-07"),
        (date(2026, 3, 3), None, "2026-03-03..2026-03-07"),
        (None, date(2026, 3, 3), "2026-03-01..2026-03-03"),
        (date(2026, 3, 7), date(2026, 3, 9), "2026-03-07..2026-03-07"),
        (date(2026, 2, 1), date(2026, 4, 1), "2026-03-01..2026-03-07"),
        (date(2026, 3, 8), None, "None"),
        (None, date(2026, 2, 28), "None"),
    ],
)
def test_what_is_clipped_lies_in_both(since: date | None, until: date | None, left: str) -> None:
    assert str(FIRST_WEEK.clipped(since=since, until=until)) == left


@given(st.dates())
def test_a_day_reads_as_it_is_written(day: date) -> None:
    assert parse_day(day.isoformat()) == day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-3-7",
        "20260307",
        "07.03.2026",
        "2026-02-29",
        "2026-W10-6",
        "2026-03-07T00:00",
        " 2026-03-07",
        "2026-03-7 ",
        "2026-03-07\n",
        "\N{FULLWIDTH DIGIT TWO}026-03-07",
        "0000-01-01",
    ],
)
def test_anything_else_is_no_day(text: str) -> None:
    with pytest.raises(InputError, match="write it as YYYY-MM-DD, such as 2026-03-07"):
        parse_day(text)


def test_a_day_is_over_everywhere_when_the_last_of_the_calendars_says_so() -> None:
    day = date(2026, 3, 7)
    zones = [time_zone(name) for name in ("Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin")]
    assert over_everywhere(day, zones) == datetime(2026, 3, 8, 8, tzinfo=UTC)
    assert over_everywhere(day, zones[:1]) == datetime(2026, 3, 7, 15, tzinfo=UTC)
    assert over_everywhere(day, []) == datetime(2026, 3, 8, tzinfo=UTC)
