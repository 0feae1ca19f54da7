"""Serve the interface on a socket until a signal, and stop cleanly."""

from __future__ import annotations

import asyncio
import socket

import click
import uvicorn

from actuals_pipeline.serving.http.app import Service, create_app
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.serving.listening import Server, address_of

STOP_SECONDS = 10
"""Longest that answers under way may take when the service stops; who waits then is told so."""

_TELL_SECONDS = 2
"""Longest that telling them may take."""


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
        timeout_graceful_shutdown=STOP_SECONDS + _TELL_SECONDS,
    )
    click.echo(f"Answering on {address_of(listener)} (Ctrl-C stops it)", err=True)
    _Server(config, app.state.service).run(sockets=[listener])


class _Server(Server):
    """Stops on a signal, and answers all who wait."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        # A run under way is interrupted, so that those who wait for it are answered.
        super().__init__(config, on_stop=service.sync_runs.interrupt)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, but who waits for longer than that gets an answer of ours."""
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._service.give_up)
        await super().shutdown(sockets)
