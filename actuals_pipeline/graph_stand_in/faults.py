"""Rules that spoil chosen answers of the stand-in, and what each effect does.

    effect          value                     the answer
    delay_seconds   seconds                   comes late
    drop_connection true                      does not come; the connection is cut
    error           {code, message?, ...}     is this error (HTTP `status` 400 unless given)
    raw_body        text                      is this text (`status` 200, `content_type` text/html)
    empty_page      true                      has no rows, but a `next` under which they follow
    repeat_cursor   true                      leads back to the page just read
    duplicate_row   true | {field: value}     holds its last row twice (the copy changed)
    foreign_row     true                      holds a row of an account nobody asked about
    drop_field      field name                lacks the field in each row
    job_status      text | {key: value}       reports this `async_status` (or these keys)
    truncate        true                      is cut off in the middle
    headers         {name: value}             carries these headers

One rule may have several effects.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from actuals_pipeline.graph_stand_in.graph_errors import error_body

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One Graph call; `page` counts from 1 in answers that have pages, `params` lack secrets.

    `kind` is account, ad, adset, campaign, creative, video, ads, adaccounts, insights,
    insights_async, run, run_insights, debug_token, batch or unknown.
    """

    method: str
    path: str
    kind: str
    params: Mapping[str, str]
    account_id: str | None = None
    page: int | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Spoil the next `times` calls that match (all of them when None); absent criteria match all.

    `path` is a regular expression searched in the path, version prefix included.
    """

    effect: Mapping[str, Any]
    method: str | None = None
    path: str | None = None
    account_id: str | None = None
    kind: str | None = None
    page: int | None = None
    times: int | None = 1

    def __post_init__(self) -> None:
        known = {*PAYLOAD_EFFECTS, *OTHER_EFFECTS}
        unknown = set(self.effect) - known
        if unknown or not self.effect:
            raise ValueError(f"unknown effects {sorted(unknown)}; there are {sorted(known)}")

    def matches(self, call: Call) -> bool:
        """Whether the rule is about `call`."""
        wanted = {
            name: getattr(self, name)
            for name in ("method", "account_id", "kind", "page")
            if getattr(self, name) is not None
        }
        return all(getattr(call, name) == value for name, value in wanted.items()) and (
            self.path is None or re.search(self.path, call.path) is not None
        )


class Faults:
    """The rules in force, in order; at most one spoils a call, and it is then used up by one."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Put rules at the end of the list."""
        with self._lock:
            self._rules.extend(faults)

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def pending(self) -> list[Fault]:
        """The rules that can still fire, with the `times` they have left."""
        with self._lock:
            return list(self._rules)

    def take(self, call: Call) -> Mapping[str, Any]:
        """The effects on `call`; none when no rule matches."""
        with self._lock:
            for position, rule in enumerate(self._rules):
                if not rule.matches(call):
                    continue
                if rule.times is not None and rule.times <= 1:
                    del self._rules[position]
                elif rule.times is not None:
                    self._rules[position] = replace(rule, times=rule.times - 1)
                return rule.effect
        return {}


def spoil_payload(payload: Payload, effect: Mapping[str, Any]) -> None:
    """Work those effects on `payload` that change what it says."""
    for name in effect.keys() & PAYLOAD_EFFECTS.keys():
        PAYLOAD_EFFECTS[name](payload, effect[name])


def error_answer(effect: Mapping[str, Any]) -> tuple[int, Payload]:
    """HTTP status and body of the `error` effect."""
    error = dict(effect["error"])
    code, message = error.pop("code"), error.pop("message", "spoiled by a fault of the stand-in")
    subcode = error.pop("subcode", error.pop("error_subcode", None))
    return effect.get("status", 400), error_body(code, message, subcode=subcode, **error)


def _rows(payload: Payload) -> Iterable[Payload]:
    rows = payload.get("data", [])
    return rows if isinstance(rows, list) else []


def _duplicate_row(payload: Payload, change: object) -> None:
    if payload.get("data"):
        payload["data"].append(payload["data"][-1] | (change if isinstance(change, dict) else {}))


def _foreign_row(payload: Payload, _: object) -> None:
    stranger = {"account_id": "999000000000009", "ad_id": "129900000000000009"}
    if payload.get("data"):
        payload["data"].append(payload["data"][-1] | stranger)


def _drop_field(payload: Payload, name: str) -> None:
    for row in _rows(payload):
        row.pop(name, None)


def _job_status(payload: Payload, status: str | Payload) -> None:
    payload.update({"async_status": status} if isinstance(status, str) else status)


PAYLOAD_EFFECTS: Mapping[str, Callable[[Payload, Any], None]] = MappingProxyType(
    {
        "duplicate_row": _duplicate_row,
        "foreign_row": _foreign_row,
        "drop_field": _drop_field,
        "job_status": _job_status,
    }
)

OTHER_EFFECTS = frozenset(
    {
        "delay_seconds",
        "drop_connection",
        "error",
        "raw_body",
        "status",
        "content_type",
        "empty_page",
        "repeat_cursor",
        "truncate",
        "headers",
    }
)
"""Effects that the Graph protocol and the server carry out, and the details of two of them."""
