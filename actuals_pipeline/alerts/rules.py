"""What is watched, as data: a rule is a limit of one measure, a sentence and what to do.

    measurements --decide--> changes (opened, repeated, cleared) --message_of--> one message

An alert is a rule and a subject (an account, a day, a model, ...), open from when its measure
passes the limit until it no longer does.  A measure that is unknown changes nothing: an alert is
never over because nobody could look.  Limits are the specification's, or say why they are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

Severity = Literal["critical", "warning"]
"""`critical`: figures are missing, wrong or soon will be; `warning`: look at it today."""

MOST_LINES: Final = 20
"""Alerts that one message spells out.  Chosen: what fits a telephone."""


class Rule(NamedTuple):
    """One thing that is watched."""

    name: str
    severity: Severity
    reads: str
    """Where its measure comes from, in words."""
    subject: str
    """What one alert is about, in words."""
    fires: Literal["above", "below"]
    limit: float
    unit: str
    """Of measure and limit; empty where the measure is 1 (so it is) or 0."""
    sentence: str
    """With `{subject}`, `{value}`, `{limit}` and `{why}`, the last from the measurement."""
    advice: str

    def is_broken_by(self, value: float) -> bool:
        """Whether a measured value is beyond the limit."""
        return value > self.limit if self.fires == "above" else value < self.limit


class Measurement(NamedTuple):
    """What a rule's measure is for one subject, now."""

    rule: str
    subject: str
    """Empty: the whole installation."""
    value: float | None
    """In the rule's unit; None: unknown."""
    why: str | None = None
    """What more is known of it."""


class OpenAlert(NamedTuple):
    """An alert that is not over."""

    rule: str
    subject: str
    severity: str
    message: str
    advice: str
    opened_at: datetime
    last_sent_at: datetime


class Changes(NamedTuple):
    """What an evaluation changes."""

    opened: list[OpenAlert]
    repeated: list[OpenAlert]
    kept: list[OpenAlert]
    """Still open and not told again yet; their sentences are the newest."""
    cleared: list[tuple[OpenAlert, str]]
    """Each with a word why: over, or not watched any more."""


class Message(NamedTuple):
    """What is sent: one message for all changes of one evaluation."""

    kind: Literal["failure", "warning", "success", "info"]
    title: str
    body: str


