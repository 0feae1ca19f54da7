"""One ping that says that we live: whoever does not hear it for a while raises the alarm."""

from __future__ import annotations

import requests

from actuals_pipeline.alerts.channels import keep_addresses_out_of_logs

PING_SECONDS = 5.0
"""Longest wait for a connection, and for the answer."""


def ping(url: str) -> str | None:
    """None when the address took it, otherwise why not, without the address; never raises."""
    keep_addresses_out_of_logs([url])
    try:
        with requests.get(
            url,
            timeout=PING_SECONDS,
            headers={"User-Agent": "actuals_pipeline"},
            allow_redirects=False,
            # Whatever is answered beyond its status is not read.
            stream=True,
        ) as answer:
            status = answer.status_code
    except (requests.RequestException, ValueError) as error:
        # Its text may name the address; its class says what happened.
        return f"no answer ({type(error).__name__})"
    return None if 200 <= status < 300 else f"it answered HTTP {status}"
