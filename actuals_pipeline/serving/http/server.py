"""Serve the interface on a socket until a signal, and stop cleanly."""

from __future__ import annotations

import socket

import click
import uvicorn

from actuals_pipeline.serving.http.app import create_app
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.listening import Server, address_of

STOP_SECONDS = 10
"""Longest that answers under way may take when the service stops."""


def serve(installation: Installation, listener: socket.socket) -> None:
    """Answer on `listener` until a signal."""
    app = create_app(installation)
    config = uvicorn.Config(
        app,
        # The command line has set up logging.
        log_config=None,
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    click.echo(f"Answering on {address_of(listener)} (Ctrl-C stops it)", err=True)
    # A run under way is interrupted, so that those who wait for it are answered.
    Server(config, on_stop=app.state.service.sync_runs.interrupt).run(sockets=[listener])