RULES: Final = (
    Rule(
        name="scheduler_stopped",
        severity="critical",
        reads="ticks of the schedule `hourly_actuals`",
        subject="the installation",
        fires="above",
        # One tick was missed, for certain.
        limit=1.5,
        unit="h",
        sentence="The schedule has not ticked for {value:.1f} h.",
        advice="Start `actuals up`, and switch the schedule on in the Dagster UI.",
    ),
    Rule(
        name="no_recent_actuals",
        severity="critical",
        reads="the newest complete fetch up to its own day (`fetch_log`); a backfill hides nothing",
        subject="account",
        fires="above",
        limit=2.0,
        unit="h",
        sentence="Nothing of today was fetched of {subject} for {value:.1f} h.",
        advice="See `actuals status` for the reason; `actuals sync` fetches at once.",
    ),
    Rule(
        name="stale_actuals",
        severity="critical",
        reads="the oldest fetch among the days refreshed every six hours (`meta_account_totals`)",
        subject="account",
        fires="above",
        limit=24.0,
        unit="h",
        sentence="Days of {subject} were not updated for {value:.0f} h (the oldest: {why}).",
        advice="Run `actuals backfill` over these days and look at what failed in the Dagster UI.",
    ),
    Rule(
        name="success_rate",
        severity="warning",
        reads="fetches of the last 24 h, 5 or more (`fetch_log`)",
        subject="the installation",
        fires="below",
        limit=95.0,
        unit="%",
        sentence="{value:.1f} % of the fetches of 24 h were complete ({why}).",
        advice="Look at outcome and error_message in actuals.fetch_log, and at `actuals doctor`.",
    ),
    Rule(
        name="failed_fetches",
        severity="warning",
        reads="fetches of the last 24 h that failed or were refused, of 5 or more (`fetch_log`)",
        subject="account",
        fires="above",
        limit=5.0,
        unit="%",
        sentence="{value:.1f} % of the fetches of {subject} in 24 h failed ({why}).",
        advice="docs/failures.md says what each error means; `actuals doctor` checks the account.",
    ),
    Rule(
        name="rate_limits",
        severity="warning",
        reads="answers of the last 24 h that asked to wait (`fetch_log`)",
        subject="account",
        fires="above",
        limit=5.0,
        unit="a day",
        sentence="Meta asked to wait {value:.0f} times in 24 h when asked about {subject}.",
        advice="See who else uses the app and the account; fetch fewer days less often.",
    ),
    Rule(
        name="coverage",
        severity="warning",
        reads="ads of the videos of eligible age that have figures (`ad_actuals`)",
        subject="the installation",
        fires="below",
        limit=90.0,
        unit="%",
        sentence="{value:.1f} % of the videos' ads have figures ({why}).",
        advice="Compare meta_platform_id of public.videos with the ads in actuals.ad_actuals.",
    ),
    Rule(
        name="token_expiring",
        severity="critical",
        reads="the daily health check (`health_findings`)",
        subject="the token, or its access to data",
        fires="above",
        limit=0.0,
        unit="",
        sentence="The access to Meta ({subject}): {why}",
        advice="Make a new system user token with ads_read and set META_ACCESS_TOKEN.",
    ),
    Rule(
        name="spend_not_reconciling",
        severity="critical",
        reads="verdicts of the last 30 days (`spend_reconciliation`)",
        subject="account and day",
        fires="above",
        limit=0.0,
        unit="",
        sentence="The ads of {subject} do not add up to Meta's total: {why}.",
        advice="Run `actuals backfill` over the day; then `actuals doctor --deep`.",
    ),
    Rule(
        name="overspend",
        severity="critical",
        reads="`budget_pacing` and `investment_summary`, as of their newest day",
        subject="budget, or the investment",
        fires="above",
        limit=0.0,
        unit="",
        sentence="Overspending of {subject}: {why}.",
        advice="Lower or pause the budget at Meta, or raise the plan.",
    ),
    Rule(
        name="drift",
        severity="warning",
        reads="`retrain_states`",
        subject="model version and metric",
        fires="above",
        limit=0.0,
        unit="",
        sentence="The model {subject} has drifted: {why}",
        advice="`actuals summary` and actuals.model_drift show since when and how far.",
    ),
    Rule(
        name="retrain_requested",
        severity="warning",
        reads="`retrain_requests`, until the breach is over (`retrain_states`)",
        subject="model version",
        fires="above",
        limit=0.0,
        unit="",
        sentence="Something is to be done about the model {subject}: {why}",
        advice="Do it, and predict with a new version; actuals.retrain_requests has the evidence.",
    ),
    Rule(
        name="backfill_failed",
        severity="warning",
        reads="runs of backfills of the last 7 days whose days no later run brought (Dagster)",
        subject="run",
        fires="above",
        limit=0.0,
        unit="",
        sentence="The backfill {subject} of {why} failed.",
        advice="Open the run in the Dagster UI, then run `actuals backfill` over the same days.",
    ),
    Rule(
        name="heartbeat_failed",
        severity="warning",
        reads="pings of ACTUALS_HEARTBEAT_URL (`heartbeats`)",
        subject="the installation",
        fires="above",
        # Two failures are a restart of whoever listens.
        limit=2.0,
        unit="tries",
        sentence="The heartbeat was not taken {value:.0f} times in a row: {why}.",
        advice="Check ACTUALS_HEARTBEAT_URL, and whether this machine reaches it.",
    ),
    Rule(
        name="alerts_undelivered",
        severity="warning",
        reads="the oldest message that waits (`alert_messages`)",
        subject="channel",
        fires="above",
        # Chosen: longer than the first tries take, so that one lost connection is no alert.
        limit=1.0,
        unit="h",
        sentence="Alerts wait for the channel {subject} for {value:.1f} h: {why}.",
        advice="Run `actuals alerts test`, and correct ALERT_URLS.",
    ),
)

