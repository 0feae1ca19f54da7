"""Who may call Meta now: the limits of the app and of each account, shared by a run's threads.

Meta limits an app as a whole and each of its ad accounts.  Every answer, good or bad, says how
much is used up; what one thread learns of the app holds for all.  A refusal that concerns every
account (a dead token) stops them all, because each further call would only lower the quota.

Waits are bounded: a run waits in all for `budget_seconds` at most, be it for a limit, before it
repeats a call or for a report, and leaves a longer wait to its caller, because a worker that
sleeps does nothing for the other accounts.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from actuals_pipeline.errors import MetaError, MetaRefused, MetaThrottled, Reaction
from actuals_pipeline.meta import throttle

logger = logging.getLogger(__name__)

WAIT_BUDGET_SECONDS: Final = 300.0
"""Longest time that one run waits in all, whatever for.  Chosen: the hourly tick repeats it."""

LOGGED_WAIT_SECONDS: Final = 30.0
"""A wait from here on is logged; shorter ones are the ordinary slowing down."""

_SPREAD: Final = 0.1
"""Share by which waits are lengthened at random, so that threads do not come back all at once."""

_APP: Final = None
"""The key of the app among the accounts' ids."""


@dataclass(slots=True)
class Quota:
    """What is known of one limit: percent used up, and the clock's time from which calls may go."""

    used_percent: float | None = None
    free_at: float = 0.0


@dataclass(slots=True)
class Limits:
    """The limits that a run's threads share.

    `clock` gives seconds, `sleep` waits that many, `jitter` gives numbers in 0..1.
    """

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    budget_seconds: float = WAIT_BUDGET_SECONDS
    _quotas: dict[str | None, Quota] = field(default_factory=dict)
    _waited_seconds: float = 0.0
    _waited_until: float = 0.0
    _refusal: MetaError | None = None
    _warned_of: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def observe(self, account_id: str | None, headers: Mapping[str, str]) -> None:
        """Learn from the headers of an answer, good or bad, to a call about `account_id`."""
        readings = throttle.readings(headers)
        for scope, key in (("app", _APP), ("account", account_id)):
            said = [reading for reading in readings if reading.scope == scope]
            if said:
                self._learn(
                    key,
                    max(reading.wait_seconds for reading in said),
                    max(reading.used_percent for reading in said),
                )
        for name in throttle.malformed(headers):
            self._warn_once(name)

    def block(self, account_id: str | None, error: MetaThrottled, seconds: float) -> None:
        """Let the account, or the whole app, rest for `seconds`, as a refusal asked."""
        self._learn(_APP if error.reaction is Reaction.WAIT_APP else account_id, seconds)

    def recall(self, account_id: str | None, seconds: float) -> None:
        """Let the account, or with None the app, rest for what an earlier run was told."""
        self._learn(account_id, seconds)

    def stop(self, refusal: MetaError) -> None:
        """Let no account be asked any more."""
        with self._lock:
            self._refusal = self._refusal or refusal

    def wait(self, account_id: str | None, refusal: MetaThrottled | None = None) -> float:
        """Seconds waited until a call about the account may go.

        Raises `refusal`, or a `MetaThrottled` of its own, when the wait exceeds what the budget
        has left, with `retry_after` at least that wait; `MetaRefused` when every account was
        stopped.
        """
        waited = 0.0
        while True:
            with self._lock:
                self._raise_if_stopped(account_id)
                seconds = self._seconds_left(account_id)
                if seconds < 0.001:  # what rounding leaves
                    return waited
                left, seconds = seconds, seconds * (1 + _SPREAD * self.jitter())
                if not self._afford(seconds):
                    raise _left_to_caller(account_id, left, refusal)
            if seconds >= LOGGED_WAIT_SECONDS:
                logger.info("waiting account=act_%s seconds=%.0f for Meta", account_id, seconds)
            self.sleep(seconds)
            waited += seconds

    def pause(self, seconds: float) -> bool:
        """Sleep for `seconds`; False, and at once, when they exceed what the budget has left."""
        with self._lock:
            if not self._afford(seconds):
                return False
        self.sleep(seconds)
        return True

    def quota(self, account_id: str | None) -> tuple[float | None, float]:
        """Percent used up of a limit (None stands for the app), and seconds until it is free.

        The percentage is None while no header told it.
        """
        with self._lock:
            known = self._quotas.get(account_id, Quota())
            return known.used_percent, max(known.free_at - self.clock(), 0.0)

    def _learn(self, key: str | None, seconds: float, used_percent: float | None = None) -> None:
        with self._lock:
            known = self._quotas.setdefault(key, Quota())
            if used_percent is not None:
                known.used_percent = used_percent
            if seconds:
                known.free_at = max(known.free_at, self.clock() + seconds)

    def _seconds_left(self, account_id: str | None) -> float:
        known = [self._quotas[key] for key in {_APP, account_id} & self._quotas.keys()]
        return max((quota.free_at for quota in known), default=0.0) - self.clock()

    def _afford(self, seconds: float) -> bool:
        """Take the wait from the budget, time that others wait through anyway only once."""
        now = self.clock()
        added = max(now + seconds - max(now, self._waited_until), 0.0)
        if self._waited_seconds + added > self.budget_seconds:
            return False
        self._waited_seconds += added
        self._waited_until = max(self._waited_until, now + seconds)
        return True

    def _raise_if_stopped(self, account_id: str | None) -> None:
        if self._refusal is None:
            return
        raise MetaRefused(
            f"Account act_{account_id} was not asked: {self._refusal}",
            account_id=account_id,
            code=self._refusal.code,
            subcode=self._refusal.subcode,
            reaction=Reaction.STOP_ALL,
        )

    def _warn_once(self, header: str) -> None:
        with self._lock:
            is_new = header.lower() not in self._warned_of
            self._warned_of.add(header.lower())
        if is_new:
            logger.warning("Meta's header %s is not understood and is ignored", header)


def _left_to_caller(
    account_id: str | None, seconds: float, refusal: MetaThrottled | None
) -> MetaThrottled:
    if refusal is not None:
        # Another limit than the one that refused this call may last longer.
        refusal.retry_after = max(refusal.retry_after or 0.0, seconds)
        return refusal
    subject = f" for account act_{account_id}" if account_id else ""
    return MetaThrottled(
        f"Meta's call limit{subject} is nearly used up: wait {seconds:.0f} s, then ask again.",
        account_id=account_id,
        retry_after=seconds,
    )
