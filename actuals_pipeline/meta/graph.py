"""One call of the Graph API: sent, checked, waited for, repeated where that helps.

The SDK brings the session, the signature (`appsecret_proof`) and the error class.  Its own
`FacebookAdsApi.call` is not used: it takes an HTML page, a cut-off body and an HTTP 502 for
answers, reads no usage header and repeats nothing.

Secrets: the SDK puts the token into the query string of every call.  It stays there, because not
every Graph server is known to read the `Authorization` header, and nothing that leaves this
module carries it: network errors are raised anew without their text, Meta's error texts and
urllib3's log records are redacted.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from actuals_pipeline.errors import MetaThrottled, MetaUnavailable, UnexpectedPayload
from actuals_pipeline.meta import failures, throttle

RETRY_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0)
"""Waits before a call that met passing trouble is repeated, lengthened by up to half at random.

Chosen: short, because the next hourly run repeats the whole fetch anyway.
"""

WAIT_BUDGET_SECONDS: Final = 900.0
"""Longest time that one fetch waits for limits in all.  Chosen: a quarter of the hourly tick."""

STAND_IN_HEADER: Final = "X-Graph-Stand-In"
"""Header by which a Graph API says that it is not Meta's."""

_SECRET_PARAMETER: Final = re.compile(
    r"\b(access_token|appsecret_proof|input_token|client_secret|fb_exchange_token)=[^&\s'\"]+"
)
_HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class MetaCredentials:
    """What signs a call; the secret parts are left out of the repr."""

    access_token: str = field(repr=False)
    app_id: str = ""
    app_secret: str = field(default="", repr=False)


@dataclass(slots=True)
class FetchUsage:
    """What a fetch has cost so far; `rows` as received, duplicates included."""

    calls: int = 0
    pages: int = 0
    rows: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0
    rate_limits_hit: int = 0


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """A successful answer: the JSON object and the headers, whose names ignore case."""

    body: dict[str, Any]
    headers: Mapping[str, str]


class GraphSession:
    """The SDK's session for one token, and one exchange over it at a time.

    `asked_pause_seconds` is what the usage headers of the latest answer, refusals included, ask
    to wait before the next call.
    """

    def __init__(
        self,
        credentials: MetaCredentials,
        *,
        graph_url: str,
        api_version: str,
        timeout: tuple[float, float],
    ) -> None:
        # Never FacebookAdsApi.init(): it sets a process-wide default and a crash reporter.
        session = FacebookSession(  # type: ignore[no-untyped-call]  # the SDK has no annotations
            app_id=credentials.app_id or None,
            app_secret=credentials.app_secret or None,
            access_token=credentials.access_token,
        )
        self._http: requests.Session = session.requests
        self._http.headers.update(FacebookAdsApi.HTTP_DEFAULT_HEADERS)
        self._graph_url = graph_url.rstrip("/")
        self._api_version = api_version
        self._timeout = timeout
        self._secrets = [
            secret for secret in (credentials.access_token, credentials.app_secret) if secret
        ]
        self.asked_pause_seconds = 0.0
        _keep_secrets_out_of_logs()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def exchange(self, method: str, path: Sequence[str], params: Mapping[str, Any]) -> GraphAnswer:
        """The answer to one request.

        Raises the SDK's `FacebookRequestError` when Meta refuses, `MetaUnavailable` when there is
        no answer or none in JSON, `UnexpectedPayload` when the JSON is no object.
        """
        url = "/".join((self._graph_url, self._api_version, *path))
        encoded = {name: _encoded(value) for name, value in params.items()}
        response = self._send(method, url, encoded)
        self.asked_pause_seconds = throttle.seconds_to_wait(response.headers)
        body = _json_object(response)
        if "error" in body:
            raise FacebookRequestError(  # type: ignore[no-untyped-call]
                "Call was not successful",
                {"method": method, "path": url, "params": encoded},
                response.status_code,
                response.headers,
                {"error": self._plain_error(body["error"])},
            )
        if response.status_code != requests.codes["ok"]:
            raise _unusable(response)
        return GraphAnswer(body, response.headers)

    def _send(self, method: str, url: str, params: dict[str, str]) -> requests.Response:
        in_url = method == "GET"
        try:
            return self._http.request(
                method,
                url,
                params=params if in_url else None,
                data=None if in_url else params,
                timeout=self._timeout,
                # A redirect would carry the token to wherever it points.
                allow_redirects=False,
            )
        except requests.RequestException as error:
            kind = type(error).__name__
        # Raised outside the handler: the original's text is the URL, and with it the token.
        raise MetaUnavailable(f"{self._graph_url} could not be reached ({kind}).")

    def _plain_error(self, error: object) -> dict[str, Any]:
        """Meta's error object without secrets: a malformed token is quoted back in `message`.

        `error_data` is left out, because the SDK fails on one that is not JSON.
        """
        facts = error if isinstance(error, dict) else {"message": str(error)}
        return {
            name: self._redacted(value) if isinstance(value, str) else value
            for name, value in facts.items()
            if name != "error_data"
        }

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return without_secrets(text)


