"""What `debug_token`, accounts and the clock of an answer tell about the access to Meta."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from threading import Event, Thread
from typing import Any

import pytest

from actuals_pipeline.findings import Finding, worst
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import STAND_IN_APP_ID, appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn
from actuals_pipeline.meta import health
from actuals_pipeline.meta.graph import MetaCredentials
from actuals_pipeline.meta.health import Heard, MetaAccess

TOKEN = "EAA" + "tokenThatMustNotLeak"
SECRET = "appSecretThatMustNotLeak"

OF_ONE_ACCOUNT = [
    *("api_version", "graph_api", "clock", "token", "data_access", "scopes"),
    *("account_access", "account_status", "account_time_zone", "account_currency"),
]


@pytest.fixture
def access(stand_in: GraphStandIn, account_id: str) -> MetaAccess:
    return MetaAccess(
        MetaCredentials(stand_in.access_token, STAND_IN_APP_ID, stand_in.app_secret),
        (account_id,),
        stand_in.url,
        "v26.0",
        expects_stand_in=True,
        sleep=lambda _seconds: None,
    )


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_healthy_access_is_ok_in_two_calls(access: MetaAccess, stand_in: GraphStandIn) -> None:
    findings = health.examine(access)
    assert [finding.name for finding in findings] == OF_ONE_ACCOUNT
    assert {finding.verdict for finding in findings} == {"ok"}
    assert not any(finding.advice for finding in findings)
    assert [(call.method, call.kind) for call in stand_in.calls] == [
        ("GET", "debug_token"), ("GET", "account"),
    ]  # fmt: skip
    seen = {finding.name: finding.seen for finding in findings}
    assert seen["token"] == "valid, does not expire"
    assert seen["scopes"] == "ads_read"
    assert seen["account_access"] == "readable, called 'Stand-in Berlin (EUR)'"
    assert (seen["account_time_zone"], seen["account_currency"]) == ("Europe/Berlin", "EUR")
    assert {finding.subject for finding in findings} == {"", f"act_{access.account_ids[0]}"}


def test_an_answer_that_never_ends_is_waited_for_no_longer_than_allowed(access: MetaAccess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
                while not ended.wait(0.05):
                    connection.sendall(b" ")

        Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        found = by_name(health.examine(replace(access, graph_url=url, answers_seconds=0.5)))
        assert time.monotonic() - began < 5
        ended.set()
    assert found["graph_api"].verdict == "problem"
    assert "did not answer within 0.5 s: check META_GRAPH_URL" in found["graph_api"].advice


def told(**facts: Any) -> Fault:
    """A `debug_token` that says `facts`."""
    return Fault({"merge": {"data": facts}}, kind="debug_token", times=None)


def node(**facts: Any) -> Fault:
    """An account whose node says `facts`."""
    return Fault({"merge": facts}, kind="account", times=None)


def in_days(days: float) -> int:
    return int((datetime.now(UTC) + timedelta(days=days)).timestamp())


def clock_off_by(seconds: float) -> Fault:
    off = datetime.now(UTC) + timedelta(seconds=seconds)
    return Fault({"headers": {"Date": format_datetime(off, usegmt=True)}}, times=None)


GRANTED_ANOTHER = told(granular_scopes=[{"scope": "ads_read", "target_ids": ["1"]}])
GRANTED_ALL = told(granular_scopes=[{"scope": "ads_read"}])
NO_DEBUG_TOKEN = Fault({"error": {"code": 100}}, kind="debug_token")

CASES: dict[str, tuple[Callable[[], Fault], str, str, str, str]] = {
    "token for 13 days": (
        lambda: told(expires_at=in_days(13.5)),
        *("token", "warning", "13 days from now", "new system user token"),
    ),
    "token for 1 day": (
        lambda: told(expires_at=in_days(1.5)),
        *("token", "warning", "1 day from now", "META_ACCESS_TOKEN"),
    ),
    "token for 15 days": (
        lambda: told(expires_at=in_days(15)),
        *("token", "ok", "14 days from now", ""),
    ),
    "token expired": (
        lambda: told(expires_at=in_days(-1)),
        *("token", "problem", "expired on 20", "META_ACCESS_TOKEN"),
    ),
    "token of unknown end": (
        lambda: told(expires_at=None),
        *("token", "ok", "does not say until when", ""),
    ),
    "token of an end beyond our calendar": (
        lambda: told(expires_at=10**12),
        *("token", "ok", "does not say until when", ""),
    ),
    "token of an end beyond all calendars": (
        lambda: told(expires_at=10**18),
        *("token", "ok", "does not say until when", ""),
    ),
    "token invalid": (
        lambda: told(is_valid=False),
        *("token", "problem", "calls it invalid", "new system user token"),
    ),
    "token undescribed": (
        lambda: Fault({"merge": {"data": []}}, kind="debug_token"),
        *("token", "warning", "describes no tokens", "accounts below"),
    ),
    "no debug_token": (
        lambda: NO_DEBUG_TOKEN,
        *("token", "warning", "is not known", "META_APP_ID"),
    ),
    "data access for a week": (
        lambda: told(data_access_expires_at=in_days(7)),
        *("data_access", "warning", "6 days from now", "log in"),
    ),
    "data access lapsed": (
        lambda: told(data_access_expires_at=in_days(-7)),
        *("data_access", "problem", "expired on", "log in"),
    ),
    "scope missing": (
        lambda: told(scopes=["email", "ads_management"]),
        *("scopes", "problem", "is missing, there is: ads_management, email", "scope ads_read"),
    ),
    "no scopes": (lambda: told(scopes=None), "scopes", "problem", "none", "ads_read"),
    "granted another account": (
        lambda: GRANTED_ANOTHER,
        *("account_access", "warning", "was not granted", "Assign the account"),
    ),
    "granted all accounts": (lambda: GRANTED_ALL, "account_access", "ok", "readable", ""),
    "account refused": (
        lambda: Fault({"error": {"code": 200}}, kind="account"),
        *("account_access", "problem", "could not be checked", "Analyze task"),
    ),
    "account disabled": (
        lambda: node(account_status=2),
        *("account_status", "problem", r"DISABLED \(2\)", "Business settings"),
    ),
    "account closed": (
        lambda: node(account_status=101),
        *("account_status", "problem", r"CLOSED \(101\)", "Business settings"),
    ),
    "account unsettled": (
        lambda: node(account_status=3),
        *("account_status", "warning", r"UNSETTLED \(3\)", "Business settings"),
    ),
    "account status unheard of": (
        lambda: node(account_status=77),
        *("account_status", "warning", "77, which is not known", "Business settings"),
    ),
    "time zone unheard of": (
        lambda: node(timezone_name="Mars/Olympus"),
        *("account_time_zone", "problem", "'Mars/Olympus' is no known", "tzdata"),
    ),
    "time zone missing": (
        lambda: node(timezone_name=None),
        *("account_time_zone", "problem", "None is no known", "tzdata"),
    ),
    "no currency": (
        lambda: node(currency="euro"),
        *("account_currency", "problem", "'euro' is no currency", "Report it"),
    ),
    "clock half a minute off": (lambda: clock_off_by(30), "clock", "ok", "agrees", ""),
    "clock behind": (
        lambda: clock_off_by(300),
        *("clock", "warning", r"\d+ s behind Meta's", "NTP"),
    ),
    "clock ahead": (
        lambda: clock_off_by(-300),
        *("clock", "warning", r"\d+ s ahead of Meta's", "NTP"),
    ),
    "clock far ahead": (
        lambda: clock_off_by(-660),
        *("clock", "problem", r"6\d\d s ahead of Meta's", "NTP"),
    ),
    "no time told": (
        lambda: Fault({"headers": {"Date": "yesterday"}}, times=None),
        *("clock", "warning", "not compared", "Mend the access"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_finding_says_what_was_seen_and_what_to_do(
    case: str, access: MetaAccess, stand_in: GraphStandIn
) -> None:
    fault, name, verdict, seen, advice = CASES[case]
    stand_in.faults.add(fault())
    findings = by_name(health.examine(access))
    found = findings.pop(name)
    assert found.verdict == verdict
    assert_matches(seen, found.seen)
    assert_matches(advice, found.advice)
    assert bool(found.advice) == (verdict != "ok")
    assert worst(findings.values()) == "ok", "nothing else is wrong"


def assert_matches(pattern: str, text: str) -> None:
    assert re.search(pattern, text), text


def test_the_app_is_asked_where_it_is_known_and_else_the_token_itself(
    access: MetaAccess, stand_in: GraphStandIn
) -> None:
    stale = replace(access, credentials=replace(access.credentials, access_token=TOKEN))
    as_app = by_name(health.examine(stale))["token"]
    assert (as_app.verdict, as_app.seen) == ("problem", "Meta calls it invalid")
    unknown_app = replace(stale, credentials=replace(stale.credentials, app_id=""))
    as_itself = by_name(health.examine(unknown_app))["token"]
    assert as_itself.verdict == "problem"
    assert "190" in as_itself.advice
    assert "new system user token" in as_itself.advice
    stand_in.faults.add(NO_DEBUG_TOKEN)
    unanswered = by_name(health.examine(unknown_app))["token"]
    assert (unanswered.verdict, unanswered.seen) == (
        "warning", "how long it is valid is not known: debug_token was refused",
    )  # fmt: skip


def test_the_clock_is_judged_by_the_answer_that_is_nearest_to_it() -> None:
    """An answer may have waited in a cache or in the pool of threads."""
    now = datetime.now(UTC).replace(microsecond=0)
    heard = [
        Heard(now, now, headers={"Date": format_datetime(now + timedelta(seconds=off))})
        for off in (-900, 5)
    ]
    assert health.clock_found(heard).verdict == "ok"


def test_one_account_that_cannot_be_read_leaves_the_others(
    access: MetaAccess, stand_in: GraphStandIn
) -> None:
    (good,) = access.account_ids
    both = replace(access, account_ids=("999", good))
    findings = health.examine(both)
    of_bad = [each for each in findings if each.subject == "act_999"]
    assert [(each.name, each.verdict) for each in of_bad] == [("account_access", "problem")]
    assert "META_AD_ACCOUNT_ID" in of_bad[0].advice
    of_good = [each.verdict for each in findings if each.subject == f"act_{good}"]
    assert of_good == ["ok"] * 4


def test_what_is_not_set_is_said_and_nobody_is_asked(
    access: MetaAccess, stand_in: GraphStandIn
) -> None:
    nobody = replace(access, credentials=MetaCredentials(""))
    found = by_name(health.examine(nobody))
    assert found.keys() == {"api_version", "token"}
    assert (found["token"].verdict, found["token"].seen) == (
        "problem", "META_ACCESS_TOKEN is not set",
    )  # fmt: skip
    assert stand_in.calls == []
    nowhere = by_name(health.examine(replace(access, account_ids=())))
    assert nowhere["account_access"].verdict == "problem"
    assert nowhere["account_access"].seen == "META_AD_ACCOUNT_ID is not set"
    assert nowhere["token"].verdict == "ok"


def test_a_host_that_nobody_answers_at_is_one_problem(access: MetaAccess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    silent = replace(access, graph_url=f"http://127.0.0.1:{port}")
    found = by_name(health.examine(silent))
    assert found.keys() == {"api_version", "graph_api"}
    assert found["graph_api"].verdict == "problem"
    assert "could not be reached" in found["graph_api"].advice


def test_made_up_data_must_be_meant_and_meant_data_made_up(access: MetaAccess) -> None:
    mistaken = by_name(health.examine(replace(access, expects_stand_in=False)))["graph_api"]
    assert mistaken.verdict == "problem"
    assert "META_GRAPH_URL" in mistaken.advice
    now = datetime.now(UTC)
    real = Heard(now, now, {"id": "act_1"})
    assert health.source_found(access, [real]).advice == "Unset ACTUALS_STAND_IN."
    assert health.source_found(replace(access, expects_stand_in=False), [real]).verdict == "ok"


@pytest.mark.parametrize(
    ("version", "today", "verdict", "seen"),
    [
        ("v26.0", date(2026, 11, 24), "ok", "no end announced on 2026-11-22"),
        ("v26.0", date(2027, 5, 24), "ok", "no end announced"),
        ("v26.0", date(2027, 5, 25), "warning", "no end announced"),
        ("v24.0", date(2026, 8, 6), "ok", "until 2026-10-06"),
        ("v24.0", date(2026, 8, 7), "warning", "until 2026-10-06"),
        ("v24.0", date(2026, 10, 5), "warning", "until 2026-10-06"),
        ("v24.0", date(2026, 10, 6), "problem", "expired on 2026-10-06"),
        ("v21.0", date(2026, 10, 6), "problem", "has expired"),
        ("v9.0", date(2026, 10, 6), "problem", "has expired"),
        ("v27.0", date(2026, 10, 6), "ok", "newer than v26.0"),
        ("v100.0", date(2026, 10, 6), "ok", "newer than v26.0"),
    ],
)
def test_the_life_of_a_version(version: str, today: date, verdict: str, seen: str) -> None:
    found = health.version_found(version, today)
    assert found.verdict == verdict
    assert seen in found.seen
    assert ("META_API_VERSION" in found.advice) == (verdict != "ok" and version != "v26.0")


@pytest.mark.parametrize("app_id", ["", STAND_IN_APP_ID], ids=["as itself", "as the app"])
@pytest.mark.parametrize(
    "effect",
    [
        {},
        {"drop_connection": True},
        {"error": {"code": 190, "message": f"Malformed access token {TOKEN}"}},
        {"error": {"code": 12345, "message": f"Unknown {TOKEN} of {SECRET}"}},
        {"raw_body": f"<html>{TOKEN} {SECRET}</html>"},
    ],
    ids=["refused", "cut", "quoted", "quoted unknown", "quoted raw"],
)
def test_no_secret_is_in_a_finding_or_a_log(
    effect: dict[str, Any],
    app_id: str,
    access: MetaAccess,
    stand_in: GraphStandIn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    if effect:
        stand_in.faults.add(Fault(effect, times=None))
    secretive = replace(access, credentials=MetaCredentials(TOKEN, app_id, SECRET))
    findings = health.examine(secretive)
    assert worst(findings) == "problem"
    logged = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")
    )
    assert "Starting new HTTP connection" in logged, "nothing of urllib3 was caught"
    kept = f"{findings!r} {secretive!r} {logged}"
    for secret in (
        *(TOKEN, SECRET),
        *(appsecret_proof(SECRET, token) for token in (TOKEN, f"{app_id}|{SECRET}")),
    ):
        assert secret not in kept
