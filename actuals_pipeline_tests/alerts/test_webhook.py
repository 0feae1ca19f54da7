"""Messages over a real port: what arrives, how often it is tried, and what is never told."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from actuals_pipeline.alerts.webhook import (
    MAX_TRIES,
    TOTAL_SECONDS,
    Delivery,
    Webhook,
    signature,
)
from actuals_pipeline_tests.alerts.receiver import receiver

SECRET = "a-shared-secret-of-two"


@dataclass
class Time:
    """A clock that sleeping moves, and nothing else."""

    now: float = 1_800_000_000.7
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def send(url: str, time: Time, message: dict[str, Any] | None = None) -> Delivery:
    hook = Webhook(url, SECRET, clock=lambda: time.now, sleep=time.sleep, chance=lambda: 1.0)
    return hook.send(message or {"action": "retrain"}, key="m:1:2026-01-05")


def test_a_message_arrives_signed_with_its_key() -> None:
    with receiver([204]) as here:
        message = {"reason": "größer", "n": 1, "none": None}
        assert send(here.url, Time(), message) == Delivery(True, 1, 204, None, is_final=True)
    ((headers, body),) = here.got
    assert json.loads(body) == message
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["Idempotency-Key"] == "m:1:2026-01-05"
    assert headers["X-Actuals-Timestamp"] == "1800000000"
    assert headers["X-Actuals-Signature"] == signature(body, "1800000000", SECRET)
    assert headers["X-Actuals-Signature"] != signature(body, "1800000001", SECRET)
    assert headers["X-Actuals-Signature"] != signature(body + b" ", "1800000000", SECRET)


def test_a_known_signature() -> None:
    # echo -n '1800000000.{}' | openssl dgst -sha256 -hmac key
    assert signature(b"{}", "1800000000", "key") == (
        "sha256=7321475872b03ff21bdc2dfd86ea2d99ec29c479fbe4a77aa6acf4509505493f"
    )


@pytest.mark.parametrize("failure", [500, 503, None], ids=["500", "503", "hung up"])
def test_a_failing_server_is_asked_again_with_growing_pauses(failure: int | None) -> None:
    time = Time()
    with receiver([failure, failure, 200]) as here:
        got = send(here.url, time)
    assert got == Delivery(True, 3, 200, None, is_final=True)
    assert time.slept == [1, 2]
    # The same message, signed anew.
    assert len({body for _, body in here.got}) == 1
    assert [headers["X-Actuals-Timestamp"] for headers, _ in here.got] == [
        *("1800000000", "1800000001", "1800000003")
    ]


def test_patience_ends() -> None:
    time = Time()
    with receiver([502]) as here:
        got = send(here.url, time)
    assert got == Delivery(False, MAX_TRIES, 502, "it answered HTTP 502", is_final=False)
    assert len(here.got) == MAX_TRIES
    assert sum(time.slept) < TOTAL_SECONDS


def test_no_try_begins_after_the_time_is_over() -> None:
    ticks = iter(range(0, 10_000, 40))
    with receiver([500]) as here:
        hook = Webhook(here.url, SECRET, clock=lambda: float(next(ticks)), sleep=lambda _: None)
        got = hook.send({}, key="k")
    assert (got.tries, got.is_final) == (1, False)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422, 301, 307])
def test_a_refusal_is_final_and_a_redirection_is_not_followed(status: int) -> None:
    time = Time()
    with receiver([status]) as here:
        got = send(here.url, time)
    assert got == Delivery(False, 1, status, f"it answered HTTP {status}", is_final=True)
    assert (len(here.got), time.slept) == (1, [])


def test_nobody_at_the_address_is_no_answer() -> None:
    with receiver([200]) as here:
        pass
    got = send(here.url, Time())
    assert (got.is_taken, got.tries, got.status) == (False, MAX_TRIES, None)
    assert got.error == "no answer (ConnectionError)"


def test_pauses_are_drawn_at_random() -> None:
    slept: list[float] = []
    draws = iter([0.0, 0.5, 1.0, 0.25])
    with receiver([500]) as here:
        hook = Webhook(here.url, SECRET, sleep=slept.append, chance=lambda: next(draws, 0.0))
        hook.send({}, key="k")
    assert slept == [0.5, 1.5, 4.0, 5.0]


def test_address_and_secret_are_never_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with receiver([500]) as here:
        hook = Webhook(here.url, SECRET, sleep=lambda _: None)
        told = [repr(hook), repr(hook.send({}, key="k"))]
    told.append(repr(send(here.url, Time())))
    told.append(caplog.text)
    for secret in (SECRET, "in-the-url"):
        assert not [text for text in told if secret in text]
