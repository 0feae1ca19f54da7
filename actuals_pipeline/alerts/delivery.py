"""Messages that wait, handed to their channels with patience that never ends.

A message is claimed for a while before it is sent, so that of two processes one sends it; who
dies meanwhile leaves it to the next.  A channel that took a message and could not say so gets it
twice, which its number tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from actuals_pipeline.alerts.channels import SEND_SECONDS, Channel
from actuals_pipeline.alerts.rules import Message

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
"""From one failed try to the next; doubles each time."""

CLAIM: Final = timedelta(seconds=3 * SEND_SECONDS)
"""How long a message is ours; longer than sending it can take."""

TOTAL_SECONDS: Final = 15.0
"""No further sending begins after this; what waits is for the next look.  Dagster gives a sensor
60 s."""


class Waiting(NamedTuple):
    """A message in the outbox that was claimed."""

    id: int
    channel: str
    message: Message
    attempts: int
    """This one included."""


class Outbox(Protocol):
    """Where messages wait."""

    def claim(self, channel: str, now: datetime, until: datetime) -> Waiting | None:
        """The oldest message that is due for a channel, ours until `until`; None: there is none."""

    def settle(
        self, waiting: Waiting, error: str | None, now: datetime, next_attempt_at: datetime
    ) -> None:
        """It was taken now, or why not and when to try again."""


class Sent(NamedTuple):
    """One try."""

    channel: str
    error: str | None


def deliver(
    outbox: Outbox,
    channels: Sequence[Channel],
    clock: Callable[[], datetime],
    elapsed: Callable[[], float] = time.monotonic,
) -> list[Sent]:
    """Send what is due, the oldest first; a channel that fails does not hold up the others."""
    sent, began = [], elapsed()
    for channel in channels:
        while elapsed() - began < TOTAL_SECONDS:
            now = clock()
            waiting = outbox.claim(channel.name, now, now + CLAIM)
            if waiting is None:
                break
            numbered = waiting.message._replace(
                body=f"{waiting.message.body}\n(message {waiting.id})"
            )
            error = channel.send(numbered)
            wait = min(FIRST_WAIT * 2 ** min(waiting.attempts - 1, 10), LONGEST_WAIT)
            now = clock()
            outbox.settle(waiting, error, now, now + wait)
            sent.append(Sent(channel.name, error))
            if error is not None:
                break
    return sent
