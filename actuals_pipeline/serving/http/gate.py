"""What is refused before any route is looked at: strangers, web pages, large bodies, floods."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from actuals_pipeline.serving.http.failures import LATER, Refusal
from actuals_pipeline.serving.http.request_rate import RequestRate, client_of
from actuals_pipeline.serving.web_pages import (
    headers_of,
    is_of_another_site,
    names_this_computer,
)

MOST_BODY_BYTES = 65_536
"""No route but one reads a body; so much is read past for the sake of clients that send one."""

WEBHOOK_PATH = "/webhooks/meta"
"""Where Meta calls: it has no token of ours and names any host, and signs what it says instead."""

MOST_WEBHOOK_BYTES = 1_048_576
"""Meta puts up to 1000 changes into one message, of a few hundred bytes each."""

OPEN = frozenset({"/healthz", "/readyz"})
"""What supervisors and load balancers ask, without a token and as often as they like: to answer
costs no more than to refuse."""

_KINDS = {"/metrics": "metrics", WEBHOOK_PATH: "webhook"}
"""Whose allowance a request comes out of, by its path; any other is a caller's.  A busy caller does
not make us look dead."""


PAGES = re.compile(r"/|/api/ml/ads/[0-9]{1,25}/story")
"""The page and what it asks for: a browser has no other way to send a token than a password."""


class Gate:
    """ASGI middleware that lets through what may come in.

    With a token everything but `OPEN` and the webhook asks for it.  Without one only this computer
    is served, and no web page that is open on it: those name themselves in `Origin`, or another
    `Host` than ours.  Each client has an allowance of requests; those refused as strangers' come
    out of another one, so that nobody is locked out by who guesses tokens beside it.
    """

    def __init__(self, app: ASGIApp, token: str, rate: RequestRate) -> None:
        self._app = app
        self._token = token
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the refusal, or let the application answer."""
        if scope["type"] == "http":
            headers = headers_of(scope["headers"])
            stranger = self._stranger(scope, headers)
            kind = "stranger" if stranger else _KINDS.get(scope["path"], "caller")
            # A server without the client's address, such as one on a Unix socket, has one client.
            host = (scope.get("client") or ("",))[0]
            is_open = stranger is None and scope["path"] in OPEN
            too_often = None if is_open else self._too_often(client_of(host), kind)
            refused = too_often or stranger or _too_large(scope["path"], headers)
            if refused:
                await refused.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _too_often(self, client: str, kind: str) -> Refusal | None:
        wait = self._rate.seconds_to_wait((client, kind))
        if not wait:
            return None
        message = "Too many requests came from this address within a minute."
        return Refusal(429, "too_many_requests", message, LATER, math.ceil(wait))

    def _stranger(self, scope: Scope, headers: Mapping[str, str]) -> Refusal | None:
        path = scope["path"]
        is_metas = path == WEBHOOK_PATH  # which is signed instead
        if not self._token and not is_metas:
            return _web_page(headers)
        if path in OPEN or is_metas:
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        token = given.strip().encode()
        may_be_password = scope["method"] in _READING and PAGES.fullmatch(path) is not None
        is_password = scheme.lower() == "basic" and may_be_password
        if is_password:
            if is_of_another_site(headers):
                # A browser sends a password it knows along with what other sites ask for.
                return _FROM_ELSEWHERE
            token = _password_in(token)
        # Of bytes, for text that is not ASCII cannot be compared in constant time.
        is_ours = hmac.compare_digest(token, self._token.encode())
        if is_ours and (is_password or scheme.lower() == "bearer"):
            return None
        if may_be_password and path == "/":
            return _ASK_FOR_PASSWORD
        return Refusal(
            401,
            "unauthorized",
            "The token is missing or wrong.",
            "Send the header `Authorization: Bearer TOKEN` with the service's ACTUALS_API_TOKEN.",
        )


_LONGEST_LENGTH = 20
"""Digits of a body's length, in bytes."""

_READING = frozenset({"GET", "HEAD"})

_ASK_FOR_PASSWORD = Refusal(
    401,
    "unauthorized",
    "The token is missing or wrong.",
    "Give ACTUALS_API_TOKEN as the password; any user name will do.",
    asks_for="Basic",
)


_FROM_ELSEWHERE = Refusal(
    403,
    "foreign_origin",
    "Another site's page asked for this, with a password that the browser knows.",
    "Open the page itself.",
)


def _password_in(encoded: bytes) -> bytes:
    """The password of Basic credentials (RFC 7617); empty where there is none."""
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _too_large(path: str, headers: Mapping[str, str]) -> Refusal | None:
    most, what = MOST_BODY_BYTES, "Send the request without a body."
    if path == WEBHOOK_PATH:
        most, what = MOST_WEBHOOK_BYTES, "Send fewer changes at once, and how long the body is."
    if "transfer-encoding" in headers:
        return Refusal(411, "length_required", "A body must say how long it is.", what)
    length = headers.get("content-length", "0")
    # Longer ones are no length but zeros, or a way to keep us counting.
    if len(length) <= _LONGEST_LENGTH and length.isdecimal() and int(length) <= most:
        return None
    message = f"The body is larger than {most} bytes."
    return Refusal(413, "body_too_large", message, what)


def _web_page(headers: Mapping[str, str]) -> Refusal | None:
    if names_this_computer(headers) and not is_of_another_site(headers):
        return None
    return Refusal(
        403,
        "foreign_origin",
        "Without a token this service answers programs on this computer alone, no other site.",
        "Call it as 127.0.0.1 or localhost, or set ACTUALS_API_TOKEN and send it.",
    )
