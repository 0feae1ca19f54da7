"""Who may call now: what limits stop, what a run waits for them, and what it leaves to its caller.

Nothing here takes time: the clock stands still unless somebody sleeps.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any

import pytest

from actuals_pipeline.errors import MetaRefused, MetaThrottled, Reaction
from actuals_pipeline.meta.limits import LOGGED_WAIT_SECONDS, Limits
from actuals_pipeline.meta.throttle import SLOWEST_STEP_SECONDS

NewLimits = Callable[..., Limits]
Learning = Callable[[Limits], None]

PATIENCE_SECONDS = 20
"""Real time after which a thread that should have gone on is given up."""


def usage(name: str, **said: object) -> dict[str, str]:
    return {name: json.dumps(said)}


def seen(headers: dict[str, str]) -> Learning:
    return lambda limits: limits.observe("42", headers)


def refused(reaction: Reaction) -> Learning:
    return lambda limits: limits.block("42", MetaThrottled("wait", reaction=reaction), 60)


class PausedTime:
    """A clock that stands still while threads sleep, until the test lets seconds pass."""

    def __init__(self) -> None:
        self.now = 0.0
        self._asleep = Semaphore(0)
        self._woken = Event()

    def clock(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        woken = self._woken
        self._asleep.release()
        assert woken.wait(PATIENCE_SECONDS), "nobody let time pass"

    def await_sleepers(self, number: int) -> None:
        for _ in range(number):
            assert self._asleep.acquire(timeout=PATIENCE_SECONDS), "fewer threads sleep"

    def pass_seconds(self, seconds: float) -> None:
        """Wake everybody, so much later."""
        self.now += seconds
        woken, self._woken = self._woken, Event()
        woken.set()


@pytest.fixture
def time() -> PausedTime:
    return PausedTime()


@pytest.fixture
def shared(time: PausedTime) -> Callable[..., Limits]:
    """Limits on the clock that stands still, for threads."""

    def new(**options: Any) -> Limits:
        return Limits(clock=time.clock, sleep=time.sleep, jitter=lambda: 0.0, **options)

    return new


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.parametrize(
    "learn",
    [
        seen(usage("X-App-Usage", call_count=95)),
        seen(usage("x-fb-ads-insights-throttle", app_id_util_pct=95, acc_id_util_pct=1)),
        refused(Reaction.WAIT_APP),
        lambda limits: limits.recall(None, 60),
    ],
    ids=["app usage", "insights throttle", "refusal", "earlier run"],
)
def test_the_apps_limit_stops_every_account(
    learn: Learning, new_limits: NewLimits, sleeps: list[float]
) -> None:
    for account_id in ("42", "43", None):
        sleeps.clear()
        limits = new_limits()
        learn(limits)
        assert limits.quota(None)[1] == 60
        assert limits.wait(account_id) == 60
        assert sleeps == [60]
        assert limits.wait("42") == 0, "what was waited through is over for all"


@pytest.mark.parametrize(
    "learn",
    [
        seen(usage("X-Ad-Account-Usage", acc_id_util_pct=95, reset_time_duration=60)),
        seen(usage("x-fb-ads-insights-throttle", app_id_util_pct=1, acc_id_util_pct=95)),
        seen(usage("X-Business-Use-Case-Usage", **{"9": [{"estimated_time_to_regain_access": 1}]})),
        refused(Reaction.WAIT_ACCOUNT),
        lambda limits: limits.recall("42", 60),
    ],
    ids=["account usage", "insights throttle", "business usage", "refusal", "earlier run"],
)
def test_an_accounts_limit_stops_that_account_alone(
    learn: Learning, new_limits: NewLimits, sleeps: list[float]
) -> None:
    limits = new_limits()
    learn(limits)
    assert (limits.wait("43"), limits.wait(None), sleeps) == (0, 0, [])
    assert limits.quota(None)[1] == 0
    assert limits.wait("42") == 60
    assert sleeps == [60]


def test_of_an_app_and_an_account_that_rest_the_longer_rest_counts(new_limits: NewLimits) -> None:
    limits = new_limits()
    limits.recall(None, 20)
    limits.recall("42", 50)
    limits.recall("42", 10)
    assert limits.quota("42")[1] == 50, "a shorter rest does not end a longer one"
    assert limits.wait("43") == 20
    assert limits.wait("42") == 30


def test_what_is_used_up_of_each_limit_is_known_from_the_last_answer(
    new_limits: NewLimits, sleeps: list[float]
) -> None:
    limits = new_limits()
    assert limits.quota("42") == limits.quota(None) == (None, 0)
    limits.observe(
        "42",
        usage("X-FB-Ads-Insights-Throttle", app_id_util_pct=31.5, acc_id_util_pct=95)
        | usage("X-Ad-Account-Usage", acc_id_util_pct=60, reset_time_duration=0)
        | usage("X-App-Usage", call_count=12, total_time=40, total_cputime=7),
    )
    assert limits.quota("42") == (95, 60), "the highest of all headers"
    assert limits.quota(None) == (40, 0)
    assert limits.quota("43") == (None, 0)

    sleeps.append(45)
    limits.observe("42", {"Content-Type": "application/json"})
    assert limits.quota("42") == (95, 15), "an answer without the header tells nothing new"
    limits.observe("42", usage("X-Ad-Account-Usage", acc_id_util_pct=3))
    assert limits.quota("42") == (3, 15), "a rest that Meta asked for is kept all the same"
    sleeps.append(100)
    limits.block("42", MetaThrottled("wait"), 30)
    assert limits.quota("42") == (3, 30), "a refusal names no percentage"
    sleeps.append(30)
    assert limits.quota("42") == (3, 0)


def test_waits_are_spread_by_chance_and_never_shortened(
    new_limits: NewLimits, sleeps: list[float]
) -> None:
    chances = iter([0.0, 0.5, 1.0])
    limits = new_limits(jitter=lambda: next(chances), budget_seconds=1000)
    waited = []
    for _ in range(3):
        limits.recall("42", 100)
        waited.append(limits.wait("42"))
    assert sleeps == waited == pytest.approx([100, 105, 110])

    default = Limits(clock=lambda: sum(sleeps), sleep=sleeps.append, budget_seconds=10_000)
    by_chance = set()
    for _ in range(20):
        default.recall("42", 100)
        by_chance.add(default.wait("42"))
    assert len(by_chance) > 15
    assert min(by_chance) >= 100
    assert max(by_chance) <= 110 + 1e-6


def test_a_limit_that_is_met_during_a_wait_prolongs_it(new_limits: NewLimits) -> None:
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 1:
            limits.observe("43", usage("X-App-Usage", call_count=95))

    limits = new_limits(clock=lambda: sum(sleeps), sleep=sleep)
    limits.recall("42", 20)
    # Met after the 20 s, and for all: 60 s from then on.
    assert limits.wait("42") == 80
    assert sleeps == [20, 60]


def test_what_one_thread_learns_of_the_app_holds_for_the_others(
    shared: NewLimits, time: PausedTime, threads: ThreadPoolExecutor
) -> None:
    limits = shared()
    learning = threads.submit(limits.observe, "42", usage("X-App-Usage", call_count=95))
    learning.result(PATIENCE_SECONDS)
    waiting = [threads.submit(limits.wait, account_id) for account_id in ("42", "43", "44")]
    time.await_sleepers(3)
    time.pass_seconds(60)
    assert [each.result(PATIENCE_SECONDS) for each in waiting] == [60, 60, 60]


def test_time_that_threads_wait_through_together_is_taken_from_the_budget_once(
    shared: NewLimits, time: PausedTime, threads: ThreadPoolExecutor
) -> None:
    limits = shared(budget_seconds=100)
    limits.recall(None, 60)
    together = [threads.submit(limits.wait, str(each)) for each in range(8)]
    time.await_sleepers(8)
    time.pass_seconds(60)
    assert [each.result(PATIENCE_SECONDS) for each in together] == [60] * 8

    # 40 s are left, and not one more.
    limits.recall("1", 41)
    limits.recall("2", 40)
    with pytest.raises(MetaThrottled):
        limits.wait("1")
    last = threads.submit(limits.wait, "2")
    time.await_sleepers(1)
    time.pass_seconds(40)
    assert last.result(PATIENCE_SECONDS) == 40
    limits.recall("3", 0.5)
    with pytest.raises(MetaThrottled):
        limits.wait("3")
    assert limits.wait("4") == 0, "who has nothing to wait for goes on"


def test_of_a_wait_beside_a_shorter_one_only_the_rest_is_taken_from_the_budget(
    shared: NewLimits, time: PausedTime, threads: ThreadPoolExecutor
) -> None:
    limits = shared(budget_seconds=100)
    limits.recall("42", 60)
    limits.recall("43", 100)
    limits.recall("44", 101)
    both = [threads.submit(limits.wait, account_id) for account_id in ("42", "43")]
    time.await_sleepers(2)
    with pytest.raises(MetaThrottled):
        limits.wait("44")
    time.pass_seconds(100)
    assert [each.result(PATIENCE_SECONDS) for each in both] == [60, 100]


def test_a_wait_beyond_the_budget_is_left_to_the_caller_with_its_length(
    new_limits: NewLimits, sleeps: list[float]
) -> None:
    limits = new_limits(budget_seconds=100)
    limits.recall("42", 100)
    limits.recall("43", 101)
    with pytest.raises(MetaThrottled, match=r"for account act_43 .* wait 101 s") as caught:
        limits.wait("43")
    assert (caught.value.retry_after, caught.value.account_id) == (101, "43")
    assert sleeps == []
    limits.recall(None, 102)
    with pytest.raises(MetaThrottled) as caught:
        limits.wait(None)
    assert caught.value.retry_after == 102
    assert "account" not in str(caught.value)


def test_a_refusal_that_cannot_be_waited_for_is_the_error_and_says_the_whole_wait(
    new_limits: NewLimits, sleeps: list[float]
) -> None:
    limits = new_limits(budget_seconds=100)
    short = MetaThrottled("Meta asks to wait", account_id="42", code=17, retry_after=60)
    limits.block("42", short, 60)
    # Meanwhile another thread met the limit of the whole app.
    limits.block("43", MetaThrottled("app", reaction=Reaction.WAIT_APP), 3600)
    with pytest.raises(MetaThrottled) as caught:
        limits.wait("42", short)
    assert caught.value is short
    assert (short.code, short.retry_after) == (17, 3600)

    long = MetaThrottled("Meta asks to wait", account_id="42", retry_after=7200)
    with pytest.raises(MetaThrottled) as caught:
        limits.wait("42", long)
    assert caught.value.retry_after == 7200
    assert sleeps == []


def test_a_dead_token_refuses_every_later_wait_with_the_first_reason(
    new_limits: NewLimits, sleeps: list[float]
) -> None:
    limits = new_limits()
    limits.recall("43", 60)
    limits.stop(MetaRefused("The token expired.", code=190, subcode=463))
    limits.stop(MetaRefused("The signature is wrong.", code=104))
    for account_id in ("42", "43"):
        with pytest.raises(MetaRefused) as caught:
            limits.wait(account_id)
        assert str(caught.value) == f"Account act_{account_id} was not asked: The token expired."
        assert (caught.value.code, caught.value.subcode) == (190, 463)
        assert caught.value.account_id == account_id
        assert caught.value.reaction is Reaction.STOP_ALL
    assert sleeps == []


def test_a_dead_token_refuses_threads_that_were_asleep(
    shared: NewLimits, time: PausedTime, threads: ThreadPoolExecutor
) -> None:
    limits = shared()
    limits.recall(None, 60)
    waiting = [threads.submit(limits.wait, account_id) for account_id in ("42", "43")]
    time.await_sleepers(2)
    limits.stop(MetaRefused("The token expired.", code=190))
    time.pass_seconds(60)
    for each in waiting:
        with pytest.raises(MetaRefused, match="was not asked: The token expired"):
            each.result(PATIENCE_SECONDS)


def test_a_malformed_header_is_warned_of_once_and_changes_nothing(
    new_limits: NewLimits, caplog: pytest.LogCaptureFixture
) -> None:
    limits = new_limits()
    limits.observe("42", usage("X-App-Usage", call_count=80))
    known = limits.quota(None)
    with caplog.at_level(logging.WARNING):
        for name in ("X-App-Usage", "x-app-usage", "X-APP-USAGE", "X-App-Usage"):
            limits.observe("43", {name: "95 %"})
    (warned,) = caplog.messages
    assert warned == "Meta's header X-App-Usage is not understood and is ignored"
    assert limits.quota(None) == known
    assert known[0] == 80
    assert known[1] == pytest.approx(SLOWEST_STEP_SECONDS / 3)

    with caplog.at_level(logging.WARNING):
        limits.observe("42", {"X-Ad-Account-Usage": "[]", "X-Elsewhere": "95 %"})
    assert len(caplog.messages) == 2
    assert "X-Ad-Account-Usage" in caplog.messages[1]


def test_a_long_wait_is_logged_and_an_ordinary_one_is_not(
    new_limits: NewLimits, caplog: pytest.LogCaptureFixture
) -> None:
    limits = new_limits()
    with caplog.at_level(logging.INFO):
        limits.recall("42", LOGGED_WAIT_SECONDS - 1)
        limits.wait("42")
        assert caplog.messages == []
        limits.recall("42", LOGGED_WAIT_SECONDS)
        limits.wait("42")
    assert caplog.messages == ["waiting account=act_42 seconds=30 for Meta"]
