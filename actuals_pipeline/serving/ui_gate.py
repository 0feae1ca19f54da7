"""What stands before Dagster's webserver, which has no login and does as anybody says.

By itself it executes a mutation that comes as a plain GET, or as text/plain from any web page
(both launched runs, Dagster 1.13), and it looks at neither `Host` nor `Origin`.  So what comes in
here is refused unless

* it comes from this site, or from a program: `web_pages.py`;
* it writes by POST with `application/json`, which no page of another site can send unasked;
* it asks GraphQL by POST or WebSocket, never by GET;
* it knows the password, where one is set.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actuals_pipeline.serving.web_pages import (
    headers_of,
    is_of_another_site,
    names_this_computer,
)

GRAPHQL = "/graphql"

PASS_SECONDS = 900
"""How long a pass lets in; each answer brings a new one, and the UI asks every few seconds."""

NO_FRAME = {"X-Frame-Options": "DENY"}
"""No other site may show the UI in a frame, where a click could be led astray."""

_READING = frozenset({"GET", "HEAD"})

_POLICY_VIOLATION = 1008
"""The close code of a refused WebSocket (RFC 6455, section 7.4.1)."""


class _Refusal(NamedTuple):
    status: int
    sentence: str
    headers: Mapping[str, str] = {}


class UiGate:
    """ASGI middleware that lets to Dagster's webserver what may come in.

    Without a password only this computer is served.  `installation` is any name of it.
    """

    def __init__(self, app: ASGIApp, password: str, installation: str) -> None:
        self._app = app
        self._password = password
        self._passes = Passes(installation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the refusal, or let the webserver answer."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope["headers"])
        refused = self._stranger(scope, headers) or _unsafe(scope, headers)
        if refused is None:
            await self._app(scope, receive, self._sealing(send))
        elif scope["type"] == "websocket":
            await receive()
            reason = refused.sentence
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})
        else:
            response = PlainTextResponse(
                f"{refused.sentence}\n", refused.status, {**NO_FRAME, **refused.headers}
            )
            await response(scope, receive, send)

    def _stranger(self, scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
        if is_of_another_site(headers):
            return _Refusal(403, "This comes from another site's page and is not done.")
        if not self._password:
            if names_this_computer(headers):
                return None
            return _Refusal(
                403,
                "Without a password this answers as 127.0.0.1 or localhost only: call it so, or "
                "set ACTUALS_UI_PASSWORD.",
            )
        # Of bytes, for text that is not ASCII cannot be compared in constant time.
        given = _password_in(headers.get("authorization", ""))
        if hmac.compare_digest(given, self._password.encode()):
            return None
        if scope["type"] == "websocket" and self._passes.is_in(headers.get("cookie", "")):
            return None
        asked = {"WWW-Authenticate": 'Basic realm="actuals_pipeline", charset="UTF-8"'}
        return _Refusal(401, "The password is missing or wrong; any user name will do.", asked)

    def _sealing(self, send: Send) -> Send:
        """`send` with our headers on answers."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(NO_FRAME)
                if self._password:
                    headers.append("Set-Cookie", self._passes.issued())
            await send(message)

        return sealed


class Passes:
    """Cookies that prove to a WebSocket that its page knew the password.

    Not every browser sends the password along there.  A browser tells cookies to every port of a
    host, that is to services beside us, so a pass lets in nothing but a WebSocket, is told to no
    path but GraphQL's, and ends soon.
    """

    def __init__(self, installation: str, clock: Callable[[], float] = time.time) -> None:
        # One name for each installation: those of a host would overwrite each other's.
        self._name = f"actuals_ui_{hashlib.sha256(installation.encode()).hexdigest()[:12]}"
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def issued(self) -> str:
        """A new one, as a header `Set-Cookie` has it."""
        until = str(int(self._clock()) + PASS_SECONDS)
        return (
            f"{self._name}={until}.{self._signature(until)}; Path={GRAPHQL}; "
            f"Max-Age={PASS_SECONDS}; HttpOnly; SameSite=Strict"
        )

    def is_in(self, cookies: str) -> bool:
        """Whether one that is valid is in a header `Cookie`."""
        try:
            morsel = SimpleCookie(cookies).get(self._name)
        except CookieError:
            return False
        until, _, signature = (morsel.value if morsel else "").partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(until).encode()):
            return False
        return self._clock() < int(until)

    def _signature(self, until: str) -> str:
        return hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()


def _unsafe(scope: Scope, headers: Mapping[str, str]) -> _Refusal | None:
    """Why a request could be one that a page of another site made the browser send."""
    if scope["type"] == "websocket":
        return None
    if scope["method"] in _READING:
        if scope["path"].rstrip("/") == GRAPHQL and scope["query_string"]:
            return _Refusal(405, "GraphQL is answered by POST only.", {"Allow": "POST"})
        return None
    if scope["method"] != "POST":
        return _Refusal(405, "Only GET and POST are answered.", {"Allow": "GET, HEAD, POST"})
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return _Refusal(415, "What is sent must be application/json.")
    return None


def _password_in(authorization: str) -> bytes:
    """The password of Basic credentials (RFC 7617); empty where there are none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
