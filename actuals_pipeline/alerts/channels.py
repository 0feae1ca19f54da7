"""One message to whatever an address of ALERT_URLS names, or to the log where there is none.

The addresses are apprise's: `slack://...`, `mailto://...`, `json://...`, and a hundred others.
They hold secrets, so a channel is only ever called by its place and kind (`1 slack`), and what
apprise and urllib3 say about one is told without it.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from actuals_pipeline.alerts.rules import Message
from actuals_pipeline.errors import SettingsError
from actuals_pipeline.meta.secrecy import Secrets, keep_out_of_logs

if TYPE_CHECKING:
    import apprise

logger = logging.getLogger(__name__)

LOG: Final = "log"
"""Name of the channel that is there without ALERT_URLS."""

SEND_SECONDS: Final = 15.0
"""Longest that we wait for a channel; apprise itself waits 4 s for each answer, 15 s for e-mail."""

_STATUS = re.compile(r"error=(\d{3})\b")
"""How apprise's plugins name the status of an answer that was not what they wanted."""


class Channel(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """What it is called; no secret."""

    def send(self, message: Message) -> str | None:
        """Send it; None when it was taken, otherwise why not.  Never raises, never blocks long."""


class LogChannel:
    """The log of this process."""

    name = LOG

    def send(self, message: Message) -> str | None:
        """Write it there."""
        logger.warning("%s\n%s", message.title, message.body)
        return None


class AppriseChannel:
    """What one address names."""

    def __init__(self, name: str, server: apprise.NotifyBase) -> None:
        self.name = name
        self._server = server

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name})"

    def send(self, message: Message) -> str | None:
        """Send it through apprise, within `SEND_SECONDS`."""
        outcome: list[str | None] = []
        # A thread of its own, because no service promises to answer, or to hang up.
        sender = threading.Thread(target=lambda: outcome.append(self._sent(message)), daemon=True)
        sender.start()
        sender.join(SEND_SECONDS)
        return outcome[0] if outcome else f"no answer within {SEND_SECONDS:g} s"

    def _sent(self, message: Message) -> str | None:
        with _EAR.listening() as said:
            try:
                is_taken = self._server.notify(
                    body=message.body, title=message.title, notify_type=message.kind
                )
            except Exception as error:  # noqa: BLE001
                # Its text may name the address; its class says what happened.
                return f"it failed ({type(error).__name__})"
        if is_taken:
            return None
        status = next((found[1] for line in said if (found := _STATUS.search(line))), None)
        return f"it answered HTTP {status}" if status else "no answer, or not the expected one"


def addresses_in(urls: str) -> list[str]:
    """The addresses in ALERT_URLS; a comma within one stays, if no address follows it."""
    return [part.strip() for part in re.split(r",\s*(?=[\w+-]+://)", urls.strip()) if part.strip()]


def channels_of(urls: str) -> list[Channel]:
    """A channel for each address in ALERT_URLS, or the log alone.

    Raises `SettingsError` for an address that apprise does not know.
    """
    addresses = addresses_in(urls)
    if not addresses:
        return [LogChannel()]
    import apprise  # noqa: PLC0415 - takes a third of a second, and only who sends needs it

    keep_addresses_out_of_logs(addresses)
    _keep_apprise_quiet()
    channels: list[Channel] = []
    for place, address in enumerate(addresses, start=1):
        server = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if server is None:
            raise SettingsError(
                f"ALERT_URLS cannot be used: address {place} of {len(addresses)} is none that "
                "apprise knows; see https://appriseit.com/services/ for how each is written."
            )
        channels.append(AppriseChannel(f"{place} {_kind(address)}", server))
    return channels


def _kind(address: str) -> str:
    return address.partition("://")[0].lower()


def keep_addresses_out_of_logs(addresses: Sequence[str]) -> None:
    """Nothing that is part of an address gets into a log of urllib3."""
    parts = [part for each in addresses for part in re.split(r"[/:@?&=#,]+", each)]
    keep_out_of_logs(Secrets(*addresses, *parts))


class _Ear(logging.Filter):
    """Hears what apprise says of its failures, and lets nothing of it into a log.

    It quotes tokens and addresses that it cannot use, and says where it could not connect to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        said: list[str] | None = getattr(self._heard, "said", None)
        if said is not None:
            said.append(record.getMessage())
        return False

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """What is said in this thread, for the block."""
        said: list[str] = []
        self._heard.said = said
        try:
            yield said
        finally:
            self._heard.said = None


_EAR: Final = _Ear()


def _keep_apprise_quiet() -> None:
    # Adding it again changes nothing.
    logging.getLogger("apprise").addFilter(_EAR)
