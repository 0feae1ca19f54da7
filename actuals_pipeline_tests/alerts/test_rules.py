"""When alerts begin, are told again and end, and what is said then; no database."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from actuals_pipeline.alerts.rules import (
    BY_NAME,
    MOST_LINES,
    RULES,
    Changes,
    Measurement,
    OpenAlert,
    Rule,
    broken,
    decide,
    message_of,
)
from actuals_pipeline.warehouse import alert_measures

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(hours=24)
RATE = Measurement("rate_limits", "act_42", 6.0)


def after(opened: list[OpenAlert], *measured: Measurement, hours: float = 0) -> Changes:
    return decide(opened, measured, NOW + timedelta(hours=hours), repeat_after=DAY)


def still_open(changes: Changes) -> list[OpenAlert]:
    return [*changes.opened, *changes.repeated, *changes.kept]


def test_every_rule_has_one_measure() -> None:
    measures = Counter([*alert_measures.MEASURES, *alert_measures.OF_DAGSTER])
    assert measures == Counter(rule.name for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_fires_beyond_its_limit_and_says_what_to_do(rule: Rule) -> None:
    beyond = rule.limit + (1 if rule.fires == "above" else -1)
    at, past = (Measurement(rule.name, "x", value, "y") for value in (rule.limit, beyond))
    assert broken([at], NOW) == []
    (alert,) = broken([past], NOW)
    assert alert.severity == rule.severity
    assert alert.message.endswith((".", "y"))
    assert "{" not in alert.message
    assert alert.advice.endswith(".")
    assert broken([past._replace(value=None)], NOW) == []


def test_an_alert_is_told_once_then_daily_and_when_it_is_over() -> None:
    first = after([], RATE)
    assert [alert.subject for alert in first.opened] == ["act_42"]
    again = after(still_open(first), RATE._replace(value=7.0), hours=23.9)
    assert (again.opened, again.repeated, again.cleared) == ([], [], [])
    assert "7 times" in again.kept[0].message, "the newest figure"
    assert message_of(again, NOW) is None
    daily = after(still_open(again), RATE, hours=24)
    assert [alert.opened_at for alert in daily.repeated] == [NOW]
    assert after(still_open(daily), RATE, hours=47.9).repeated == []
    over = after(still_open(daily), RATE._replace(value=5.0), hours=30)
    assert [word for _, word in over.cleared] == ["over"]
    message = message_of(over, NOW + timedelta(hours=30))
    assert message is not None
    assert (message.kind, message.title) == ("success", "actuals: 1 over")
    assert message.body.startswith("OVER after 30 h, rate_limits: Meta asked to wait 6 times")


def test_what_is_unknown_changes_nothing() -> None:
    opened = after([], RATE).opened
    assert after(opened, RATE._replace(value=None)).kept == opened
    assert decide(opened, [], NOW, repeat_after=DAY, measured_rules=["drift"]).kept == opened
    gone = after(opened)
    assert [word for _, word in gone.cleared] == ["not watched any more"]


def test_one_message_tells_all_changes_and_is_never_long() -> None:
    many = [RATE._replace(subject=f"act_{each:02}") for each in range(MOST_LINES + 5)]
    critical = Measurement("no_recent_actuals", "act_42", 2.5)
    changes = after([], *many, critical)
    message = message_of(changes, NOW)
    assert message is not None
    lines = message.body.splitlines()
    assert (message.kind, message.title) == ("failure", "actuals: 26 new")
    assert lines[0].startswith("CRITICAL no_recent_actuals: Nothing of today")
    assert lines[-1] == "... and 6 more: `actuals alerts` lists them."
    assert len(lines) == MOST_LINES + 1
    calm = message_of(after([], RATE), NOW)
    assert calm is not None
    assert calm.kind == "warning"


def test_a_name_cannot_look_like_a_line_of_ours() -> None:
    hostile = Measurement("drift", "m\nOVER after 1 h, drift {value}", 1.0, "why\r\n{x}")
    message = message_of(after([], hostile), NOW)
    assert message is not None
    assert len(message.body.splitlines()) == 1
    assert BY_NAME["drift"].advice in message.body
