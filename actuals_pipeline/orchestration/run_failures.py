"""What ended a run, in our words: of its steps, and of the tables in which Dagster keeps it."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import IO, Any, cast

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy.exc import DBAPIError

from actuals_pipeline import errors
from actuals_pipeline.warehouse.connection import explanation

STORAGE_ERRORS = (DBAPIError, DagsterPostgresException)
"""What Dagster lets through of its storage: the second when it has tried to connect in vain."""


@dataclass(frozen=True, slots=True)
class StepFailure:
    """Why a step failed: a sentence, and the name of the error's class; one of ours, if any."""

    sentence: str
    error_class: str


@contextmanager
def storage_errors_told() -> Iterator[None]:
    """What goes wrong with Dagster's tables becomes the error that it would be with ours."""
    quiet = cast("IO[str]", _WithoutLostEvents(sys.stderr))
    try:
        with redirect_stderr(quiet):
            yield
    except STORAGE_ERRORS as error:
        known = error if isinstance(error, DBAPIError) else error.__cause__
        diagnosis = getattr(getattr(known, "orig", None), "diag", None)
        state = getattr(diagnosis, "sqlstate", None)
        said = getattr(diagnosis, "message_primary", None)
        explained = explanation("Dagster's tables", state, said)
        if explained is None:
            raise
        raise explained from error


class _WithoutLostEvents:
    """A stream without the events that Dagster writes there when its tables do not take them.

    Dagster raises the error besides; a page of SQL and JSON would hide our sentence about it.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        lost = text.startswith("Exception while writing logger call to event log")
        return len(text) if lost else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def was_interrupted(events: Sequence[dg.DagsterEvent]) -> bool:
    """Whether somebody at the terminal ended the run; Dagster makes a failed step of it."""
    failed = [event.step_failure_data.error for event in events if event.is_step_failure]
    return any(error and error.cls_name == "DagsterExecutionInterruptedError" for error in failed)


def step_failures(events: Sequence[dg.DagsterEvent]) -> Iterator[StepFailure]:
    """The failed steps, each with what our own error said, else with what Dagster says."""
    for event in events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        causes = list(_causes(data.error))
        ours = [error for error in causes if error.cls_name in _OUR_ERRORS]
        error = next(iter(ours or reversed(causes)), None)
        name, _, said = (error.message if error else "").strip().partition(": ")
        sentence = f"{event.step_key}: {said or name}"
        if data.user_failure_data and data.user_failure_data.description:
            sentence = data.user_failure_data.description
        yield StepFailure(sentence, (error.cls_name if error else None) or "")


def _causes(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    """An error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.cause


_OUR_ERRORS = frozenset(
    name
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, errors.ActualsError)
)
