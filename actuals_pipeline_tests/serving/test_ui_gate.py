"""Dagster's own webserver behind the gate, on a real port: who gets an answer, and who does not."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dagster as dg
import pytest
import requests
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from actuals_pipeline.orchestration.webserver import gated
from actuals_pipeline.serving.listening import address_of, listening
from actuals_pipeline.serving.ui_gate import PASS_SECONDS, Passes
from actuals_pipeline.settings import Settings
from actuals_pipeline_tests.serving.conftest import eventually

PASSWORD = "correct horse battery"
POOL = "pool_of_a_test"

# A mutation that needs no code location, and whose effect can be looked up.
MUTATION = f'mutation {{ setConcurrencyLimit(concurrencyKey: "{POOL}", limit: 7) }}'
JSON = {"Content-Type": "application/json"}

Served = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def served(dagster_instance: dg.DagsterInstance) -> Served:
    """Serve the UI with these variables on a port of its own; gives its address."""

    @contextmanager
    def serve(**variables: str) -> Iterator[str]:
        settings = Settings.from_environment(variables)
        with (
            WorkspaceProcessContext(
                dagster_instance,
                EmptyWorkspaceTarget(),
                version=dg.__version__,
                read_only=settings.ui_read_only,
            ) as context,
            listening("127.0.0.1", 0, "", "") as listener,
        ):
            server = uvicorn.Server(uvicorn.Config(gated(context, settings), log_config=None))
            sockets = {"sockets": [listener]}
            thread = threading.Thread(target=server.run, kwargs=sockets, daemon=True)
            thread.start()
            try:
                eventually(lambda: server.started)
                yield address_of(listener)
            finally:
                server.should_exit = True
                thread.join(60)
                assert not thread.is_alive()

    return serve


@pytest.fixture
def limit(dagster_instance: dg.DagsterInstance) -> Callable[[], int | None]:
    """What the mutation has set, if anything."""
    storage = dagster_instance.event_log_storage
    return lambda: next(
        (each.limit for each in storage.get_pool_limits() if each.name == POOL), None
    )


def asked(url: str, query: str, **headers: str) -> requests.Response:
    body = json.dumps({"query": query})
    return requests.post(f"{url}/graphql", body, headers=JSON | headers, timeout=60)


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{password}".encode()).decode()


def subscribed(url: str, **headers: str) -> list[dict[str, Any]]:
    """The first messages of a subscription, over a WebSocket as the UI opens it."""
    address = f"{url.replace('http', 'ws', 1)}/graphql"
    query = 'subscription { pipelineRunLogs(runId: "none") { __typename } }'
    with connect(
        address,
        additional_headers=headers,
        subprotocols=["graphql-ws"],  # type: ignore[list-item]
        proxy=None,
    ) as channel:
        channel.send(json.dumps({"type": "connection_init"}))
        start = {"type": "start", "id": "1", "payload": {"query": query}}
        channel.send(json.dumps(start))
        return [json.loads(channel.recv(30)) for _ in range(2)]


def test_the_ui_works_and_no_other_site_can_use_it(
    served: Served, limit: Callable[[], int | None]
) -> None:
    with served() as url:
        foreign: list[dict[str, str]] = [
            {"Origin": "https://elsewhere.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Host": "rebound.example"},
            {"Host": "rebound.example", "Origin": "http://rebound.example"},
            {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        ]
        for headers in foreign:
            assert asked(url, MUTATION, **headers).status_code == 403, headers
            assert requests.get(f"{url}/", headers=headers, timeout=60).status_code == 403
            with pytest.raises(InvalidStatus):
                subscribed(url, **headers)

        # What a page may send without asking beforehand, had it no Origin to betray it.
        simple = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
        for kind in (*simple, "text/plain; application/json", "application/graphql"):
            headers = {"Content-Type": kind} if kind else {}
            parameters = {"query": MUTATION}
            for path in ("/graphql", "/report_asset_materialization/ad_actuals"):
                sent = requests.post(
                    f"{url}{path}", MUTATION, params=parameters, headers=headers, timeout=60
                )
                assert sent.status_code == 415, (path, kind)
        for path in ("/graphql", "/graphql/", "//graphql"):
            for method in ("GET", "HEAD", "PUT", "OPTIONS", "DELETE"):
                sent = requests.request(
                    method, f"{url}{path}", params={"query": MUTATION}, timeout=60
                )
                assert "setConcurrencyLimit" not in sent.text
                is_the_page = path == "//graphql" and method in {"GET", "HEAD"}
                assert sent.status_code == (200 if is_the_page else 405), (path, method)
        assert limit() is None

        # A link that a person follows from elsewhere.
        followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        page = requests.get(f"{url}/runs", headers={"Accept": "text/html"} | followed, timeout=60)
        assert page.status_code == 200
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "Set-Cookie" not in page.headers
        assert requests.get(f"{url}/favicon.png", timeout=60).status_code == 200
        assert "dagster_version" in requests.get(f"{url}/server_info", timeout=60).json()
        version = asked(url, "{ version }", Origin=url).json()
        assert version["data"]["version"] == dg.__version__
        acknowledged, data = subscribed(url, Origin=url)
        assert acknowledged == {"type": "connection_ack"}
        assert data["payload"]["data"]["pipelineRunLogs"]["__typename"].endswith("Failure")
        assert asked(url, MUTATION, Origin=url).status_code == 200
        assert limit() == 7


def test_a_password_is_asked_for_and_then_no_name_is(served: Served) -> None:
    with served(ACTUALS_UI_PASSWORD=PASSWORD) as url:
        wrong = ("", basic("guessed"), basic(""), "Basic !", "Basic", f"Bearer {PASSWORD}")
        for given in (*wrong, basic("p\xe4ssword")):
            refused = asked(url, "{ version }", Authorization=given)
            assert refused.status_code == 401, given
            assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert "Set-Cookie" not in refused.headers
        with pytest.raises(InvalidStatus):
            subscribed(url)

        # By any name, for who knows the password means this place.
        right = {"Authorization": basic(PASSWORD), "Host": "dashboard.example"}
        page = requests.get(f"{url}/", headers=right, timeout=60)
        assert page.status_code == 200
        cookie, *attributes = page.headers["Set-Cookie"].split("; ")
        lasting = f"Max-Age={PASS_SECONDS}"
        assert attributes == ["Path=/graphql", lasting, "HttpOnly", "SameSite=Strict"]
        assert PASSWORD not in cookie
        # Behind a proxy that speaks TLS.
        own = {**right, "Origin": "https://dashboard.example"}
        assert asked(url, "{ version }", **own).status_code == 200
        assert subscribed(url, Cookie=f"a=b; {cookie}")[0] == {"type": "connection_ack"}
        # Another service of this host may be told it, and gets no page for it.
        assert asked(url, "{ version }", Cookie=cookie).status_code == 401
        name, _, value = cookie.partition("=")
        until, _, signature = value.partition(".")
        longer = f"{int(until) + 1}.{signature}"
        for forged in ("", "guessed", ".", f"{until}.", longer, '"', "\xff"):
            with pytest.raises(InvalidStatus):
                subscribed(url, Cookie=f"{name}={forged}")
        # A browser sends both with what any page makes it send.
        both = {**right, "Cookie": cookie, "Origin": "https://elsewhere.example"}
        assert asked(url, "{ version }", **both).status_code == 403


def test_a_pass_ends_soon_and_lets_into_no_other_installation() -> None:
    now = 1_773_000_000.0
    passes = Passes("/home/a", clock=lambda: now)
    told = passes.issued().partition(";")[0]
    assert passes.is_in(f"a=b; {told}")
    assert not Passes("/home/a", clock=lambda: now).is_in(told), "another start"
    assert Passes("/home/b").issued().partition("=")[0] != told.partition("=")[0]
    now += PASS_SECONDS
    assert not passes.is_in(told)


def test_read_only_means_that_nothing_is_changed(
    served: Served, limit: Callable[[], int | None]
) -> None:
    with served(ACTUALS_UI_READ_ONLY="1") as url:
        assert "UnauthorizedError" in asked(url, MUTATION).text or limit() is None
        assert limit() is None
        report = f"{url}/report_asset_materialization/ad_actuals"
        assert requests.post(report, "{}", headers=JSON, timeout=60).status_code == 401
        assert asked(url, "{ version }").status_code == 200
