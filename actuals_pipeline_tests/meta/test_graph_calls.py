from __future__ import annotations

import io
import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator

import pytest

from actuals_pipeline.errors import MetaError, MetaRefused, MetaThrottled, MetaUnavailable
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.graph import without_secrets
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


TOKEN = "EAAtokenThatMustNotLeak"
SECRET = "appSecretThatMustNotLeak"


@pytest.fixture
def debug_log() -> Iterator[io.StringIO]:
    """Everything that any library logs, at DEBUG."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield log
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "effect",
    [
        {},
        {"drop_connection": True},
        {"truncate": True},
        {"raw_body": f"<html>{TOKEN}</html>"},
        {"error": {"code": 190, "message": f"Malformed access token {TOKEN}"}},
        {"error": {"code": 1, "message": f"at https://x/?access_token={TOKEN}&a=1"}},
        {"error": {"code": 12345, "message": f"{TOKEN} {SECRET}", "error_data": "no json"}},
    ],
    ids=["refused", "cut", "truncated", "quoted raw", "quoted", "quoted url", "quoted unknown"],
)
def test_no_secret_is_in_any_error_or_log(
    effect: dict[str, object],
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    debug_log: io.StringIO,
) -> None:
    client = new_client(credentials=MetaCredentials(TOKEN, "1", SECRET))
    if effect:
        stand_in.faults.add(Fault(effect, times=None))
    with pytest.raises(MetaError) as caught:
        client.account(account_id)
    told = "".join(traceback.format_exception(caught.value))
    error: BaseException | None = caught.value
    while error is not None:
        told += f"{error!r} {vars(error)}"
        error = error.__cause__ or error.__context__
    if "drop_connection" not in effect:
        assert "appsecret_proof=***" in debug_log.getvalue(), "urllib3 logs URLs at DEBUG"
    proof = appsecret_proof(SECRET, TOKEN)
    for secret in (TOKEN, SECRET, proof):
        assert secret not in told
        assert secret not in debug_log.getvalue()


def test_an_unreachable_host_tells_no_token(account_id: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    credentials = MetaCredentials(TOKEN, "1", SECRET)
    url = f"http://127.0.0.1:{port}"
    with (
        InsightsClient(
            credentials,
            graph_url=url,
            api_version="v26.0",
            limits=Limits(sleep=lambda _: None),
        ) as client,
        pytest.raises(MetaUnavailable, match=f"{url} could not be reached") as caught,
    ):
        client.account(account_id)
    assert caught.value.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert caught.value.account_id == account_id


def test_credentials_show_no_secret() -> None:
    shown = f"{MetaCredentials(TOKEN, '77', SECRET)!r} {MetaCredentials(TOKEN, '77', SECRET)}"
    assert "77" in shown
    assert TOKEN not in shown
    assert SECRET not in shown


def test_redaction_leaves_the_rest_of_a_url_alone() -> None:
    url = "GET /v26.0/act_42?access_token=abc&appsecret_proof=def&limit=5 HTTP/1.1"
    assert without_secrets(url) == (
        "GET /v26.0/act_42?access_token=***&appsecret_proof=***&limit=5 HTTP/1.1"
    )
