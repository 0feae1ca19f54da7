"""From weeks to a state, and from a state to a request, at most one for each breach.

    ok -> warn -> breach -> requested -> cooldown -> ok

A naive rule, "error above 10 %: retrain", fires always: a perfect model is off by more on one ad
in four at 5,000 impressions.  Here an error counts when its lower bound is above what is
tolerated, in three of four weeks, or when the CUSUM says that the model has changed.

Everything follows from the weeks alone, so that it can be computed again: no clock, no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from actuals_pipeline.accuracy.drift.charts import TOLERATED_CALIBRATION

WEEKS_LOOKED_AT = 4
WEEKS_ABOVE = 3
"""Of the last `WEEKS_LOOKED_AT` eligible weeks, those above the threshold that make a breach."""
WEEKS_CALM = 2
"""Weeks in a row below `LEAVING_SHARE` of every threshold after which a breach is over."""
LEAVING_SHARE = 0.8
DAYS_BETWEEN_REQUESTS = 14
NEW_VERSION_PAIRS = 30
"""Matured pairs of a newer version after which the older one is looked at afresh."""


class State(StrEnum):
    """What is thought of one metric of one model version."""

    OK = "ok"
    WARN = "warn"
    BREACH = "breach"
    REQUESTED = "requested"
    COOLDOWN = "cooldown"


class Cause(StrEnum):
    """What is wrong, in the words of the evidence."""

    CALIBRATION = "calibration"
    CHANGE = "change"
    """The CUSUM is above its limit: the calibration is not what it was."""
    SKILL = "skill"
    ENTROPY = "normalised_entropy"
    ERROR = "excess_error"


class Action(StrEnum):
    """What to do, from the cheapest to the dearest; `WAIT` asks for nothing."""

    WAIT = "wait"
    RECALIBRATE = "recalibrate"
    RETRAIN = "retrain"
    ROLL_BACK = "roll_back"


THRESHOLDS: Mapping[Cause, float] = {
    # |ln(predicted / observed)|: 10 % too much or too little.
    Cause.CALIBRATION: TOLERATED_CALIBRATION,
    # Minus the skill against the baseline: worse than naming the account's own rate.
    Cause.SKILL: 0.0,
    # Normalised entropy as of the prediction, less 1: worse than the background rate.
    Cause.ENTROPY: 0.0,
    # WAPE beyond that of a perfect model at these volumes.
    Cause.ERROR: 0.15,
}
"""The error at which a week counts as above, by cause; each is worse the larger it is."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An error of one week with its one-sided 95 % bounds."""

    value: float
    lower: float
    upper: float

    @classmethod
    def of_size(cls, value: float, lower: float, upper: float) -> Bounds:
        """The bounds of `|value|`, from those of a value that may be of either sign."""
        smallest = max(0.0, lower, -upper)
        return cls(abs(value), smallest, max(abs(lower), abs(upper)))


@dataclass(frozen=True, slots=True)
class Week:
    """One metric of one model version in one closed week."""

    monday: date
    is_eligible: bool
    errors: Mapping[Cause, Bounds] = field(default_factory=dict)
    """Those that are known; each is compared with its threshold."""
    changed_since: date | None = None
    """Where the change began, if the CUSUM is in alarm; None otherwise."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state after a week, and since when; `causes` is why it is not `OK`."""

    week: date
    state: State
    since: date
    causes: frozenset[Cause] = frozenset()
    breach_start: date | None = None
    """Monday of the week in which the breach began that the state is about."""


@dataclass(frozen=True, slots=True)
class Request:
    """That something be done about a model version: one for each breach."""

    week: date
    breach_start: date
    causes: Mapping[str, frozenset[Cause]]
    """By metric."""

    def key(self, model_name: str, model_version: str) -> str:
        """What identifies it for ever, so that nobody answers it twice."""
        return f"{model_name}:{model_version}:{self.breach_start}"


@dataclass(frozen=True, slots=True)
class History:
    """What became of one model version, week by week."""

    standings: Mapping[str, Sequence[Standing]]
    """By metric, in the order of the weeks."""
    requests: Sequence[Request]

    @property
    def open_request(self) -> Request | None:
        """The last request, while some metric still waits for what it asked."""
        waiting = {State.REQUESTED, State.COOLDOWN}
        last = [each[-1] for each in self.standings.values() if each]
        if self.requests and any(each.state in waiting for each in last):
            return self.requests[-1]
        return None


def history(
    weeks: Mapping[str, Sequence[Week]],
    *,
    newer_pairs: Callable[[date], int] = lambda _: 0,
) -> History:
    """What became of a model version whose metrics had these weeks, each in order.

    `newer_pairs` says how many matured pairs newer versions of the model had at the end of the
    week of a Monday.  A breach of several metrics in one week is one request.
    """
    watched = {metric: _Watched() for metric in weeks}
    standings: dict[str, list[Standing]] = {metric: [] for metric in weeks}
    requests: list[Request] = []
    by_monday = {metric: {each.monday: each for each in mine} for metric, mine in weeks.items()}
    for monday in sorted({each.monday for mine in weeks.values() for each in mine}):
        present = {metric: mine[monday] for metric, mine in by_monday.items() if monday in mine}
        for metric, week in present.items():
            watched[metric].advance(week, n_newer=newer_pairs(monday))
        breached = {
            metric: watched[metric] for metric in present if watched[metric].state is State.BREACH
        }
        if breached and _may_request(requests, monday):
            requests.append(_request(breached, monday))
            for each in breached.values():
                each.enter(State.REQUESTED, monday)
        for metric in present:
            standings[metric].append(watched[metric].standing(monday))
    return History(standings, requests)


