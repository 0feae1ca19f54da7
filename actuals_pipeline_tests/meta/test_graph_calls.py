from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from actuals_pipeline.errors import MetaError, MetaRefused, MetaThrottled, MetaUnavailable
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.limits import Limits

NewClient = Callable[..., InsightsClient]

BUSY = {"X-App-Usage": json.dumps({"call_count": 80})}
REGAIN_IN_TWO_MINUTES = {
    "X-Business-Use-Case-Usage": json.dumps(
        {"1": [{"type": "ads_insights", "estimated_time_to_regain_access": 2}]}
    )
}
TEN_HOURS = {
    "X-Business-Use-Case-Usage": json.dumps(
        {"1": [{"type": "ads_insights", "estimated_time_to_regain_access": 600}]}
    )
}
LIMIT_REACHED = {"code": 80000, "subcode": 2446079}


def test_passing_trouble_is_waited_out_a_bounded_number_of_times(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 2}, "status": 503}, times=3))
    assert client.account(account_id).account_id == account_id
    assert sleeps == [1, 2, 4]
    assert (client.usage.calls, client.usage.retries) == (4, 3)

    stand_in.faults.add(Fault({"error": {"code": 2}, "status": 503}, times=None))
    with pytest.raises(MetaUnavailable):
        client.account(account_id)
    assert sleeps == [1, 2, 4] * 2


def test_repetitions_are_spread_by_chance(
    new_client: NewClient,
    new_limits: Callable[..., Limits],
    stand_in: GraphStandIn,
    account_id: str,
    sleeps: list[float],
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 2}}, times=2))
    new_client(limits=new_limits(jitter=lambda: 1.0)).account(account_id)
    assert sleeps == [1.5, 3]


@pytest.mark.parametrize(
    "error",
    [{"code": 190, "subcode": 463}, {"code": 200}, {"code": 100}, {"code": 12345}],
    ids=["token", "permission", "wrong request", "unknown"],
)
def test_what_a_repetition_cannot_mend_is_asked_once(
    error: dict[str, int], client: InsightsClient, stand_in: GraphStandIn, account_id: str
) -> None:
    stand_in.faults.add(Fault({"error": error}, times=None))
    with pytest.raises(MetaError):
        client.account(account_id)
    assert len(stand_in.calls) == 1


def test_a_limit_is_waited_for_as_long_as_its_headers_say(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"error": LIMIT_REACHED, "headers": REGAIN_IN_TWO_MINUTES}))
    client.account(account_id)
    assert sleeps == [120]
    assert (client.usage.rate_limits_hit, client.usage.throttled_seconds) == (1, 120)


def test_a_limit_without_headers_is_waited_for_longer_each_time(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"error": LIMIT_REACHED}, times=None))
    with pytest.raises(MetaThrottled) as caught:
        client.account(account_id)
    assert sleeps == [60, 120]
    assert caught.value.retry_after == 240
    assert caught.value.account_id == account_id


def test_a_wait_beyond_the_budget_is_left_to_the_caller(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"error": LIMIT_REACHED, "headers": TEN_HOURS}, times=None))
    with pytest.raises(MetaThrottled) as caught:
        client.account(account_id)
    assert (sleeps, caught.value.retry_after) == ([], 36000)


def test_a_call_is_repeated_as_long_as_the_runs_budget_has_time_for_it(
    new_client: NewClient,
    new_limits: Callable[..., Limits],
    stand_in: GraphStandIn,
    account_id: str,
    sleeps: list[float],
) -> None:
    limits = new_limits(budget_seconds=10)
    stand_in.faults.add(Fault({"error": {"code": 2}, "status": 503}, times=None))
    first, second = new_client(limits=limits), new_client(limits=limits)
    with pytest.raises(MetaUnavailable):
        first.account(account_id)
    assert sleeps == [1, 2, 4]
    # Of the same run: what one client waited, another cannot wait any more.
    with pytest.raises(MetaUnavailable):
        second.account(account_id)
    assert sleeps == [1, 2, 4, 1, 2]
    assert (first.usage.backoff_seconds, second.usage.backoff_seconds) == (7, 3)
    assert (first.usage.throttled_seconds, first.usage.polling_seconds) == (0, 0)
    with pytest.raises(MetaUnavailable):
        new_client(limits=limits).account(account_id)
    assert len(sleeps) == 5


def test_usage_headers_of_good_answers_are_obeyed_before_the_next_call(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"headers": BUSY}), Fault({"headers": REGAIN_IN_TWO_MINUTES}))
    client.account(account_id)
    assert sleeps == []
    client.account(account_id)
    assert sleeps == [pytest.approx(10 / 3)]
    client.account(account_id)
    assert sleeps[1:] == [120]
    client.account(account_id)
    assert len(sleeps) == 2


def test_a_pause_beyond_the_budget_is_refused_before_the_call(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str
) -> None:
    stand_in.faults.add(Fault({"headers": TEN_HOURS}))
    client.account(account_id)
    with pytest.raises(MetaThrottled, match=f"act_{account_id}") as caught:
        client.account(account_id)
    assert caught.value.retry_after == 36000
    assert len(stand_in.calls) == 1


def test_usage_headers_of_a_refusal_are_obeyed_too(
    client: InsightsClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"error": {"code": 200}, "headers": REGAIN_IN_TWO_MINUTES}))
    with pytest.raises(MetaRefused):
        client.account(account_id)
    client.account(account_id)
    assert sleeps == [120]


def test_the_limits_of_two_clients_are_apart(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, sleeps: list[float]
) -> None:
    stand_in.faults.add(Fault({"headers": TEN_HOURS}))
    new_client().account(account_id)
    new_client().account(account_id)
    assert sleeps == []


def test_calls_are_signed(new_client: NewClient, stand_in: GraphStandIn, account_id: str) -> None:
    for secret in ("", "wrong"):
        credentials = MetaCredentials(stand_in.access_token, "1", secret)
        with pytest.raises(MetaRefused, match="META_APP_SECRET"):
            new_client(credentials=credentials).account(account_id)
