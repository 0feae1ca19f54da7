"""No error and no log record tells the token, wherever a call carries it and whatever goes wrong.

A host that reads only the query is the stand-in with a rule that refuses every token in a header.
What was learned of a host is remembered by its name, so it goes by another spelling of 127.0.0.1.
"""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote

import pytest
from facebook_business.exceptions import FacebookRequestError

from actuals_pipeline.errors import MetaError, MetaRefused, MetaUnavailable
from actuals_pipeline.graph_stand_in.faults import Fault
from actuals_pipeline.graph_stand_in.graph import appsecret_proof
from actuals_pipeline.graph_stand_in.server import GraphStandIn, running_stand_in
from actuals_pipeline.meta.client import InsightsClient, MetaCredentials
from actuals_pipeline.meta.graph import GraphSession
from actuals_pipeline.meta.memory import RequestSize
from actuals_pipeline.meta.secrecy import Secrets, without_secrets
from actuals_pipeline.report_days import DayWindow

NewClient = Callable[..., InsightsClient]

CORE = "ThatMustNotLeak"
"""What no way of writing the token or the secret changes."""

TOKEN = f"EAAtoken|of/an+app={CORE}"
SECRET = f"appSecret{CORE}"
PROOF = appsecret_proof(SECRET, TOKEN)
ENCODED = quote(TOKEN, safe="")
ADDRESS = f"/v26.0/act_1?access_token={ENCODED}&appsecret_proof={PROOF}"

READS_NO_HEADER = Fault({"error": {"code": 104}}, via="header", times=None)


def raw_answer(head: str, body: str = "") -> dict[str, object]:
    return {"raw_answer": f"HTTP/1.1 {head}\r\n\r\n{body}"}


def found_in(text: str) -> list[str]:
    """The secrets that `text` tells, in whatever way they are written."""
    return [each for each in (CORE, PROOF) if each in text]


def told_by(error: BaseException) -> str:
    """Everything that an error and those behind it can be made to say."""
    told = "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        told += f"{link!r} {vars(link)}"
        link = link.__cause__ or link.__context__
    return told