class Graph:
    """Calls that wait when Meta asks for it, and repeat what passing trouble stopped.

    Belongs to one account's fetch and to one thread: its `usage` is what the fetch has cost.
    """

    def __init__(
        self,
        session: GraphSession,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        wait_budget_seconds: float = WAIT_BUDGET_SECONDS,
    ) -> None:
        self.usage = FetchUsage()
        self._session = session
        self._sleep = sleep
        self._jitter = jitter
        self._wait_budget_seconds = wait_budget_seconds

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        path: Sequence[str],
        params: Mapping[str, Any],
        *,
        account_id: str | None,
        ad_id: str | None = None,
    ) -> GraphAnswer:
        """The answer to a call about an account, or about one ad.

        Raises what `failures` makes of a refusal; `MetaThrottled` when waiting would exceed the
        budget of the whole fetch, `MetaUnavailable` after the last repetition.
        """
        delays = iter(RETRY_DELAYS_SECONDS)
        patience = 1
        while True:
            self._wait(self._session.asked_pause_seconds, account_id)
            self.usage.calls += 1
            try:
                with failures.translated(account_id=account_id, ad_id=ad_id):
                    return self._session.exchange(method, path, params)
            except MetaThrottled as error:
                self.usage.rate_limits_hit += 1
                hinted = error.retry_after or throttle.DEFAULT_PAUSE_SECONDS
                self._wait(hinted * patience, account_id, error)
                # Knocking again and again makes a block longer.
                patience *= 2
            except MetaUnavailable as error:
                delay = None if error.code == failures.CURSOR_REFUSED else next(delays, None)
                if delay is None:
                    raise
                self._sleep(delay * (1 + self._jitter() / 2))
            self.usage.retries += 1

    def _wait(
        self, seconds: float, account_id: str | None, refusal: MetaThrottled | None = None
    ) -> None:
        """Wait for a limit, or raise `refusal` when that takes longer than the budget has left."""
        if not seconds:
            return
        if self.usage.throttled_seconds + seconds > self._wait_budget_seconds:
            raise refusal or MetaThrottled(
                f"Meta's call limit{f' for account act_{account_id}' if account_id else ''} is "
                f"nearly used up: wait {seconds:.0f} s, then ask again.",
                account_id=account_id,
                retry_after=seconds,
            )
        self._session.asked_pause_seconds = 0.0
        self.usage.throttled_seconds += seconds
        self._sleep(seconds)


def _encoded(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _json_object(response: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        body = None
    # Raised outside the handler, because the decoder's error holds the page, and a proxy's error
    # page may quote the URL.
    if isinstance(body, dict):
        return body
    if body is None or response.status_code != requests.codes["ok"]:
        raise _unusable(response)
    raise UnexpectedPayload(
        f"Meta answered with a JSON {type(body).__name__} where an object belongs.",
        http_status=response.status_code,
    )


def _unusable(response: requests.Response) -> MetaUnavailable:
    kind = response.headers.get("Content-Type", "no content type")
    return MetaUnavailable(
        f"Meta answered HTTP {response.status_code} with {len(response.content)} bytes of {kind} "
        "that are no usable answer; ask again later, and check META_GRAPH_URL if it stays so.",
        http_status=response.status_code,
    )


def without_secrets(text: str) -> str:
    """`text` with the values of secret URL parameters replaced."""
    return _SECRET_PARAMETER.sub(rf"\1={_HIDDEN}", text)


class _SecretFilter(logging.Filter):
    """Redacts URLs in log records; urllib3 writes them in full at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        redacted = without_secrets(message)
        if redacted != message:
            record.msg, record.args = redacted, None
        return True


_LOGGERS_OF_URLS: Final = ("urllib3.connectionpool", "urllib3.util.retry")
_SECRET_FILTER: Final = _SecretFilter()


def _keep_secrets_out_of_logs() -> None:
    # A filter works only on the logger that a record is written to, not on its children.
    for name in _LOGGERS_OF_URLS:
        logging.getLogger(name).addFilter(_SECRET_FILTER)  # adding it again changes nothing
