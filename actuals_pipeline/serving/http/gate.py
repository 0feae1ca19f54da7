"""What is refused before any route is looked at: strangers, web pages, large bodies."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from actuals_pipeline.serving.http.failures import Refusal
from actuals_pipeline.serving.web_pages import (
    headers_of,
    is_of_another_site,
    names_this_computer,
)

MOST_BODY_BYTES = 65_536
"""No route reads a body; this much is read past for the sake of clients that send one."""

OPEN = frozenset({"/healthz", "/readyz"})
"""What supervisors and load balancers ask, without a token."""


class Gate:
    """ASGI middleware that lets through what may come in.

    With a token everything but `OPEN` asks for it.  Without one only this computer is served, and
    no web page that is open on it: those name themselves in `Origin`, or another `Host` than ours.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the refusal, or let the application answer."""
        if scope["type"] == "http":
            headers = headers_of(scope["headers"])
            refused = _too_large(headers) or self._stranger(scope["path"], headers)
            if refused:
                await refused.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _stranger(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        if not self._token:
            return _web_page(headers)
        if path in OPEN:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        # Of bytes, for text that is not ASCII cannot be compared in constant time.
        is_ours = hmac.compare_digest(token.strip().encode(), self._token.encode())
        if is_ours and scheme.lower() == "bearer":
            return None
        return Refusal(
            401,
            "unauthorized",
            "The token is missing or wrong.",
            "Send the header `Authorization: Bearer TOKEN` with the service's ACTUALS_API_TOKEN.",
        )


def _too_large(headers: Mapping[str, str]) -> Refusal | None:
    if "transfer-encoding" in headers:
        what = "Send the request without a body."
        return Refusal(411, "length_required", "A body must say how long it is.", what)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) <= MOST_BODY_BYTES:
        return None
    message = f"The body is larger than {MOST_BODY_BYTES} bytes."
    return Refusal(413, "body_too_large", message, "Send the request without a body.")


def _web_page(headers: Mapping[str, str]) -> Refusal | None:
    if names_this_computer(headers) and not is_of_another_site(headers):
        return None
    return Refusal(
        403,
        "foreign_origin",
        "Without a token this service answers programs on this computer alone, no other site.",
        "Call it as 127.0.0.1 or localhost, or set ACTUALS_API_TOKEN and send it.",
    )