def action_for(
    causes: frozenset[Cause],
    *,
    is_ranking_lost: bool | None = None,
    is_worse_than_previous: bool | None = None,
    was_recalibrated: bool = False,
) -> tuple[Action, str]:
    """What to do about these causes, and why, in a sentence.

    None: not known.  A factor mends what is off on the whole; it mends no order and no skill, nor
    what a factor has already been asked for.
    """
    if not causes:
        return Action.WAIT, "Nothing is beyond what is tolerated, or too little is known."
    if is_worse_than_previous:
        return Action.ROLL_BACK, "On the same ads the version before was better."
    beyond_a_factor = {
        "It predicts worse than the account's own average.": causes & {Cause.SKILL, Cause.ENTROPY},
        "It no longer tells better ads from worse ones as it did.": is_ranking_lost,
        "Its errors are larger than chance, and not by a common factor.": causes == {Cause.ERROR},
        "A factor was asked for before, and its calibration is off again.": was_recalibrated,
    }
    for reason, holds in beyond_a_factor.items():
        if holds:
            return Action.RETRAIN, reason
    kept = "" if is_ranking_lost is None else "; it still ranks ads as it did"
    return Action.RECALIBRATE, f"Its predictions are off by a common factor{kept}."


@dataclass(slots=True)
class _Watched:
    """One metric as the weeks go by."""

    state: State = State.OK
    since: date | None = None
    breach_start: date | None = None
    causes: frozenset[Cause] = frozenset()
    above: deque[frozenset[Cause]] = field(default_factory=lambda: deque(maxlen=WEEKS_LOOKED_AT))
    calm_weeks: int = 0
    requested: date | None = None

    def advance(self, week: Week, *, n_newer: int) -> None:
        """Take one more week into account; one with too little in it changes nothing."""
        self.since = self.since or week.monday
        if not week.is_eligible:
            self._succeed(week.monday, n_newer)
            return
        self.above.append(_above(week))
        self.calm_weeks = self.calm_weeks + 1 if _is_calm(week) else 0
        if self.state in {State.OK, State.WARN}:
            self._look(week)
        elif self.state is State.REQUESTED:
            self.enter(State.COOLDOWN, week.monday)
        if self.state is State.BREACH:
            self.causes |= self._sustained() | _change(week)
        if self.state in {State.BREACH, State.COOLDOWN} and self.calm_weeks >= WEEKS_CALM:
            self._begin_anew(week.monday)
        self._succeed(week.monday, n_newer)

    def enter(self, state: State, monday: date) -> None:
        """Be in `state` from this week on."""
        if state is State.REQUESTED:
            self.requested = monday
        if state is not self.state:
            self.state, self.since = state, monday

    def standing(self, monday: date) -> Standing:
        """What is thought after this week."""
        since = self.since or monday
        return Standing(monday, self.state, since, self.causes, self.breach_start)

    def _look(self, week: Week) -> None:
        sustained = self._sustained() | _change(week)
        if sustained:
            self.causes, self.breach_start = sustained, week.monday
            self.enter(State.BREACH, week.monday)
            return
        self.causes = frozenset[Cause]().union(*self.above)
        self.enter(State.WARN if self.causes else State.OK, week.monday)

    def _sustained(self) -> frozenset[Cause]:
        return frozenset(
            cause
            for cause in THRESHOLDS
            if sum(cause in each for each in self.above) >= WEEKS_ABOVE
        )

    def _succeed(self, monday: date, n_newer: int) -> None:
        """The cooldown ends with a newer version that has shown something."""
        waits = self.state in {State.REQUESTED, State.COOLDOWN}
        if waits and n_newer >= NEW_VERSION_PAIRS and not _too_soon(self.requested, monday):
            self._begin_anew(monday)

    def _begin_anew(self, monday: date) -> None:
        self.above.clear()
        self.calm_weeks = 0
        self.causes, self.breach_start = frozenset(), None
        self.enter(State.OK, monday)


def _above(week: Week) -> frozenset[Cause]:
    """The causes whose error is surely above its threshold."""
    return frozenset(
        cause for cause, error in week.errors.items() if error.lower > THRESHOLDS[cause]
    )


def _is_calm(week: Week) -> bool:
    """Whether every error is surely well below its threshold."""
    below = (
        error.upper < LEAVING_SHARE * THRESHOLDS[cause] for cause, error in week.errors.items()
    )
    return bool(week.errors) and week.changed_since is None and all(below)


def _change(week: Week) -> frozenset[Cause]:
    return frozenset() if week.changed_since is None else frozenset({Cause.CHANGE})


def _may_request(earlier: Sequence[Request], monday: date) -> bool:
    return not earlier or not _too_soon(earlier[-1].week, monday)


def _too_soon(requested: date | None, monday: date) -> bool:
    return requested is not None and monday - requested < timedelta(days=DAYS_BETWEEN_REQUESTS)


def _request(breached: Mapping[str, _Watched], monday: date) -> Request:
    starts = [each.breach_start or monday for each in breached.values()]
    return Request(monday, min(starts), {name: each.causes for name, each in breached.items()})
