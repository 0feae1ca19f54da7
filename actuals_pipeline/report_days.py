"""Report days: calendar dates in an ad account's own time zone, and windows of them.

Meta reports insights by the ad account's calendar, so a report day is a label, not an instant.
This is the only module that turns an instant into a report day, and the only one that turns
Meta's (and people's) inclusive `until` into the half-open windows used everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actuals_pipeline.errors import InputError

SETTLED_AFTER_DAYS = 28
"""Days after which Meta no longer restates a report day.

Source: Insights best practices, "do not change after 28 days of being reported" (2026-09-12).
"""

RETENTION_MONTHS = 37
"""Months of totals that Meta keeps; an older start is error 3018 (Insights reference)."""

MOST_DAYS_BACK = 1100
"""Most trailing days that one may ask of an ad: those of the months that Meta keeps."""

MOST_RETENTION_MONTHS = 1200
"""Months that one may ask to keep: a hundred years, before which calendars make no sense here."""


@dataclass(frozen=True, slots=True, order=True)
class DayWindow:
    """Report days from `start` up to, but not including, `end`; never empty."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InputError(f"The window ends ({self.until}) before it starts ({self.since}).")

    @classmethod
    def inclusive(cls, since: date, until: date) -> DayWindow:
        """The window that people and Meta write as since..until, both days included."""
        return cls(since, until + timedelta(days=1))

    @classmethod
    def trailing(cls, last: date, days: int) -> DayWindow:
        """The `days` days that end with `last`, itself included."""
        return cls.inclusive(last - timedelta(days=days - 1), last)

    @property
    def since(self) -> date:
        """First day, as Meta's `time_range.since`."""
        return self.start

    @property
    def until(self) -> date:
        """Last day, as Meta's inclusive `time_range.until`."""
        return self.end - timedelta(days=1)

    def __len__(self) -> int:
        return (self.end - self.start).days

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=offset) for offset in range(len(self)))

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __str__(self) -> str:
        return f"{self.since}..{self.until}"

    @classmethod
    def adjoining(cls, days: Iterable[date]) -> list[DayWindow]:
        """The fewest windows that hold exactly `days`, in order."""
        ordered = sorted(set(days))
        breaks = [b for a, b in pairwise(ordered) if b - a > timedelta(days=1)]
        lasts = [a for a, b in pairwise(ordered) if b - a > timedelta(days=1)]
        starts, ends = [*ordered[:1], *breaks], [*lasts, *ordered[-1:]]
        return [cls.inclusive(since, until) for since, until in zip(starts, ends, strict=True)]

    def pieces(self, days: int) -> list[DayWindow]:
        """Consecutive windows of `days` days that make up this one; the last may be shorter."""
        return self.parts(lambda _: 1, days)

    def parts(self, rows_of: Callable[[date], int], most: int) -> list[DayWindow]:
        """Consecutive windows that make up this one, each with at most `most` rows or one day."""
        parts: list[DayWindow] = []
        rows = 0
        for day in self:
            rows += rows_of(day)
            if parts and rows <= most:
                parts[-1] = DayWindow.inclusive(parts[-1].start, day)
            else:
                parts.append(DayWindow.inclusive(day, day))
                rows = rows_of(day)
        return parts

    def clipped(self, *, since: date | None = None, until: date | None = None) -> DayWindow | None:
        """The part that lies in since..until (inclusive), or None when nothing does."""
        start = max(self.start, since or self.start)
        end = min(self.end, until + timedelta(days=1) if until else self.end)
        return DayWindow(start, end) if start < end else None


def time_zone(name: str) -> ZoneInfo:
    """The IANA time zone called `name`; `InputError` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(f"{name!r} is not an IANA time zone such as Europe/Berlin.") from error


def report_day(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day on which `instant` falls in `zone`; the instant must be aware."""
    if instant.tzinfo is None:
        raise ValueError("a naive datetime names no instant")
    return instant.astimezone(zone).date()


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which `day` begins in `zone`."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def over_everywhere(day: date, zones: Iterable[ZoneInfo]) -> datetime:
    """The instant, in UTC, from which on `day` is over in all `zones`; in UTC if there are none."""
    tomorrow = day + timedelta(days=1)
    return max(
        (day_start(tomorrow, zone) for zone in zones), default=day_start(tomorrow, ZoneInfo("UTC"))
    )


def is_settled(day: date, today: date) -> bool:
    """Whether Meta no longer restates `day`, seen on `today` in the same calendar."""
    return today - day > timedelta(days=SETTLED_AFTER_DAYS)


def retention_floor(today: date, months: int = RETENTION_MONTHS) -> date:
    """The oldest day of the last `months` months, seen on `today`; by default what Meta keeps."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    # A day of the month that the shorter month lacks falls on the first of the next.
    first = date(year, month + 1, 1)
    return min(first + timedelta(days=today.day - 1), _next_month(first))


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def parse_day(text: str) -> date:
    """The ISO day written in `text`, such as 2026-03-07; `InputError` for anything else."""
    try:
        # fromisoformat alone takes ISO's weeks as well, such as 2026-W01-1.
        is_day = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None
        return date.fromisoformat(text) if is_day else _refuse(text)
    except ValueError:
        return _refuse(text)


def _refuse(text: str) -> date:
    raise InputError(f"{text!r} is not a day; write it as YYYY-MM-DD, such as 2026-03-07.")
