"""Each client's allowance of requests: all at once or spread, and bounded in memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.serving.http.request_rate import MOST_CLIENTS, RequestRate, client_of

SECOND = 1_000_000_000


class Clock:
    """A clock that stands, in nanoseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def test_an_allowance_is_used_up_at_once_and_refills_over_a_minute() -> None:
    clock = Clock()
    rate = RequestRate(60, clock)
    assert [rate.seconds_to_wait("a") for _ in range(60)] == [0] * 60
    assert rate.seconds_to_wait("a") == 1
    # Asking in vain costs nothing, and others have their own.
    assert rate.seconds_to_wait("a") == 1
    assert rate.seconds_to_wait("b") == 0
    clock.now += SECOND
    assert [rate.seconds_to_wait("a"), rate.seconds_to_wait("a")] == [0, 1]
    clock.now += 3600 * SECOND
    assert [rate.seconds_to_wait("a") for _ in range(61)] == [0] * 60 + [1]


@settings(max_examples=50)
@given(
    per_minute=st.integers(1, 2000),
    pauses=st.lists(st.integers(0, 90 * SECOND), max_size=30),
)
def test_never_more_than_an_allowance_and_its_refill_and_the_wait_told_is_enough(
    per_minute: int, pauses: list[int]
) -> None:
    clock = Clock()
    rate = RequestRate(per_minute, clock)
    let_through = 0
    for pause in pauses:
        clock.now += pause
        for _ in range(20):
            wait = rate.seconds_to_wait("a")
            let_through += not wait
            if wait:
                clock.now += round(wait * SECOND) + 1
                assert rate.seconds_to_wait("a") == 0
                let_through += 1
                break
    refilled = clock.now // (60 * SECOND // per_minute)
    assert let_through <= per_minute + refilled


def test_the_clients_remembered_are_bounded_and_the_busy_ones_kept() -> None:
    clock = Clock()
    rate = RequestRate(1, clock)
    assert rate.seconds_to_wait("busy") == 0
    for number in range(3 * MOST_CLIENTS):
        rate.seconds_to_wait(number)
        if number % 1000 == 0:
            assert rate.seconds_to_wait("busy") == 60
    assert len(rate) == MOST_CLIENTS


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_one_computer(host: str, client: str) -> None:
    assert client_of(host) == client