@pytest.fixture
def debug_log() -> Iterator[io.StringIO]:
    """Everything that any library logs, at DEBUG; not what the stand-in does."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.addFilter(lambda record: not record.name.startswith("uvicorn"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield log
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture(params=["header", "query"])
def graph_url(
    request: pytest.FixtureRequest, new_client: NewClient, stand_in: GraphStandIn, account_id: str
) -> str:
    """The address of a host that is known to read the header, or of one that does not."""
    if request.param == "header":
        new_client().account(account_id)
        return stand_in.url
    stand_in.faults.add(READS_NO_HEADER)
    return stand_in.url.replace("127.0.0.1", "127.1")


@pytest.fixture
def failing(new_client: NewClient, graph_url: str) -> InsightsClient:
    """A client with the secrets that are looked for; Meta knows neither."""
    return new_client(
        credentials=MetaCredentials(TOKEN, "1", SECRET), graph_url=graph_url, timeout=(1, 0.2)
    )


@pytest.mark.parametrize(
    "effect",
    [
        pytest.param({}, id="refused"),
        pytest.param({"delay_seconds": 0.3}, id="late"),
        pytest.param({"drop_connection": True}, id="cut"),
        pytest.param({"truncate": True}, id="truncated"),
        pytest.param(
            raw_answer("200 OK\r\nContent-Length: 999", f'{{"error": "{TOKEN}'), id="reset"
        ),
        pytest.param({"raw_answer": f"HTTQ {ADDRESS} {TOKEN}\r\n\r\n"}, id="no HTTP"),
        pytest.param(raw_answer("200 OK\r\nTransfer-Encoding: chunked", TOKEN), id="bad chunk"),
        pytest.param(
            raw_answer(f"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(TOKEN)}", TOKEN),
            id="bad gzip",
        ),
        pytest.param(
            raw_answer(f"200 OK\r\nContent-Length: 2\r\nX-Echo {TOKEN}\r\nX-Proof: {PROOF}", "{}"),
            id="bad headers",
        ),
        pytest.param(
            {"raw_body": f"<html>GET {ADDRESS} of {TOKEN}</html>", "status": 502}, id="error page"
        ),
        pytest.param({"raw_body": f"<html>GET {ADDRESS} of {TOKEN}</html>"}, id="page"),
        pytest.param({"raw_body": "", "content_type": f"text/{TOKEN}"}, id="content type"),
        pytest.param({"raw_body": json.dumps([ADDRESS, TOKEN])}, id="list"),
        pytest.param(
            {"raw_body": "", "status": 302, "headers": {"Location": f"https://elsewhere{ADDRESS}"}},
            id="redirect",
        ),
        pytest.param(
            {"raw_body": "", "status": 302, "headers": {"Location": f"https://[{TOKEN}"}},
            id="redirect to nowhere",
        ),
        pytest.param(
            {"error": {"code": 190, "message": f"Malformed access token {TOKEN}"}}, id="quoted"
        ),
        pytest.param(
            {"error": {"code": 1, "message": f"at https://x{ADDRESS}&a=1"}}, id="quoted address"
        ),
        pytest.param(
            {"error": {"code": 99999, "message": f"next=https%3A%2F%2Fx{quote(ADDRESS, safe='')}"}},
            id="quoted address in an address",
        ),
        pytest.param(
            {
                "error": {
                    "code": 99999,
                    "message": f"{TOKEN} {ENCODED} {SECRET} {PROOF}",
                    "error_user_msg": json.dumps({"access_token": TOKEN}),
                    "error_data": "no json",
                }
            },
            id="quoted of an unknown code",
        ),
        pytest.param(
            {"error": {"code": 99999, "message": f"at https://x/?access_token=another{CORE}&a=1"}},
            id="quoted of somebody else",
        ),
        pytest.param({"merge": {"account_id": TOKEN}}, id="echoed"),
    ],
)
def test_no_secret_is_in_any_error_or_log(
    effect: dict[str, object],
    failing: InsightsClient,
    stand_in: GraphStandIn,
    graph_url: str,
    account_id: str,
    debug_log: io.StringIO,
) -> None:
    place = "header" if graph_url == stand_in.url else "query"
    if effect:
        stand_in.faults.add(Fault(effect, times=None))
    with pytest.raises(MetaError) as caught:
        failing.account(account_id)
    assert stand_in.calls[-1].via == place
    assert found_in(told_by(caught.value)) == []
    log = debug_log.getvalue()
    assert found_in(log) == []
    assert "Starting new HTTP connection" in log, "nothing of urllib3 was caught"
    if not effect.keys() & {"delay_seconds", "drop_connection", "raw_answer"}:
        assert "appsecret_proof=***" in log
        assert ("access_token=***" in log) == (place == "query")


def test_a_token_that_is_asked_about_is_told_no_more_than_the_own(stand_in: GraphStandIn) -> None:
    stand_in.faults.add(Fault({"error": {"code": 99999, "message": f"of {TOKEN}"}}))
    credentials = MetaCredentials(f"1|{SECRET}", "1", SECRET)
    session = GraphSession(credentials, graph_url=stand_in.url, api_version="v26.0", timeout=(1, 1))
    with closing(session), pytest.raises(FacebookRequestError) as caught:
        session.exchange("GET", ("debug_token",), {"input_token": TOKEN, "fields": "app_id"})
    assert found_in(told_by(caught.value)) == []
    assert "of ***" in str(caught.value)
    assert "app_id" in str(caught.value)


def test_a_report_that_failed_tells_no_secret(
    new_client: NewClient,
    stand_in: GraphStandIn,
    account_id: str,
    window: DayWindow,
    debug_log: io.StringIO,
) -> None:
    credentials = MetaCredentials(stand_in.access_token, "1", stand_in.app_secret)
    said = f"{stand_in.access_token} {quote(stand_in.access_token)} {stand_in.app_secret} EAAB"
    for reason in ({"error_code": 99999}, {}):
        failed = {"async_status": "Job Failed", "error_message": said, **reason}
        stand_in.faults.clear()
        stand_in.faults.add(Fault({"job_status": failed}, kind="run", times=None))
        client = new_client(credentials=credentials, size=RequestSize(as_report=True))
        with pytest.raises(MetaError) as caught:
            client.ads_insights(account_id, window)
        told = told_by(caught.value) + debug_log.getvalue()
        assert '"*** *** *** EAAB"' in told
        assert stand_in.access_token not in told
        assert stand_in.app_secret not in told


@pytest.mark.parametrize("place", ["header", "query"])
def test_an_unreachable_host_tells_no_token(
    place: str, account_id: str, new_client: NewClient, stand_in: GraphStandIn,
    debug_log: io.StringIO,
) -> None:  # fmt: skip
    with running_stand_in(stand_in.world, access_token=TOKEN, app_secret=SECRET) as leaving:
        if place == "query":
            leaving.faults.add(READS_NO_HEADER)
        url = leaving.url.replace("127.0.0.1", "127.1")
        client = new_client(credentials=MetaCredentials(TOKEN, "1", SECRET), graph_url=url)
        client.account(account_id)
        assert leaving.calls[-1].via == place
    with pytest.raises(MetaUnavailable, match=f"{url} could not be reached") as caught:
        client.account(account_id)
    assert caught.value.__context__ is None
    assert caught.value.account_id == account_id
    assert found_in(told_by(caught.value) + debug_log.getvalue()) == []


def test_a_host_that_reads_only_the_query_is_given_the_token_there(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str, window: DayWindow
) -> None:
    want = sorted(map(str, new_client().ads_insights(account_id, window)))
    assert want
    assert {call.via for call in stand_in.calls} == {"header"}
    stand_in.calls.clear()

    stand_in.faults.add(READS_NO_HEADER)
    url = stand_in.url.replace("127.0.0.1", "127.0.1")
    # Whoever comes later knows the place.
    for first, as_report in (("header", True), ("query", False)):
        client = new_client(graph_url=url, size=RequestSize(as_report=as_report))
        got = sorted(map(str, client.ads_insights(account_id, window)))
        assert got == want
        places = [call.via for call in stand_in.calls]
        assert places == [first, *["query"] * (len(places) - 1)]
        stand_in.calls.clear()


def test_a_host_that_reads_the_header_is_never_given_the_token_in_an_address(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str
) -> None:
    client = new_client()
    client.account(account_id)
    for code in (102, 104, 190, 2500):
        stand_in.faults.add(Fault({"error": {"code": code}, "status": 401}))
        with pytest.raises(MetaError):
            client.account(account_id)
    assert {call.via for call in stand_in.calls} == {"header"}


def test_a_token_that_a_new_host_refuses_is_tried_once_in_each_place(
    new_client: NewClient, stand_in: GraphStandIn, account_id: str
) -> None:
    client = new_client(
        credentials=MetaCredentials(TOKEN, "1", SECRET),
        graph_url=stand_in.url.replace("127.0.0.1", "2130706433"),
    )
    for _ in range(2):
        with pytest.raises(MetaRefused):
            client.account(account_id)
    assert [call.via for call in stand_in.calls] == ["header", "query"]


def test_no_logger_of_urllib3_tells_a_secret(new_client: NewClient, debug_log: io.StringIO) -> None:
    new_client(credentials=MetaCredentials(TOKEN, "1", SECRET))
    names = [name for name in logging.Logger.manager.loggerDict if name.startswith("urllib3")]
    assert {"urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"} <= set(names)
    for name in names:
        logging.getLogger(name).warning("%s %s", ADDRESS, SECRET, exc_info=ValueError(TOKEN))
    assert debug_log.getvalue().count("ValueError: ***") == len(names)
    assert found_in(debug_log.getvalue()) == []


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (
            "GET /v26.0/act_42?access_token=abc&appsecret_proof=def&limit=5 HTTP/1.1",
            "GET /v26.0/act_42?access_token=***&appsecret_proof=***&limit=5 HTTP/1.1",
        ),
        ("?next=%3Finput_token%3Dabc%7Cdef%26limit%3D5", "?next=%3Finput_token%3D***%26limit%3D5"),
        ("""{"client_secret": "abc", 'a': 1}""", """{"client_secret": "***", 'a': 1}"""),
        ("the part EAABwzLixnjYBO of a token", "the part *** of a token"),
        ("an access_token of EAA is missing", "an access_token of EAA is missing"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text: str, want: str) -> None:
    assert without_secrets(text) == want


def test_a_body_loses_its_secrets_and_nothing_else() -> None:
    body = json.dumps({"next": ADDRESS, "name": f"ü {TOKEN}", "page": 5}, ensure_ascii=False)
    hidden = Secrets(TOKEN, SECRET, PROOF, "", "page").hidden_in_body(body.encode())
    assert json.loads(hidden) == {
        "next": "/v26.0/act_1?access_token=***&appsecret_proof=***",
        "name": "ü ***",
        "page": 5,
    }
    slashed = json.dumps(TOKEN).replace("/", r"\/").encode()
    assert Secrets(TOKEN).hidden_in_body(slashed) == b'"***"'


def test_credentials_show_no_secret() -> None:
    shown = f"{MetaCredentials(TOKEN, '77', SECRET)!r} {MetaCredentials(TOKEN, '77', SECRET)}"
    assert "77" in shown
    assert found_in(shown) == []
