"""A signed JSON message to somebody's address, repeated with patience that ends.

Each try carries these headers:

    Idempotency-Key        the same for the same message for ever: whoever has seen it, ignores it
    X-Actuals-Timestamp    seconds since 1970 when this try was signed: old ones are replays
    X-Actuals-Signature    `sha256=` and the hexadecimal HMAC-SHA256, by the shared secret, of the
                           timestamp, a full stop, and the body exactly as sent

An answer 2xx is taken.  5xx, no answer and a broken connection are tried again, after a while
that doubles and is drawn at random; any other answer is final, because asking again changes
nothing.  A redirection is not followed: it would take the message to somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

MAX_TRIES = 5
FIRST_PAUSE = 1.0
"""Seconds before the second try, at most; each further pause is at most twice the one before."""
TRY_SECONDS = 10.0
"""Longest wait for a connection, and for each part of the answer."""
TOTAL_SECONDS = 60.0
"""No further try begins when this much time has passed or would have."""

SIGNATURE_HEADER = "X-Actuals-Signature"
TIMESTAMP_HEADER = "X-Actuals-Timestamp"
KEY_HEADER = "Idempotency-Key"

_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message."""

    is_taken: bool
    tries: int
    status: int | None
    """HTTP status of the last answer; None if none came."""
    error: str | None
    """Why it was not taken, without address and secret; None if it was."""
    is_final: bool
    """Whether another try is pointless: it was taken, or refused."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to send messages, and the secret that they are signed with."""

    url: str = field(repr=False)
    """It may hold a secret itself, so it is never told."""
    secret: str = field(repr=False)
    clock: Callable[[], float] = time.time
    """Seconds since 1970; with `sleep` replaceable, so that patience can be tested."""
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    """From 0 to 1: how much of a pause is waited."""

    def send(self, message: Mapping[str, Any], *, key: str) -> Delivery:
        """Send `message` until it is taken, is refused or patience ends; never raises for these.

        `key` identifies the message for ever.
        """
        body = json.dumps(message, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
        began, pause = self.clock(), FIRST_PAUSE
        for tries in range(1, MAX_TRIES + 1):
            status, error = self._try(body, key)
            if status is not None and status < _SERVER_ERRORS:
                return Delivery(error is None, tries, status, error, is_final=True)
            # Drawn, so that many that failed together do not come again together.
            waited = pause * (0.5 + self.chance() / 2)
            pause *= 2
            if self.clock() - began + waited > TOTAL_SECONDS:
                break
            if tries < MAX_TRIES:
                self.sleep(waited)
        return Delivery(is_taken=False, tries=tries, status=status, error=error, is_final=False)

    def _try(self, body: bytes, key: str) -> tuple[int | None, str | None]:
        """The status of one answer, if one came, and what was wrong, if anything."""
        timestamp = str(int(self.clock()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "actuals_pipeline",
            KEY_HEADER: key,
            TIMESTAMP_HEADER: timestamp,
            SIGNATURE_HEADER: signature(body, timestamp, self.secret),
        }
        try:
            with requests.post(
                self.url,
                data=body,
                headers=headers,
                timeout=TRY_SECONDS,
                allow_redirects=False,
                # Whatever is answered beyond its status is not read.
                stream=True,
            ) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            # Its text may name the address; its class says what happened.
            return None, f"no answer ({type(error).__name__})"
        is_taken = 200 <= status < 300
        return status, None if is_taken else f"it answered HTTP {status}"


def signature(body: bytes, timestamp: str, secret: str) -> str:
    """The value of `X-Actuals-Signature` for a body that was signed at `timestamp`."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"