BY_NAME: Final[Mapping[str, Rule]] = {rule.name: rule for rule in RULES}


def broken(measurements: Iterable[Measurement], now: datetime) -> list[OpenAlert]:
    """An alert for each measurement beyond its limit, as if it began now."""
    return [
        _alert(BY_NAME[each.rule], each, each.value, now)
        for each in measurements
        if each.value is not None and BY_NAME[each.rule].is_broken_by(each.value)
    ]


def decide(
    opened: Sequence[OpenAlert],
    measurements: Sequence[Measurement],
    now: datetime,
    *,
    repeat_after: timedelta,
    measured_rules: Iterable[str] = BY_NAME,
) -> Changes:
    """What becomes of the alerts `opened` earlier, and of the new ones.

    Rules that are not in `measured_rules` could not be measured; their alerts stay.
    """
    found = {(each.rule, each.subject): each for each in broken(measurements, now)}
    measured = {(each.rule, each.subject): each for each in measurements}
    rules, changes = set(measured_rules), Changes([], [], [], [])
    for alert in opened:
        key = (alert.rule, alert.subject)
        again, seen = found.pop(key, None), measured.get(key)
        is_unknown = alert.rule not in rules or (seen is not None and seen.value is None)
        if again is None and not is_unknown:
            changes.cleared.append((alert, "not watched any more" if seen is None else "over"))
            continue
        told = (again or alert)._replace(opened_at=alert.opened_at, last_sent_at=alert.last_sent_at)
        if now - alert.last_sent_at >= repeat_after:
            changes.repeated.append(told._replace(last_sent_at=now))
        else:
            changes.kept.append(told)
    changes.opened.extend(found.values())
    return changes


def message_of(changes: Changes, now: datetime) -> Message | None:
    """One message that tells all changes; None when there is nothing to tell."""
    told = [*changes.opened, *changes.repeated]
    if not told and not changes.cleared:
        return None
    counts = (
        (len(changes.opened), "new"),
        (len(changes.repeated), "still open"),
        (len(changes.cleared), "over"),
    )
    title = "actuals: " + ", ".join(f"{count} {word}" for count, word in counts if count)
    lines = list(_lines(changes, now))
    shown = lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        shown.append(f"... and {len(lines) - MOST_LINES} more: `actuals alerts` lists them.")
    is_critical = any(alert.severity == "critical" for alert in told)
    kind: Literal["failure", "warning", "success"] = "failure" if is_critical else "warning"
    return Message(kind if told else "success", title, "\n".join(shown))


def _lines(changes: Changes, now: datetime) -> Iterator[str]:
    ordered = sorted(changes.opened, key=lambda alert: (alert.severity, alert.rule, alert.subject))
    for alert in ordered:
        yield f"{alert.severity.upper()} {alert.rule}: {alert.message} {alert.advice}"
    for alert in changes.repeated:
        since = _duration(now - alert.opened_at)
        yield f"STILL OPEN for {since}, {alert.rule}: {alert.message} {alert.advice}"
    for alert, word in changes.cleared:
        since = _duration(now - alert.opened_at)
        yield f"{word.upper()} after {since}, {alert.rule}: {alert.message}"


def _alert(rule: Rule, measured: Measurement, value: float, now: datetime) -> OpenAlert:
    sentence = rule.sentence.format(
        subject=measured.subject, value=value, limit=rule.limit, why=measured.why or "no reason"
    )
    return OpenAlert(
        rule.name, measured.subject, rule.severity, _one_line(sentence), rule.advice, now, now
    )


def _one_line(text: str) -> str:
    """What others named (a campaign, a model) must not look like a line of ours."""
    return " ".join(text.split())


def _duration(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
