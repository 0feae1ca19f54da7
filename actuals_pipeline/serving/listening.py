"""Bind an address before anything is started, and serve on it until a signal."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from actuals_pipeline.errors import InputError

_BACKLOG = 128


@contextmanager
def listening(
    host: str, port: int, secret: str, variable: str, option: str = "--port"
) -> Iterator[socket.socket]:
    """The socket that listens there; `InputError` when it cannot.

    It must not beyond this computer unless callers have to know `secret`, which `variable` sets.
    `option` chooses another port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host!r} is no address of this computer: check --host.") from error
    family, _, protocol, _, address = found[0]
    is_ours_alone = all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)
    if not is_ours_alone and not secret:
        raise InputError(
            f"{host} can be reached from other computers and {variable} is missing: set one "
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
                f"there, or choose another with {option}."
            ) from error
        yield listener


def inherited(descriptor: int) -> socket.socket:
    """A listening socket that whoever started this process has bound."""
    return socket.socket(fileno=descriptor)


def address_of(listener: socket.socket) -> str:
    """The address for a browser on this computer."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


class Server(uvicorn.Server):
    """Stops on SIGINT, SIGTERM and a closed terminal, after telling `on_stop`."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None] | None = None) -> None:
        super().__init__(config)
        self._on_stop = on_stop

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
        """Tell `on_stop` too, so that those who wait for it are answered."""
        if self._on_stop:
            self._on_stop()
        super().handle_exit(sig, frame)
