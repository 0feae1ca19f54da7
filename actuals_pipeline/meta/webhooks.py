"""What Meta tells of its own accord: webhook messages of ad accounts, proven and taken apart.

A message says that something changed, hardly ever into what; the figures come by asking.  Meta
repeats messages, reorders them and gives none a number, so an event is known by what it says.

Source: Ads Webhooks (overview, get started, effective status, subscriptions), read 2026-09-19;
Graph API, Webhooks: getting started.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from actuals_pipeline.errors import InputError
from actuals_pipeline.meta import fields
from actuals_pipeline.storable import storable_json

SIGNATURE_HEADER: Final = "x-hub-signature-256"

_PREFIX: Final = "sha256="

_OBJECTS: Final[Mapping[str, tuple[str, str | None, str]]] = {
    # By the field as it is delivered: the names of the object's id and of its level, if it has
    # one, and the level otherwise.
    "field_changed": ("object_id", "object_type", ""),
    "with_issues_ad_objects": ("id", "level", ""),
    "in_process_ad_objects": ("id", "level", ""),
    "creative_fatigue": ("adgroup_id", None, "ad"),
    "subscriptions": ("object_id", "object_type", ""),
}

_EFFECTIVE_STATUS: Final = "effective_status"


@dataclass(frozen=True, slots=True)
class MetaEvent:
    """One change of an ad account, in Meta's words.

    `key` is the same for the same event, however often and with whatever others it is told.
    `field` is what was subscribed to: `effective_status` is delivered as `field_changed`.
    `value` is JSON text; object and instant are None where the message names none.
    """

    key: str
    account_id: str
    field: str
    object_level: str | None
    object_id: str | None
    happened_at: datetime | None
    value: str


def is_signed(body: bytes, signature: str, app_secret: str) -> bool:
    """Whether the app's secret signed exactly these bytes; compared in constant time."""
    digest = hmac.new(app_secret.encode(), body, sha256).hexdigest()
    return hmac.compare_digest(f"{_PREFIX}{digest}".encode(), signature.strip().encode())


def events_of(body: bytes) -> list[MetaEvent]:
    """The changes of ad accounts that a message tells, each once; of anything else none.

    `InputError` when it is not JSON.
    """
    try:
        message = json.loads(body, parse_constant=_refuse)
        if not isinstance(message, dict) or message.get("object") != "ad_account":
            return []
        return list({each.key: each for each in _events(message)}.values())
    except (ValueError, RecursionError) as error:
        raise InputError("The message is no JSON.") from error


def _events(message: Mapping[str, Any]) -> Iterator[MetaEvent]:
    for entry in _objects(message.get("entry")):
        # An id may be a JSON number, which Python keeps whole.
        account_id = _id(entry.get("id"))
        if account_id is None:
            continue
        for change in _objects(entry.get("changes")):
            field, value = change.get("field"), change.get("value")
            if isinstance(field, str) and field and isinstance(value, dict):
                yield _event(account_id, entry.get("time"), field, value)


def _event(account_id: str, time: object, field: str, value: Mapping[str, Any]) -> MetaEvent:
    text = storable_json(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False))
    content = json.dumps([account_id, str(time), field, text])
    id_name, level_name, level = _OBJECTS.get(field, ("id", "level", ""))
    told = value.get(level_name) if level_name else level
    is_status = field == "field_changed" and value.get("changed_fields") == [_EFFECTIVE_STATUS]
    return MetaEvent(
        key=sha256(content.encode()).hexdigest(),
        account_id=account_id,
        field=_EFFECTIVE_STATUS if is_status else _plain(field) or "unnamed",
        object_level=_level(told),
        object_id=_id(value.get(id_name)),
        happened_at=_instant(time),
        value=text,
    )


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _id(value: object) -> str | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    text = str(value).removeprefix("act_") if is_number or isinstance(value, str) else ""
    return text if fields.is_id(text) else None


def _level(value: object) -> str | None:
    """`AD_SET` and `adset` are the same."""
    return _plain(value.lower().replace("_", "")) or None if isinstance(value, str) else None


def _plain(text: str) -> str:
    """A word of Meta's as a column takes it."""
    return "".join(each for each in text if each.isalnum() or each == "_")[:_LONGEST_WORD]


def _instant(seconds: object) -> datetime | None:
    if not isinstance(seconds, int) or not 0 < seconds < _FAR_AWAY:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_LONGEST_WORD: Final = 64

_FAR_AWAY: Final = 10**11
"""Seconds since 1970 that no message is of; milliseconds would be."""
