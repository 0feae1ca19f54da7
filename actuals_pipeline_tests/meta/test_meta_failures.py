from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from facebook_business import exceptions as sdk_exceptions
from facebook_business.exceptions import FacebookRequestError

from actuals_pipeline.errors import (
    AdNotFound,
    MetaError,
    MetaRefused,
    MetaThrottled,
    Reaction,
    ReportFailed,
)
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.meta import failures
from actuals_pipeline.meta.client import InsightsClient
from actuals_pipeline.meta.graph import RETRY_DELAYS_SECONDS
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.memory import RequestSize
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.settings import PROJECT_ROOT

NewClient = Callable[..., InsightsClient]

TOO_MUCH = "Please reduce the amount of data you're asking for, then retry your request"
CASES: dict[Reaction, list[tuple[int, int | None]]] = {
    Reaction.WAIT_APP: [
        (4, None),
        (4, 1504022),
        (4, 1504039),
        (341, None),
        (613, 5044001),
        (613, 1996),
        (613, None),
        (368, None),
    ],
    Reaction.WAIT_ACCOUNT: [
        (80000, 2446079),
        (80004, 2446079),
        (80003, 2446079),
        (17, None),
        (17, 2446079),
        (613, 1487742),
        (32, None),
        *((code, None) for code in (80001, 80002, 80005, 80006, 80007, 80008, 80009, 80014)),
    ],
    Reaction.SPLIT: [
        (100, 1487534),
        (100, 1504018),
        (2, 1504018),
        (2, 1504038),
        (-3, 1504045),
        (960, None),
    ],
    Reaction.RETRY: [
        (1, None),
        (1, 99),
        (2, None),
        (2, 1504043),
        (2, 1504044),
    ],
    Reaction.REPOLL: [(2601, 1815107), (2637, None)],
    Reaction.RESUBMIT: [(-2, 2490547)],
    Reaction.RESTART_PAGING: [(2642, None)],
    Reaction.STOP_ALL: [
        *((190, subcode) for subcode in (None, 458, 459, 460, 463, 464, 467, 492, 999)),
        (492, None),
        (102, None),
        (104, None),
        (2635, None),
    ],
    Reaction.STOP_ACCOUNT: [
        (3, None),
        (10, None),
        (200, None),
        (270, None),
        (294, None),
        (299, 1),
        (100, 3191001),
        (100, 33),
        (803, None),
    ],
    Reaction.BUG: [
        (100, None),
        (100, 4242),
        (2500, None),
        (3018, None),
        (2, 1504041),
        (2, 1504042),
        (300, None),
        (987654, 1),
    ],
}
ASKED_AGAIN = {Reaction.RETRY, Reaction.REPOLL}


@pytest.mark.parametrize(
    ("code", "subcode", "reaction"),
    [(*codes, reaction) for reaction, listed in CASES.items() for codes in listed],
)
def test_each_error_of_meta_calls_for_its_reaction(
    *,
    code: int,
    subcode: int | None,
    reaction: Reaction,
    new_client: NewClient,
    new_limits: Callable[..., Limits],
    stand_in: GraphStandIn,
    account_id: str,
) -> None:
    # Enough to ask again, not enough to wait for a limit.
    client = new_client(limits=new_limits(budget_seconds=30))
    client.account(account_id)
    error = {"code": code, "subcode": subcode, "message": "see the code"}
    stand_in.faults.add(Fault({"error": error}, times=None))
    with pytest.raises(MetaError) as caught:
        client.account(account_id)
    got = caught.value
    assert got.reaction is reaction
    assert type(got) is failures.ERROR_OF[reaction]
    assert (got.code, got.subcode, got.http_status) == (code, subcode, 400)
    assert (got.account_id, got.request_id) == (account_id, "StandInTraceId")
    assert f"act_{account_id}" in str(got)
    assert str(code) in str(got)
    assert (got.retry_after is not None) == isinstance(got, MetaThrottled)
    assert len(stand_in.calls) == 1 + (
        1 + len(RETRY_DELAYS_SECONDS) if reaction in ASKED_AGAIN else 1
    )


def test_every_row_of_the_table_has_a_case() -> None:
    listed = {codes for cases in CASES.values() for codes in cases}
    generated = {(code, None) for code in range(200, 300)}
    alike = {(2601, None), (80000, None), (80003, None), (80004, None), (100, 3018)}
    assert set(failures.RULES) - generated - alike <= listed
    assert set(CASES) == set(Reaction)


