"""Every error this project raises, one class per *reaction*.

    ActualsError
      InputError               a value you gave; correct it and ask again
        SettingsError          an environment variable; correct it and ask again
      MetaError                Meta answered something we do not know; never retried blindly
        MetaRefused            token or permission; a person must act
        AdNotFound             no such ad, or not ours
        MetaThrottled          wait `retry_after` seconds, then ask again
        MetaUnavailable        network or server; ask again with backoff
        RequestTooLarge        ask again, smaller
        ReportFailed           an asynchronous report died; ask again, smaller
        UnexpectedPayload      Meta's contract broke; the account's days stay as they were
      FrameMismatch            our own contract broke: a bug
      WarehouseError
        SchemaOutOfDate        run `actuals db upgrade`
        WarehouseUnavailable   the database does not answer; ask again
        WarehouseHindered      it has no room, no time or no leave to write; mend that, ask again

`meta/failures.py` is the only place that turns an answer of Meta into one of these.  Facts are
attributes, never parsed back from the text.  No message carries a token or a secret.
"""

from __future__ import annotations

from enum import StrEnum


class Reaction(StrEnum):
    """What the client does about an error of Meta; the value is the word used in the docs."""

    WAIT_APP = "wait (app)"
    WAIT_ACCOUNT = "wait (account)"
    SPLIT = "split"
    RETRY = "retry"
    RESTART_PAGING = "restart paging"
    RESUBMIT = "resubmit"
    REPOLL = "re-poll"
    STOP_ACCOUNT = "stop account"
    STOP_ALL = "stop all"
    BUG = "bug"


class ActualsError(Exception):
    """Something went wrong in actuals_pipeline."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InputError(ActualsError):
    """A value that was given cannot be used; correct it and ask again."""


class SettingsError(InputError):
    """An environment variable is missing or malformed; correct it and ask again."""


class MetaError(ActualsError):
    """Meta answered with an error that this project does not know; it is not retried."""

    reaction = Reaction.BUG
    """What the client does about it; a class has its usual one, an instance may have its own."""

    def __init__(
        self,
        message: str | None = None,
        *,
        reaction: Reaction | None = None,
        account_id: str | None = None,
        code: int | None = None,
        subcode: int | None = None,
        http_status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reaction = reaction or type(self).reaction
        self.account_id = account_id
        self.code = code
        self.subcode = subcode
        self.http_status = http_status
        self.request_id = request_id
        self.retry_after = retry_after


class MetaRefused(MetaError):
    """Meta refused the token or the permission; a person must act."""

    reaction = Reaction.STOP_ACCOUNT


class AdNotFound(MetaError):
    """Meta knows no such ad, or the token may not see it."""

    reaction = Reaction.STOP_ACCOUNT


class MetaThrottled(MetaError):
    """Meta asked us to wait before the next call."""

    reaction = Reaction.WAIT_ACCOUNT


class MetaUnavailable(MetaError):
    """Meta could not be reached or could not answer; ask again later."""

    reaction = Reaction.RETRY


class RequestTooLarge(MetaError):
    """Meta refused the request as too large; ask for less at a time."""

    reaction = Reaction.SPLIT


class ReportFailed(MetaError):
    """An asynchronous report run did not complete; ask again, smaller."""

    reaction = Reaction.RESUBMIT


class UnexpectedPayload(MetaError):
    """Meta's answer broke its own contract; the account's days stay as they were."""


class FrameMismatch(ActualsError):
    """A frame does not match its contract; this is a bug in actuals_pipeline."""


class WarehouseError(ActualsError):
    """The warehouse refused."""


class SchemaOutOfDate(WarehouseError):
    """The database schema does not fit this version; run `actuals db upgrade`."""


class WarehouseUnavailable(WarehouseError):
    """The database does not answer; check DATABASE_URL and that the server runs."""


class WarehouseHindered(WarehouseError):
    """The database has no room, no time or no leave to write; mend that, then ask again."""
