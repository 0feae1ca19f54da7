"""One call of the Graph API: sent, checked, waited for, repeated where that helps.

The SDK brings the session, the signature (`appsecret_proof`) and the error class.  Its own
`FacebookAdsApi.call` is not used: it takes an HTML page, a cut-off body and an HTTP 502 for
answers, reads no usage header and repeats nothing.

Secrets: the SDK puts the token into the query string of every call.  We put it into the
`Authorization` header, and back into the query only for a host that does not read the header.
Nothing that leaves this module carries it: network errors are raised anew without their text,
and what Meta says or urllib3 logs passes through `secrecy`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Literal

import requests
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from actuals_pipeline.errors import (
    MetaError,
    MetaThrottled,
    MetaUnavailable,
    Reaction,
    UnexpectedPayload,
)
from actuals_pipeline.meta import failures, throttle
from actuals_pipeline.meta.decoding import decoded
from actuals_pipeline.meta.limits import Limits
from actuals_pipeline.meta.secrecy import SECRET_PARAMETERS, Secrets, keep_out_of_logs

RETRY_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0)
"""Waits before a call that met passing trouble is repeated, lengthened by up to half at random.

Chosen: short, because the next hourly run repeats the whole fetch anyway.
"""

UNANSWERED_RETRIES: Final = 1
"""Times that a call is repeated that was not answered in time: each costs the whole timeout."""

STAND_IN_HEADER: Final = "X-Graph-Stand-In"
"""Header by which a Graph API says that it is not Meta's."""


@dataclass(frozen=True, slots=True)
class MetaCredentials:
    """What signs a call; the secret parts are left out of the repr."""

    access_token: str = field(repr=False)
    app_id: str = ""
    app_secret: str = field(default="", repr=False)


Place = Literal["header", "query"]
"""Where a call carries the access token."""

_TOKEN_NOT_SEEN: Final = frozenset({102, 104, 190, 2500})
"""Codes with which a Graph server may answer a call whose token it did not see."""


@dataclass(slots=True)
class FetchUsage:
    """What a fetch has cost so far.

    `rows` as received, duplicates included; `calls_by_kind` by what was asked for (`account`,
    `ad`, `insights`, `submit`, `poll`, `report`, `campaigns`, `adsets`), `retries_by_class` by the
    error that a call was repeated for, `splits` by the lever that made a request smaller.  Seconds
    were waited for limits (`throttled`), before calls were repeated (`backoff`) and for reports
    (`polling`).
    """

    calls_by_kind: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    rows: int = 0
    bytes: int = 0
    retries_by_class: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    throttled_seconds: float = 0.0
    backoff_seconds: float = 0.0
    polling_seconds: float = 0.0
    rate_limits_hit: int = 0

    @property
    def calls(self) -> int:
        """Graph API calls."""
        return self.calls_by_kind.total()

    @property
    def retries(self) -> int:
        """Calls repeated after a failure."""
        return self.retries_by_class.total()


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """A successful answer: the JSON object and the headers, whose names ignore case.

    `row_texts` has the JSON text of each element of the object's list `data`, if it has one.
    """

    body: dict[str, Any]
    headers: Mapping[str, str]
    row_texts: Sequence[str] = ()


