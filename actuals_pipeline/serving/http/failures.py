"""Errors as answers: one shape, one status and one code for each thing that a caller can do.

    {"status": "error", "error": {"code": ..., "message": ..., "what_to_do": ...}}

`message` says what happened, in the words of the command line; `what_to_do` is for who called.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from actuals_pipeline import errors
from actuals_pipeline.errors import ActualsError
from actuals_pipeline.meta.throttle import DEFAULT_PAUSE_SECONDS

RETRY_SECONDS = 5
"""Wait before a database or a busy service is asked again.  Chosen: a restart takes longer to
notice than to do."""


@dataclass(eq=False)
class Refusal(Exception):
    """An answer other than what was asked for; `retry_after` in seconds."""

    status: int
    code: str
    message: str
    what_to_do: str
    retry_after: int | None = None

    def response(self) -> Response:
        """The answer in the one shape."""
        said = {"code": self.code, "message": self.message, "what_to_do": self.what_to_do}
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(
            json.dumps({"status": "error", "error": said}, ensure_ascii=False),
            status_code=self.status,
            headers=headers,
            media_type="application/json",
        )


class ErrorFacts(BaseModel):
    """What went wrong: a stable code, a sentence, and what the caller can do."""

    code: str
    message: str
    what_to_do: str


class ErrorAnswer(BaseModel):
    """Every answer that is no success has this shape."""

    status: str = "error"
    error: ErrorFacts


@dataclass(frozen=True, slots=True)
class _Told:
    status: int
    code: str
    what_to_do: str
    retry_after: int | None = None


LATER = "Ask again after Retry-After seconds."
"""To whom a wait helps."""

_OPERATOR = "Tell whoever runs this service; asking again does not help before that is mended."

_TOLD: dict[type[ActualsError], _Told] = {
    errors.SettingsError: _Told(503, "not_configured", _OPERATOR),
    errors.InputError: _Told(422, "bad_parameter", "Correct the parameter and ask again."),
    errors.AdNotFound: _Told(404, "ad_not_found", "Check the id of the ad."),
    errors.MetaRefused: _Told(403, "refused_by_meta", _OPERATOR),
    errors.MetaThrottled: _Told(429, "rate_limited", LATER, math.ceil(DEFAULT_PAUSE_SECONDS)),
    errors.RequestTooLarge: _Told(502, "too_much_for_meta", "Ask for fewer days."),
    errors.MetaUnavailable: _Told(502, "meta_unavailable", "Ask again later."),
    errors.ReportFailed: _Told(502, "meta_unavailable", "Ask again later."),
    errors.MetaError: _Told(502, "unexpected_of_meta", _OPERATOR),
    errors.SchemaOutOfDate: _Told(503, "schema_out_of_date", _OPERATOR),
    errors.WarehouseUnavailable: _Told(503, "database_unavailable", LATER, RETRY_SECONDS),
    errors.WarehouseError: _Told(503, "database_hindered", _OPERATOR),
    ActualsError: _Told(500, "failed", _OPERATOR),
}
"""How each class of our errors is told; a class without a row of its own as the one above it."""


def refusal(error: ActualsError) -> Refusal:
    """The answer that tells one of our errors."""
    wait = error.retry_after if isinstance(error, errors.MetaThrottled) else None
    return refusal_of_class(type(error), str(error), wait)


def refusal_of_class(
    kind: type[ActualsError], message: str, wait_seconds: float | None = None
) -> Refusal:
    """The answer that tells an error of `kind` with `message`."""
    told = next(_TOLD[each] for each in kind.__mro__ if each in _TOLD)
    retry_after = told.retry_after if wait_seconds is None else max(1, math.ceil(wait_seconds))
    return Refusal(told.status, told.code, message, told.what_to_do, retry_after)


def kind_named(name: str | None) -> type[ActualsError]:
    """The class of our errors that is called `name`; `ActualsError` for any other name."""
    kind = getattr(errors, name or "", None)
    return kind if isinstance(kind, type) and issubclass(kind, ActualsError) else ActualsError


def too_slow(seconds: float) -> Refusal:
    """The answer to a request that takes longer than any may."""
    return Refusal(
        504,
        "took_too_long",
        f"No answer within {seconds:g} s.",
        "Ask again later, for less; what a fetch brings after all is stored.",
    )


def busy() -> Refusal:
    """The answer when more is asked at once than is worked off."""
    return Refusal(503, "busy", "Too many requests are waiting.", LATER, RETRY_SECONDS)


def stopping() -> Refusal:
    """The answer while the service stops."""
    what = "Ask again when the service runs again; what was not answered may not be stored."
    return Refusal(503, "stopping", "The service is stopping.", what, RETRY_SECONDS)


def tell_all(app: FastAPI) -> None:
    """Let `app` answer every failure in the one shape."""

    @app.exception_handler(Refusal)
    async def _refused(_request: Request, error: Refusal) -> Response:
        return error.response()

    @app.exception_handler(ActualsError)
    async def _ours(_request: Request, error: ActualsError) -> Response:
        return refusal(error).response()

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        return Refusal(
            422,
            "bad_parameter",
            " ".join(f"{each['loc'][-1]}: {each['msg']}." for each in error.errors()),
            "Correct the parameter and ask again; /openapi.json describes all of them.",
        ).response()

    @app.exception_handler(HTTPException)
    async def _of_the_protocol(_request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = status.phrase.lower().replace(" ", "_")
        what = "Check method and path; /openapi.json lists them."
        answer = Refusal(status, code, f"{status.phrase}.", what).response()
        # Such as `Allow`, which says what other methods there are.
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, _error: Exception) -> Response:
        # The log has the whole story; the answer must not, for nobody knows what it holds.
        return Refusal(500, "internal", "Something unforeseen failed.", _OPERATOR).response()
