"""What the Graph API says when it refuses, in its own envelope.

Codes: Marketing API error reference and Insights error codes (2026-09-12).  Messages follow the
official or publicly reported ones; a client should go by the codes.
"""

from __future__ import annotations

from typing import Any

from actuals_pipeline.report_days import RETENTION_MONTHS

TRACE_ID = "StandInTraceId"


class GraphError(Exception):
    """An answer with an `error` body instead of data."""

    def __init__(
        self, code: int, message: str, *, subcode: int | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subcode = subcode
        self.status = status


def error_body(code: int, message: str, *, subcode: int | None = None, **more: Any) -> Any:
    """The error envelope; `more` holds further keys such as `is_transient`."""
    error = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "is_transient": False,
        "fbtrace_id": TRACE_ID,
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return {"error": error | more}


def invalid_parameter(reason: str) -> GraphError:
    """A request that Meta cannot make sense of."""
    return GraphError(100, f"(#100) Invalid parameter: {reason}")


def unknown_node(object_id: str) -> GraphError:
    """No such object, or none that the token may see: Meta does not say which."""
    return GraphError(
        100,
        f"Unsupported get request. Object with ID '{object_id}' does not exist, cannot be loaded "
        "due to missing permissions, or does not support this operation.",
        subcode=33,
    )


def unknown_field(name: str, node: str) -> GraphError:
    """A field that the node does not have."""
    return GraphError(100, f"(#100) Tried accessing nonexisting field ({name}) on {node}")


def start_too_old() -> GraphError:
    """A start further back than Meta keeps totals."""
    return GraphError(
        3018,
        "(#3018) The start date of the time range cannot be beyond "
        f"{RETENTION_MONTHS} months from the current date",
    )


def too_much_data() -> GraphError:
    """More rows than Meta is willing to compute for one request."""
    return GraphError(
        100,
        "(#100) Please reduce the amount of data you're asking for, then retry your request",
        subcode=1487534,
    )


def bad_token() -> GraphError:
    """No access token, or one that Meta does not know."""
    return GraphError(190, "Invalid OAuth access token.")


def missing_proof() -> GraphError:
    """The app requires signed calls and this one is not."""
    return GraphError(100, "API calls from the server require an appsecret_proof argument")


def wrong_proof() -> GraphError:
    """The signature does not belong to the token."""
    return GraphError(104, "Invalid appsecret_proof provided in the API argument")


def invalid_cursor() -> GraphError:
    """A paging cursor of another request, or none at all."""
    return GraphError(2642, "(#2642) Invalid cursors values")


def read_only() -> GraphError:
    """A POST that would change something; the stand-in's world is not changed that way."""
    return GraphError(100, "(#100) The stand-in only answers reading calls")


def no_version() -> GraphError:
    """A Marketing API call without a version in its path."""
    return GraphError(2635, "(#2635) You are calling a deprecated version of the Ads API.")
