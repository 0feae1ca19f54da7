"""Bind the address, serve until a signal, stop cleanly."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType

import click
import uvicorn

from actuals_pipeline.errors import InputError
from actuals_pipeline.serving.http.app import Service, create_app
from actuals_pipeline.serving.installation import Installation
from actuals_pipeline.settings import Settings

STOP_SECONDS = 10
"""Longest that answers under way may take when the service stops; who waits then is told so."""

_TELL_SECONDS = 2
"""Longest that telling them may take."""

_BACKLOG = 128


@contextmanager
def listening(host: str, port: int, settings: Settings) -> Iterator[socket.socket]:
    """The socket that listens there; `InputError` when it cannot, or must not without a token."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host!r} is no address of this computer: check --host.") from error
    family, _, protocol, _, address = found[0]
    is_ours_alone = all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)
    if not is_ours_alone and not settings.api_token.get_secret_value():
        raise InputError(
            f"{host} can be reached from other computers and ACTUALS_API_TOKEN is missing: set one "
            "(`openssl rand -hex 32`), or leave --host at 127.0.0.1."
        )
    # With its protocol named, so that asyncio sets TCP_NODELAY on its connections.
    with socket.socket(family, socket.SOCK_STREAM, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            raise InputError(
                f"Port {port} of {host} cannot be used ({error.strerror}): stop what listens "
                "there, or choose another with --port."
            ) from error
        yield listener


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
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Answering on http://{shown}:{port} (Ctrl-C stops it)", err=True)
    _Server(config, app.state.service).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Stops on SIGINT, SIGTERM and a closed terminal, the run under way with it."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's own, which raises the signal again at the end: we end as asked, with 0."""
        stopping = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            stopping.append(signal.SIGHUP)
        before = {number: signal.signal(number, self.handle_exit) for number in stopping}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Interrupt the run too, so that those who wait for it are answered."""
        self._service.sync_runs.interrupt()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's own, but who waits for longer than that gets an answer of ours."""
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._service.give_up)
        await super().shutdown(sockets)
