"""`/webhooks/meta`: where Meta tells what changed; proven by its signature, and only stored."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.meta.webhooks import SIGNATURE_HEADER, events_of, is_signed
from actuals_pipeline.serving.http.failures import Refusal
from actuals_pipeline.serving.http.gate import MOST_WEBHOOK_BYTES, WEBHOOK_PATH
from actuals_pipeline.warehouse import meta_events

logger = logging.getLogger(__name__)

BODY_SECONDS = 15.0
"""Longest that a message may take to come in, for anybody may begin to send one.  Chosen: a
megabyte over a slow line."""

webhooks = APIRouter(include_in_schema=False)
"""Not in OpenAPI: who calls is Meta, and a signature over the body cannot be described there."""


@webhooks.get(WEBHOOK_PATH, response_class=Response)
async def confirm(
    request: Request,
    mode: Annotated[str, Query(alias="hub.mode", max_length=100)] = "",
    challenge: Annotated[str, Query(alias="hub.challenge", max_length=1000)] = "",
    verify_token: Annotated[str, Query(alias="hub.verify_token", max_length=1000)] = "",
) -> Response:
    """Confirm to Meta that this address is meant: the challenge, for who knows the verify token."""
    ours = request.app.state.service.settings.webhook_verify_token.get_secret_value()
    if not ours:
        raise SettingsError(
            "META_WEBHOOK_VERIFY_TOKEN is missing; set it to what is entered in the app's webhook "
            "settings at Meta."
        )
    is_ours = hmac.compare_digest(verify_token.encode("utf-8", "surrogatepass"), ours.encode())
    if mode != "subscribe" or not is_ours or not re.fullmatch(r"[\w.~-]+", challenge, re.ASCII):
        raise Refusal(
            403,
            "not_meta",
            "This is no subscription with the right verify token.",
            "Enter META_WEBHOOK_VERIFY_TOKEN in the app's webhook settings at Meta.",
        )
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(challenge, media_type="text/plain", headers=headers)


@webhooks.post(WEBHOOK_PATH)
async def receive(request: Request) -> dict[str, Any]:
    """Store what Meta tells; the same again changes nothing.

    The body must be signed with META_APP_SECRET in `X-Hub-Signature-256`.
    """
    service = request.app.state.service
    secret = service.settings.meta_app_secret.get_secret_value()
    if not secret:
        raise SettingsError(
            "META_APP_SECRET is missing; set it, for only with it can be told what is from Meta."
        )
    body = await body_of(request)
    if not is_signed(body, request.headers.get(SIGNATURE_HEADER, ""), secret):
        raise Refusal(
            403,
            "not_meta",
            "The signature is missing or wrong.",
            "Sign the body with the app's secret, as Meta does; check META_APP_SECRET.",
        )
    events = events_of(body)
    n_new = 0
    if events:
        n_new = await service.readers.run(lambda: meta_events.store(service.warehouse, events))
    logger.info("webhook events=%d new=%d", len(events), n_new)
    return {"status": "success", "events": len(events), "new": n_new}


async def body_of(request: Request, most_seconds: float = BODY_SECONDS) -> bytes:
    """The bytes as they came; `Refusal` beyond either limit, whatever length was promised."""
    body = bytearray()
    try:
        async with asyncio.timeout(most_seconds):
            async for part in request.stream():
                body += part
                if len(body) > MOST_WEBHOOK_BYTES:
                    raise Refusal(
                        413,
                        "body_too_large",
                        f"The body is larger than {MOST_WEBHOOK_BYTES} bytes.",
                        "Send fewer changes at once.",
                    )
    except TimeoutError:
        raise Refusal(
            408,
            "body_too_slow",
            f"The body did not come in within {most_seconds:g} s.",
            "Send it again.",
        ) from None
    return bytes(body)
