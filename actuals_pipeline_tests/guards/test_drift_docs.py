"""What the page on accuracy says of drift: its snippet runs, its example and figures are true."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from actuals_pipeline.accuracy.drift.charts import TOLERATED_CALIBRATION
from actuals_pipeline.accuracy.drift.contract import STATES
from actuals_pipeline.accuracy.drift.retraining import THRESHOLDS, Action, Cause
from actuals_pipeline.accuracy.drift.run_lengths import weekly_limit
from actuals_pipeline.alerts.webhook import Webhook
from actuals_pipeline.orchestration.retrain_requests import message_of
from actuals_pipeline.settings import PROJECT_ROOT
from actuals_pipeline.warehouse.drift import StoredRequest
from actuals_pipeline_tests.alerts.receiver import receiver

SECRET = "a-shared-secret-of-two"
PAGE = (PROJECT_ROOT / "docs" / "accuracy.md").read_text("utf-8")
SECTION = PAGE.split("## Drift and retraining")[1].split("\n## ")[0]


def block(language: str, holding: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
    (one,) = [each for each in found if holding in each]
    return str(one)


def test_the_snippet_believes_what_was_signed_and_nothing_else() -> None:
    names: dict[str, Any] = {}
    exec(block("python", "is_genuine"), names)  # noqa: S102 - the page is ours
    is_genuine = names["is_genuine"]
    with receiver([204]) as here:
        Webhook(here.url, SECRET).send({"action": "größer"}, key="k")
    ((headers, body),) = here.got
    assert is_genuine(body, headers, SECRET)
    assert not is_genuine(body, headers, SECRET + "x")
    assert not is_genuine(body + b" ", headers, SECRET)
    old = {**headers, "X-Actuals-Timestamp": "1700000000"}
    assert not is_genuine(body, old, SECRET)


def test_the_example_is_what_is_sent() -> None:
    day, now = date(2026, 3, 2), datetime(2026, 3, 10, tzinfo=UTC)
    request = StoredRequest(
        *("k", "m", "1", day, day, day, "retrain", "why", [], now, None, 0, None, None)
    )
    assert list(json.loads(block("json", "retrain_request"))) == list(message_of(request))


@pytest.mark.parametrize("word", [*STATES, *Action, *Cause])
def test_every_word_is_explained(word: str) -> None:
    assert f"`{word}`" in SECTION


def test_the_figures_are_those_of_the_code() -> None:
    assert f"({weekly_limit(2):.1f}\nfor one model, {weekly_limit(20):.1f} for ten)" in SECTION
    assert THRESHOLDS[Cause.CALIBRATION] == TOLERATED_CALIBRATION
    assert f"| {TOLERATED_CALIBRATION:.4f} (10 %) |" in SECTION
    assert f"| {THRESHOLDS[Cause.ERROR]} |" in SECTION
