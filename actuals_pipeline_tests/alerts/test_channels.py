"""Messages through apprise to a real port, and what is said when one does not arrive."""

from __future__ import annotations

import json
import logging

import pytest

from actuals_pipeline.alerts import heartbeat
from actuals_pipeline.alerts.channels import addresses_in, channels_of
from actuals_pipeline.alerts.rules import Message
from actuals_pipeline.errors import SettingsError
from actuals_pipeline_tests.alerts.receiver import Receiver, receiver

SECRET = "a-secret-in-the-path"
MESSAGE = Message("failure", "actuals: 1 new", "Grüße an alle.\nZwei Zeilen.")


def address_of(here: Receiver) -> str:
    return here.url.replace("http://", "json://").replace("/hook", f"/{SECRET}")


def test_a_message_arrives_whole_through_apprise() -> None:
    with receiver([200]) as here:
        (channel,) = channels_of(address_of(here))
        assert channel.send(MESSAGE) is None
    ((_, body),) = here.got
    told = json.loads(body)
    assert (told["title"], told["message"], told["type"]) == (
        MESSAGE.title,
        MESSAGE.body,
        "failure",
    )


def test_a_failure_is_told_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    with receiver([500]) as here:
        (refused,) = channels_of(address_of(here))
        error = refused.send(MESSAGE)
    (gone,) = channels_of(address_of(here))
    silence = gone.send(MESSAGE)
    assert error == "it answered HTTP 500"
    assert silence == "no answer, or not the expected one"
    assert refused.name == "1 json"
    assert SECRET not in f"{caplog.text} {refused!r}"
    assert "in-the-url" not in caplog.text


def test_the_log_is_the_channel_without_addresses(caplog: pytest.LogCaptureFixture) -> None:
    (channel,) = channels_of(" ")
    assert (channel.name, channel.send(MESSAGE)) == ("log", None)
    assert MESSAGE.body in caplog.text


def test_a_comma_within_an_address_stays() -> None:
    urls = "mailto://u:p@h.org?to=a@b.org,c@d.org, json://h/x ,slack://a/b/c"
    assert addresses_in(urls) == [
        "mailto://u:p@h.org?to=a@b.org,c@d.org",
        "json://h/x",
        "slack://a/b/c",
    ]
    named = channels_of(urls.partition(" ,")[0])
    assert [each.name for each in named] == ["1 mailto", "2 json"]


@pytest.mark.parametrize("bad", [f"nothing://{SECRET}", f"slack://{SECRET}", "json://"])
def test_an_address_that_cannot_be_is_told_by_its_place(
    bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SettingsError, match="address 2 of 2 is none that apprise knows") as caught:
        channels_of(f"json://localhost/x,{bad}")
    assert SECRET not in f"{caught.value} {caplog.text}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(200, None), (204, None), (302, "it answered HTTP 302"), (500, "it answered HTTP 500")],
)
def test_a_heartbeat_is_one_get(answer: int, error: str | None) -> None:
    with receiver([answer]) as here:
        assert heartbeat.ping(here.url) == error
    assert len(here.got) == 1


def test_a_heartbeat_that_nobody_hears_is_told_without_the_address() -> None:
    with receiver([200]) as here:
        pass
    told = heartbeat.ping(here.url)
    assert told == "no answer (ConnectionError)"
