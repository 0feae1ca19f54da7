"""What Meta's usage headers say: how much of a limit is used up, and how long to wait.

Meta counts calls per app and per ad account in a rolling hour and says in headers how much is
used up.  Going on at 100 % is refused and makes the block longer, so we stop before.

Pure: headers in, readings out.  Headers are hints; a malformed one is ignored.  Who waits, and
how long in all, is decided in `limits.py`.
Source: Graph API and Marketing API rate limiting, Insights best practices (2026-09-12).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

SLOW_DOWN_AT_PERCENT: Final = 75.0
PAUSE_AT_PERCENT: Final = 90.0
"""Chosen: a page of a large account costs a few percent, so 90 leaves room for calls under way."""

SLOWEST_STEP_SECONDS: Final = 10.0
"""Wait just below `PAUSE_AT_PERCENT`; it grows linearly from the first threshold.  Chosen."""

DEFAULT_PAUSE_SECONDS: Final = 60.0
"""Wait at `PAUSE_AT_PERCENT` when no header says how long; a blocked full-access app waits 60 s."""

LONGEST_WAIT_SECONDS: Final = 86_400.0
"""No limit of Meta's lasts longer than a day; a larger hint is taken for this."""

Scope = Literal["app", "account"]
"""Whom a limit stops: every account of the app, or the one account."""

_APP_ALONE: Final = frozenset({"x-app-usage"})
_USAGE_HEADERS: Final = _APP_ALONE | {
    "x-fb-ads-insights-throttle",
    "x-business-use-case-usage",
    "x-ad-account-usage",
}
_PERCENTS_OF_APP: Final = ("app_id_util_pct",)
_PERCENTS_OF_ACCOUNT: Final = ("acc_id_util_pct", "call_count", "total_time", "total_cputime")


@dataclass(frozen=True, slots=True)
class Reading:
    """One statement of one header: percent of a limit used up, and seconds to wait for it."""

    scope: Scope
    used_percent: float
    wait_seconds: float


def readings(headers: Mapping[str, str]) -> list[Reading]:
    """What every element of every usage header says; header names ignore case."""
    return [
        reading
        for name, value in headers.items()
        if name.lower() in _USAGE_HEADERS
        for element in _elements(_decoded(value))
        for reading in _readings_of(element, app_alone=name.lower() in _APP_ALONE)
    ]


def seconds_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds to let pass before the next call, 0 when there is room: the longest wait asked."""
    return max((reading.wait_seconds for reading in readings(headers)), default=0.0)


def malformed(headers: Mapping[str, str]) -> list[str]:
    """Names of the usage headers that hold something else than a JSON object."""
    return [
        name
        for name, value in headers.items()
        if name.lower() in _USAGE_HEADERS and not isinstance(_decoded(value), Mapping)
    ]


def _decoded(value: str) -> object:
    try:
        return json.loads(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _elements(usage: object) -> Iterator[Mapping[str, Any]]:
    """`usage` itself and, for the business header, every element under every id."""
    if not isinstance(usage, Mapping):
        return
    yield usage
    for under_one_id in usage.values():
        if isinstance(under_one_id, list):
            yield from (element for element in under_one_id if isinstance(element, Mapping))


def _readings_of(usage: Mapping[str, Any], *, app_alone: bool) -> Iterator[Reading]:
    of_app, of_account = _most(usage, _PERCENTS_OF_APP), _most(usage, _PERCENTS_OF_ACCOUNT)
    if app_alone:
        yield Reading("app", of_account, _wait_of(of_account, usage))
        return
    yield Reading("account", of_account, _wait_of(of_account, usage))
    if of_app:
        yield Reading("app", of_app, _wait_of(of_app, {}))


def _most(usage: Mapping[str, Any], names: tuple[str, ...]) -> float:
    return max(_number(usage.get(name)) for name in names)


def _wait_of(used: float, usage: Mapping[str, Any]) -> float:
    # One header counts the time to regain access in minutes, another in seconds.
    regained = 60 * _number(usage.get("estimated_time_to_regain_access"))
    reset = _number(usage.get("reset_time_duration"))
    if used >= PAUSE_AT_PERCENT:
        return min(regained or reset or DEFAULT_PAUSE_SECONDS, LONGEST_WAIT_SECONDS)
    # Time to regain access is 0 unless access is already lost, whatever the percentages say.
    return min(max(regained, _slow_down(used)), LONGEST_WAIT_SECONDS)


def _slow_down(used: float) -> float:
    above = used - SLOW_DOWN_AT_PERCENT
    return max(0.0, SLOWEST_STEP_SECONDS * above / (PAUSE_AT_PERCENT - SLOW_DOWN_AT_PERCENT))


def _number(value: object) -> float:
    """`value` as a finite number from 0 up; 0 for anything else."""
    try:
        number = float(value) if isinstance(value, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return max(number, 0.0) if math.isfinite(number) else 0.0
