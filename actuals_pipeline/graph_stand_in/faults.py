"""Rules that spoil chosen answers of the stand-in, and what each effect does.

    effect          value                     the answer
    delay_seconds   seconds                   comes late
    drop_connection true                      does not come; the connection is cut
    error           {code, message?, ...}     is this error (HTTP `status` 400 unless given)
    raw_body        text                      is this text (`status` 200, `content_type` text/html)
    raw_answer      text                      is this text, status line and headers included
    empty_page      true                      has no rows, but a `next` under which they follow
    repeat_cursor   true                      leads back to the page just read
    duplicate_row   true | {field: value}     holds its last row twice (the copy changed)
    foreign_row     true                      holds a row of an account nobody asked about
    drop_field      field name                lacks the field in each row
    drop_rows       number                    lacks its last rows
    set_action      {action_type, key: value} holds these keys in each such action (null: lacks)
    drop_window     attribution window        lacks the window in each action
    merge           {key: value, ...}         holds these keys too, objects merged with objects
    job_status      text | {key: value}       reports this `async_status` (or these keys)
    truncate        true                      is cut off in the middle
    headers         {name: value}             carries these headers

One rule may have several effects.  How a Graph API looks that a health check must warn about:

    token of few days     {"merge": {"data": {"expires_at": 1774000000}}}, kind debug_token
    token without scope   {"merge": {"data": {"scopes": []}}}, kind debug_token
    account not granted   {"merge": {"data": {"granular_scopes": [...]}}}, kind debug_token
    no debug_token        {"error": {"code": 100}}, kind debug_token
    account disabled      {"merge": {"account_status": 2}}, kind account, account_id 42
    clock that is wrong   {"headers": {"Date": "Sat, 07 Mar 2026 12:00:00 GMT"}}
    no bearer header      {"error": {"code": 104}}, via header
    filter that hides     {"drop_rows": 3}, params filtering=.*effective_status
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from actuals_pipeline.graph_stand_in.graph_errors import error_body

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One Graph call; `page` counts from 1 in answers that have pages, `params` lack secrets.

    `kind` is account, ad, adset, campaign, creative, video, ads, adaccounts, insights,
    insights_async, run, run_insights, debug_token, batch or unknown; `via` is where the token came.
    """

    method: str
    path: str
    kind: str
    params: Mapping[str, str]
    account_id: str | None = None
    page: int | None = None
    status: int | None = None
    via: Literal["query", "header"] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Spoil the next `times` calls that match (all of them when None); absent criteria match all.

    `path` is a regular expression searched in the path, version prefix included; `params` is one
    searched in the parameters, written as lines of `name=value`.
    """

    effect: Mapping[str, Any]
    method: str | None = None
    path: str | None = None
    account_id: str | None = None
    kind: str | None = None
    page: int | None = None
    params: str | None = None
    via: str | None = None
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
            for name in ("method", "account_id", "kind", "page", "via")
            if getattr(self, name) is not None
        }
        given = "\n".join(f"{name}={value}" for name, value in call.params.items())
        searched = ((self.path, call.path), (self.params, given))
        return all(getattr(call, name) == value for name, value in wanted.items()) and all(
            pattern is None or re.search(pattern, text, re.MULTILINE) for pattern, text in searched
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


def _drop_rows(payload: Payload, number: int) -> None:
    if payload.get("data"):
        del payload["data"][-number:]


def _actions(payload: Payload) -> Iterable[Payload]:
    for row in _rows(payload):
        for value in row.values():
            if isinstance(value, list):
                yield from value


def _set_action(payload: Payload, wanted: Payload) -> None:
    for action in _actions(payload):
        if action.get("action_type") == wanted["action_type"]:
            action.update(wanted)
            for name in [name for name, value in wanted.items() if value is None]:
                del action[name]


def _drop_window(payload: Payload, window: str) -> None:
    for action in _actions(payload):
        action.pop(window, None)


def _merge(payload: Payload, more: Payload) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(payload.get(name), dict):
            _merge(payload[name], value)
        else:
            payload[name] = value


def _job_status(payload: Payload, status: str | Payload) -> None:
    payload.update({"async_status": status} if isinstance(status, str) else status)


PAYLOAD_EFFECTS: Mapping[str, Callable[[Payload, Any], None]] = MappingProxyType(
    {
        "duplicate_row": _duplicate_row,
        "foreign_row": _foreign_row,
        "drop_field": _drop_field,
        "drop_rows": _drop_rows,
        "set_action": _set_action,
        "drop_window": _drop_window,
        "merge": _merge,
        "job_status": _job_status,
    }
)

OTHER_EFFECTS = frozenset(
    {
        "delay_seconds",
        "drop_connection",
        "error",
        "raw_body",
        "raw_answer",
        "status",
        "content_type",
        "empty_page",
        "repeat_cursor",
        "truncate",
        "headers",
    }
)
"""Effects that the Graph protocol and the server carry out, and the details of two of them."""