def test_the_page_about_failures_has_a_row_for_every_case_and_every_rule() -> None:
    rows = (PROJECT_ROOT / "docs" / "failures.md").read_text("utf-8").splitlines()
    told = {row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")}
    not_known = {(100, 4242), (190, 999), (299, 1), (300, None), (987654, 1)}
    for codes in {each for cases in CASES.values() for each in cases} - not_known:
        code, subcode = codes
        with_subcode = f"{code}/{subcode}" if codes in failures.RULES and subcode else str(code)
        assert ("200-299" if code in range(200, 300) else with_subcode) in told, codes
    for code, words, _ in failures.BY_MESSAGE:
        assert f'{code}, with "{words}" in its message' in told
    assert "HTTP 5xx, no answer, an answer that is no JSON" in told
    assert "HTTP 429 without a code" in told
    assert "100/33, of a report run younger than a minute" in told


@pytest.mark.parametrize(
    ("facts", "http_status", "reaction"),
    [
        ({"code": 1, "message": TOO_MUCH}, 500, Reaction.SPLIT),
        ({"code": 100, "error_subcode": 1487534, "is_transient": True}, 500, Reaction.SPLIT),
        ({"code": 100, "is_transient": True}, 400, Reaction.RETRY),
        ({"code": 987654, "is_transient": True}, 400, Reaction.RETRY),
        ({"code": 987654}, 502, Reaction.RETRY),
        ({"code": 104}, 503, Reaction.RETRY),
        ({"code": 190}, 500, Reaction.STOP_ALL),
        ({"code": 4, "is_transient": True}, 400, Reaction.WAIT_APP),
        ({"code": 3018, "is_transient": True}, 400, Reaction.RETRY),
        ({"code": "190", "error_subcode": "463"}, 400, Reaction.STOP_ALL),
        ({"code": 100, "message": "(#100) Cannot include spend in summary param"}, 400,
         Reaction.REPOLL),
        ({"code": 100, "message": "API calls require an appsecret_proof argument"}, 400,
         Reaction.STOP_ALL),
        ({}, 400, Reaction.BUG),
        ({}, 429, Reaction.WAIT_ACCOUNT),
        ({"code": None}, 503, Reaction.RETRY),
        ({"code": "many", "error_subcode": []}, 400, Reaction.BUG),
    ],
    ids=str,
)  # fmt: skip
def test_text_flag_and_status_decide_where_the_code_does_not(
    facts: dict[str, object], http_status: int, reaction: Reaction
) -> None:
    got = failures.failure_of(facts, account_id="42", http_status=http_status)
    assert got.reaction is reaction


def test_the_message_says_what_happened_and_what_to_do() -> None:
    facts = {
        "code": 190,
        "error_subcode": 463,
        "message": "Session has expired",
        "fbtrace_id": "A1",
    }
    assert str(failures.failure_of(facts, account_id="42")) == (
        "Meta refused the token for account act_42 (190/463, session expired): create a new "
        "system user token and put it in META_ACCESS_TOKEN. (fbtrace_id A1)"
    )


def test_an_unknown_error_is_told_in_metas_words() -> None:
    facts = {"code": 987654, "message": "Something\nnew " + "x" * 1000}
    told = str(failures.failure_of(facts, account_id="42"))
    assert 'Meta says: "Something new xxx' in told
    assert len(told) < 500


@pytest.mark.parametrize("code", [987654, 100], ids=["unknown", "our mistake"])
def test_what_only_meta_can_explain_is_told_whole_and_without_secrets(
    code: int, client: InsightsClient, stand_in: GraphStandIn, account_id: str
) -> None:
    error = {
        "code": code,
        "subcode": 4242,
        "message": f"Something new about {stand_in.access_token}",
        "error_user_title": "Try something else",
        "error_user_msg": f"This cannot be done\nwith {stand_in.app_secret}.",
        "fbtrace_id": "A1b2",
    }
    stand_in.faults.add(Fault({"error": error, "status": 418}))
    with pytest.raises(MetaError) as caught:
        client.account(account_id)
    told = str(caught.value)
    assert told.startswith(f"Meta answered with an error for account act_{account_id} ({code}/4242")
    assert told.endswith(
        ' Meta says: "Something new about ***" Meta says: "Try something else"'
        ' Meta says: "This cannot be done with ***." (OAuthException, HTTP 418, fbtrace_id A1b2)'
    )


def test_a_failed_report_is_told_in_metas_words_too(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    ended = {
        "async_status": "Job Failed",
        "error_code": 987654,
        "error_subcode": 4242,
        "error_message": "Something new",
        "error_user_title": "Try something else",
        "error_user_msg": "This cannot be done.",
    }
    stand_in.faults.add(Fault({"job_status": ended}, kind="run"))
    client = new_client(size=RequestSize(as_report=True))
    with pytest.raises(MetaError) as caught:
        client.ads_insights(account_id, window)
    assert "987654/4242" in str(caught.value)
    for words in ("Something new", "Try something else", "This cannot be done."):
        assert f'"{words}"' in str(caught.value)
    asked = next(call for call in stand_in.calls if call.kind == "run").params["fields"]
    assert {"error_user_title", "error_user_msg"} <= set(asked.split(","))


def test_an_ad_that_is_missing_is_another_matter_than_an_account() -> None:
    facts = {"code": 100, "error_subcode": 33}
    assert type(failures.failure_of(facts, account_id="42")) is MetaRefused
    got = failures.failure_of(facts, account_id=None, ad_id="7")
    assert type(got) is AdNotFound
    assert "for ad 7" in str(got)


def test_a_block_for_abuse_is_waited_out_for_long() -> None:
    got = failures.failure_of({"code": 613, "error_subcode": 1996}, account_id="42")
    assert got.retry_after == failures.LONG_WAIT_SECONDS


def test_a_failed_report_without_a_reason_is_a_failed_report() -> None:
    got = failures.report_failure({"async_status": "Job Failed"}, account_id="42")
    assert type(got) is ReportFailed
    assert "act_42" in str(got)


NEVER_RAISED_BY_A_CALL = {
    "FacebookError": "only the base of the others",
    "FacebookBadObjectError": "raised while reading objects; we read payloads",
    "FacebookBadParameterError": "raised by batches and custom audiences",
    "FacebookBadParameterTypeException": "raised by the SDK's own type checks of parameters",
    "FacebookUnavailablePropertyException": "raised by objects without an id",
    "DocsmithSkipTestError": "of the SDK's own tests",
}


def test_every_exception_of_the_sdk_is_translated_or_known_not_to_come() -> None:
    names = {
        name
        for name, thing in vars(sdk_exceptions).items()
        if inspect.isclass(thing) and issubclass(thing, Exception)
    }
    assert names == {FacebookRequestError.__name__, *NEVER_RAISED_BY_A_CALL}
