"""Webhook messages of Meta's: proven over their raw bytes, taken apart, each event once."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.errors import InputError
from actuals_pipeline.meta.webhooks import MetaEvent, events_of, is_signed

SECRET = "app-secret-of-the-tests"
STATUS = {
    "object_id": "120330000000000001",
    "object_type": "ad",
    "changed_fields": ["effective_status"],
}

few = settings(max_examples=50)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def message(field: str = "field_changed", value: Any = None, **entry: Any) -> bytes:
    change = {"field": field, "value": STATUS if value is None else value}
    told = {"id": "42", "time": 1_772_900_000, "changes": [change]} | entry
    return json.dumps({"object": "ad_account", "entry": [told]}).encode()


def one(body: bytes) -> MetaEvent:
    (event,) = events_of(body)
    return event


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_only_the_apps_secret_over_the_very_bytes_proves_a_message() -> None:
    body = message()
    assert is_signed(body, signature(body), SECRET)
    assert is_signed(body, f" {signature(body)}\n", SECRET)
    for other in ("", "sha256=", signature(body)[7:], signature(body, "another"), "sha256=é"):
        assert not is_signed(body, other, SECRET)
    # The same JSON, written otherwise.
    assert not is_signed(json.dumps(json.loads(body), indent=1).encode(), signature(body), SECRET)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("field_changed", STATUS, ("effective_status", "ad", "120330000000000001")),
        (
            "field_changed",
            STATUS | {"changed_fields": ["name"], "object_type": "adset"},
            ("field_changed", "adset", "120330000000000001"),
        ),
        (
            "with_issues_ad_objects",
            {"id": "12", "level": "AD_SET", "error_code": 1815869, "error_message": "«no»"},
            ("with_issues_ad_objects", "adset", "12"),
        ),
        (
            "creative_fatigue",
            {"ad_account_id": "42", "adgroup_id": "99", "creative_fatigue_level": "HIGH"},
            ("creative_fatigue", "ad", "99"),
        ),
        (
            "subscriptions",
            # Ids are numbers here, beyond what a float keeps whole.
            {"object_id": 120330000000000001, "object_type": "CAMPAIGN", "current_value": "1000"},
            ("subscriptions", "campaign", "120330000000000001"),
        ),
        ("something_new", {"a": 1}, ("something_new", None, None)),
    ],
)
def test_an_event_names_what_changed(field: str, value: Any, told: Any) -> None:
    event = one(message(field, value))
    assert (event.field, event.object_level, event.object_id) == told
    assert (event.account_id, event.happened_at) == (
        "42", datetime.fromtimestamp(1_772_900_000, UTC),
    )  # fmt: skip
    assert json.loads(event.value) == value


def test_an_event_is_the_same_however_often_and_with_whatever_it_is_told() -> None:
    event = one(message())
    turned = dict(reversed(STATUS.items()))
    assert one(message(value=turned, id=42)) == event
    twice = json.loads(message())
    twice["entry"] += twice["entry"]
    twice["entry"].append({"id": "43", "changes": [{"field": "f", "value": {}}]})
    told = events_of(json.dumps(twice).encode())
    assert [each.account_id for each in told] == ["42", "43"]
    assert told[0] == event
    others = [message(time=1_772_900_001), message(id="43"), message(value={**STATUS, "a": 1})]
    assert len({event.key, *(one(each).key for each in others)}) == 4


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b'{"a": NaN}', b"[" * 100_000, b"\x00"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        events_of(body)


def of_account(**entry: Any) -> dict[str, Any]:
    return {"object": "ad_account", "entry": [entry]}


CHANGE = {"field": "a", "value": {}}


@pytest.mark.parametrize(
    "told",
    [
        [],
        1,
        {"object": "page", "entry": [{"id": "1", "changes": [CHANGE]}]},
        {"object": "ad_account"},
        {"object": "ad_account", "entry": [1, {}]},
        of_account(id=True, changes=[CHANGE]),
        of_account(id="../x", changes=[CHANGE]),
        of_account(id="1", changes=[{"field": "", "value": {}}, {"field": "a", "value": 1}, 2]),
        of_account(id="1", changes={"field": "a"}),
    ],
)
def test_what_is_no_change_of_an_ad_account_is_no_event(told: Any) -> None:
    assert events_of(json.dumps(told).encode()) == []


def test_what_postgres_cannot_store_is_put_otherwise() -> None:
    event = one(message("with\0_\ud800issues", {"id": "1", "level": "A\0D", "text": "a\0b\ud800"}))
    assert (event.field, event.object_level) == ("with_issues", "ad")
    assert "\\u0000" not in event.value
    assert "\\ud800" not in event.value


@few
@given(anything, anything, anything)
def test_no_signed_json_breaks_it(field: Any, value: Any, time: Any) -> None:
    entry = {"id": "42", "time": time, "changes": [{"field": field, "value": value}, value]}
    body = json.dumps({"object": "ad_account", "entry": [entry]}).encode()
    for event in events_of(body):
        assert event.field
        json.loads(event.value)