class GraphSession:
    """The SDK's session for one token, and one exchange over it at a time."""

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
        self._access_token = credentials.access_token
        signature = str(self._http.params.get("appsecret_proof", ""))  # type: ignore[union-attr]
        self._secrets = Secrets(credentials.access_token, credentials.app_secret, signature)
        self._place: Place = "header"
        self._put_token(_TOKEN_PLACES.known(self._graph_url) or "header")
        keep_out_of_logs(self._secrets)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def exchange(
        self,
        method: str,
        path: Sequence[str],
        params: Mapping[str, Any],
        on_answer: Callable[[requests.Response], None] = lambda _: None,
    ) -> GraphAnswer:
        """The answer to one request; `on_answer` sees every response first, refusals included.

        Raises the SDK's `FacebookRequestError` when Meta refuses, `MetaUnavailable` when there is
        no answer or none in JSON, `UnexpectedPayload` when the JSON is no object.
        """
        url = "/".join((self._graph_url, self._api_version, *path))
        encoded = {name: _encoded(value) for name, value in params.items()}
        asked = {name: encoded[name] for name in encoded.keys() - SECRET_PARAMETERS}
        secrets = self._secrets | Secrets(*(encoded[name] for name in encoded.keys() - asked))
        response = self._send(method, url, encoded)
        on_answer(response)
        body, row_texts = _json_object(response, secrets)
        if "error" in body:
            raise FacebookRequestError(  # type: ignore[no-untyped-call]
                "Call was not successful",
                {"method": method, "path": url, "params": asked},
                response.status_code,
                response.headers,
                {"error": _plain_error(body["error"], secrets)},
            )
        if response.status_code != requests.codes["ok"]:
            raise _unusable(response, secrets)
        _TOKEN_PLACES.learn(self._graph_url, self._place)
        return GraphAnswer(body, response.headers, row_texts)

    def moves_token(self, refusal: MetaError) -> bool:
        """Put the token into the query if `refusal` may come of a host that reads no header.

        True when that was done, and the call is worth asking again.
        """
        if self._place == "query" or _TOKEN_PLACES.known(self._graph_url) == "header":
            return False
        if refusal.code in _TOKEN_NOT_SEEN or refusal.http_status == requests.codes["unauthorized"]:
            self._put_token("query")
            return True
        return False

    def _put_token(self, place: Place) -> None:
        self._place = place
        if place == "header":
            self._http.headers["Authorization"] = f"Bearer {self._access_token}"
            self._http.params.pop("access_token", None)  # type: ignore[union-attr]
        else:
            self._http.headers.pop("Authorization", None)
            self._http.params["access_token"] = self._access_token  # type: ignore[index]

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
        # A redirect is not followed, but requests looks at where it leads, be it nowhere.
        except (requests.RequestException, ValueError) as error:
            kind, unanswered = type(error).__name__, isinstance(error, requests.ReadTimeout)
        # Raised outside the handler: the original's text is the URL, and with it the token.
        if unanswered:
            raise Unanswered(f"{self._graph_url} did not answer within {self._timeout[1]:.0f} s.")
        raise MetaUnavailable(
            f"{self._graph_url} could not be reached ({kind}): look at this machine's connection "
            "and proxy, and at META_GRAPH_URL if you set it."
        )


class Unanswered(MetaUnavailable):
    """Meta took the call and did not answer in time: perhaps it asks for too much at once."""


class Graph:
    """Calls that wait when Meta asks for it, and repeat what passing trouble stopped.

    Belongs to one account's fetch and to one thread: its `usage` is what the fetch has cost.
    `limits` may be shared with other threads.
    """

    def __init__(self, session: GraphSession, limits: Limits) -> None:
        self.usage = FetchUsage()
        self.limits = limits
        self._session = session

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def call(
        self,
        method: str,
        path: Sequence[str],
        params: Mapping[str, Any],
        *,
        kind: str,
        account_id: str | None,
        ad_id: str | None = None,
    ) -> GraphAnswer:
        """The answer to a call about an account, or about one ad; `kind` is what it counts as.

        Raises what `failures` makes of a refusal; `MetaThrottled` when waiting would exceed the
        budget of the whole run, `MetaUnavailable` after the last repetition that it has time for.
        """
        delays = iter(RETRY_DELAYS_SECONDS)
        unanswered = 0
        patience = 1
        refusal: MetaThrottled | None = None
        while True:
            self.usage.throttled_seconds += self.limits.wait(account_id, refusal)
            self.usage.calls_by_kind[kind] += 1
            try:
                with failures.translated(account_id=account_id, ad_id=ad_id):
                    return self._session.exchange(
                        method, path, params, lambda response: self._observe(account_id, response)
                    )
            except MetaError as error:
                if isinstance(error, MetaThrottled):
                    refusal = error
                    self._rest(account_id, refusal, patience)
                    # Knocking again and again makes a block longer.
                    patience *= 2
                elif error.reaction in {Reaction.RETRY, Reaction.REPOLL}:
                    unanswered += isinstance(error, Unanswered)
                    delay = next(delays, None)
                    if delay is None or unanswered > UNANSWERED_RETRIES:
                        raise
                    if not self._back_off(delay * (1 + self.limits.jitter() / 2)):
                        raise
                elif not self._session.moves_token(error):
                    if error.reaction is Reaction.STOP_ALL:
                        self.limits.stop(error)
                    raise
                self.usage.retries_by_class[type(error).__name__] += 1

    def await_report(self, seconds: float) -> bool:
        """Let `seconds` pass for a report; False when the run's budget does not have them."""
        has_waited = self.limits.pause(seconds)
        self.usage.polling_seconds += seconds * has_waited
        return has_waited

    def _back_off(self, seconds: float) -> bool:
        has_waited = self.limits.pause(seconds)
        self.usage.backoff_seconds += seconds * has_waited
        return has_waited

    def _rest(self, account_id: str | None, refusal: MetaThrottled, patience: int) -> None:
        self.usage.rate_limits_hit += 1
        hinted = refusal.retry_after or throttle.DEFAULT_PAUSE_SECONDS
        self.limits.block(account_id, refusal, hinted * patience)

    def _observe(self, account_id: str | None, response: requests.Response) -> None:
        self.usage.bytes += len(response.content)
        self.limits.observe(account_id, response.headers)


def _encoded(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _json_object(response: requests.Response, secrets: Secrets) -> tuple[dict[str, Any], list[str]]:
    """The answer's object, and the texts of its rows."""
    try:
        body, row_texts = decoded(secrets.hidden_in_body(response.content))
    except (ValueError, RecursionError):
        body, row_texts = None, []
    # Raised outside the handler, because the decoder's error holds the page, and a proxy's error
    # page may quote the URL.
    if isinstance(body, dict):
        return body, row_texts
    if body is None or response.status_code != requests.codes["ok"]:
        raise _unusable(response, secrets)
    raise UnexpectedPayload(
        f"Meta answered with a JSON {type(body).__name__} where an object belongs.",
        http_status=response.status_code,
    )


def _plain_error(error: object, secrets: Secrets) -> dict[str, Any]:
    """Meta's error object without secrets: a malformed token is quoted back in `message`.

    `error_data` is left out, because the SDK fails on one that is not JSON.
    """
    facts = error if isinstance(error, dict) else {"message": str(error)}
    return {
        name: secrets.hidden_in(value) if isinstance(value, str) else value
        for name, value in facts.items()
        if name != "error_data"
    }


def _unusable(response: requests.Response, secrets: Secrets) -> MetaError:
    if response.status_code == requests.codes["too_many_requests"]:
        return failures.failure_of(
            {}, account_id=None, http_status=response.status_code, headers=response.headers
        )
    kind = secrets.hidden_in(response.headers.get("Content-Type", "no content type"))
    return MetaUnavailable(
        f"Meta answered HTTP {response.status_code} with {len(response.content)} bytes of {kind} "
        "that are no usable answer; ask again later, and check META_GRAPH_URL if it stays so.",
        http_status=response.status_code,
    )


class _TokenPlaces:
    """Which hosts were seen to read the token in the header, for all sessions of the process."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._lock = Lock()

    def known(self, host: str) -> Place | None:
        with self._lock:
            return self._places.get(host)

    def learn(self, host: str, place: Place) -> None:
        with self._lock:
            self._places[host] = place


_TOKEN_PLACES: Final = _TokenPlaces()
