"""The states of a model, and when something is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from actuals_pipeline.accuracy.drift.charts import charted
from actuals_pipeline.accuracy.drift.contract import CHARTED_WEEKS, STATES
from actuals_pipeline.accuracy.drift.retraining import (
    Action,
    Bounds,
    Cause,
    State,
    Week,
    action_for,
    history,
)
from actuals_pipeline.accuracy.drift.weeks import model_weeks
from actuals_pipeline.frames import check_frame
from actuals_pipeline_tests.accuracy.drift.made_up_models import (
    FIRST_MONDAY,
    ctr_models,
    histories,
)

FAR = date(2030, 1, 1)


def monday(number: int) -> date:
    return FIRST_MONDAY + timedelta(weeks=number)


def weeks(letters: str, first: int = 0) -> Sequence[Week]:
    """A week a letter: `a`bove, `b`etween, `c`alm, changed (`x`), too little (`-`)."""
    errors = {
        "a": Bounds(0.2, 0.15, 0.25),
        "b": Bounds(0.09, 0.05, 0.13),
        "c": Bounds(0.01, 0.0, 0.05),
        "x": Bounds(0.09, 0.05, 0.13),
        "-": Bounds(0.5, 0.4, 0.6),
    }
    return [
        Week(
            monday(number),
            letter != "-",
            {Cause.CALIBRATION: errors[letter]},
            monday(number - 2) if letter == "x" else None,
        )
        for number, letter in enumerate(letters, first)
    ]


def states(letters: str) -> str:
    """The first letter of the state after each week."""
    found = history({"ctr": weeks(letters)}).standings["ctr"]
    return "".join(each.state.value[0] for each in found)


@pytest.mark.parametrize(
    ("letters", "want"),
    [
        ("cccc", "oooo"),
        # Two of four are a warning, which ends when they are four weeks old.
        ("aabbbb", "wwwwwo"),
        # Three of the last four are asked about at once, then waited for.
        ("abaab", "wwwrc"),
        ("aaab", "wwrc"),
        # A week with too little in it changes nothing, neither way.
        ("a-a---a", "wwwwwwr"),
        ("aa-cc-a", "wwwwwww"),
        ("aabba", "wwwww"),
        # A change is asked about at once.
        ("bbx", "oor"),
        # Two calm weeks in a row end it, one does not.
        ("aaabcbcc", "wwrcccco"),
        ("aaacc", "wwrco"),
    ],
)
def test_the_states_week_by_week(letters: str, want: str) -> None:
    assert states(letters) == want


def test_a_breach_is_asked_about_once_however_long_it_lasts() -> None:
    found = history({"ctr": weeks("a" * 60)})
    (request,) = found.requests
    assert request.key("m", "1") == f"m:1:{monday(2)}"
    assert found.open_request == request
    assert found.standings["ctr"][-1].state is State.COOLDOWN
    assert found.standings["ctr"][-1].since == monday(3)


def test_what_is_over_is_open_no_more_and_may_come_again() -> None:
    found = history({"ctr": weeks("aaacccaaaa")})
    assert [each.breach_start for each in found.requests] == [monday(2), monday(8)]
    assert history({"ctr": weeks("aaaccc")}).open_request is None


def test_two_requests_are_two_weeks_apart() -> None:
    both = {"ctr": weeks("aaabb"), "roas": weeks("baaab")}
    found = history(both)
    assert [(each.week, set(each.causes)) for each in found.requests] == [
        (monday(2), {"ctr"}),
        # Breached a week after the other, and asked about a week later.
        (monday(4), {"roas"}),
    ]
    assert found.requests[1].breach_start == monday(3)
    assert [each.state for each in found.standings["roas"]][3:] == [State.BREACH, State.REQUESTED]


def test_two_metrics_that_breach_in_one_week_are_one_request() -> None:
    found = history({"ctr": weeks("aaa"), "roas": weeks("bbx")})
    (request,) = found.requests
    assert request.causes == {
        "ctr": frozenset({Cause.CALIBRATION}),
        "roas": frozenset({Cause.CHANGE}),
    }


def test_a_newer_version_with_enough_pairs_ends_the_cooldown() -> None:
    def newer(week: date) -> int:
        return 30 if week >= monday(6) else 29

    found = history({"ctr": weeks("aaabbbbbb")}, newer_pairs=newer)
    assert [each.state for each in found.standings["ctr"]][5:7] == [State.COOLDOWN, State.OK]
    assert found.open_request is None
    # Not in the two weeks after it was asked.
    early = history({"ctr": weeks("aaabb")}, newer_pairs=lambda _: 99)
    assert [each.state.value for each in early.standings["ctr"]][2:] == [
        *("requested", "cooldown", "ok")
    ]


def test_the_history_of_fewer_weeks_is_the_beginning_of_that_of_more() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        letters = "".join(random.choice(list("aabbccx-"), 30))
        whole = history({"ctr": weeks(letters)})
        for cut in (5, 12, 23):
            part = history({"ctr": weeks(letters[:cut])})
            assert part.standings["ctr"] == whole.standings["ctr"][:cut]
            assert part.requests == whole.requests[: len(part.requests)]


def test_errors_that_grow_with_what_is_bad_have_thresholds_of_their_own() -> None:
    good = {
        Cause.CALIBRATION: Bounds(0.0, 0.0, 0.05),
        Cause.SKILL: Bounds(-0.3, -0.4, -0.2),
        Cause.ERROR: Bounds(0.05, 0.0, 0.1),
        Cause.ENTROPY: Bounds(-0.02, -0.03, -0.01),
    }
    bad = {**good, Cause.SKILL: Bounds(0.1, 0.05, 0.15)}
    found = history({"ctr": [Week(monday(each), True, bad) for each in range(3)]})
    assert found.requests[0].causes == {"ctr": frozenset({Cause.SKILL})}
    over = [Week(monday(each), True, good if each > 2 else bad) for each in range(5)]
    assert history({"ctr": over}).standings["ctr"][-1].state is State.OK


def test_an_error_of_either_sign_is_bounded_by_its_size() -> None:
    assert Bounds.of_size(-0.2, -0.25, -0.15) == Bounds(0.2, 0.15, 0.25)
    assert Bounds.of_size(-0.02, -0.12, 0.08) == Bounds(0.02, 0, 0.12)


CALIBRATION, CHANGE = frozenset({Cause.CALIBRATION}), frozenset({Cause.CHANGE})


@pytest.mark.parametrize(
    ("causes", "known", "want"),
    [
        (frozenset(), {}, Action.WAIT),
        (frozenset(), {"is_worse_than_previous": True}, Action.WAIT),
        (CALIBRATION, {}, Action.RECALIBRATE),
        (CHANGE, {"is_ranking_lost": False}, Action.RECALIBRATE),
        (CALIBRATION, {"is_ranking_lost": True}, Action.RETRAIN),
        (CALIBRATION, {"was_recalibrated": True}, Action.RETRAIN),
        (CALIBRATION | {Cause.SKILL}, {}, Action.RETRAIN),
        (frozenset({Cause.ENTROPY}), {}, Action.RETRAIN),
        (frozenset({Cause.ERROR}), {}, Action.RETRAIN),
        (CALIBRATION | {Cause.ERROR}, {}, Action.RECALIBRATE),
        (CALIBRATION, {"is_worse_than_previous": True}, Action.ROLL_BACK),
        (CALIBRATION | {Cause.SKILL}, {"is_worse_than_previous": True}, Action.ROLL_BACK),
    ],
)
def test_the_cheapest_that_can_help_is_asked_for(
    causes: frozenset[Cause], known: dict[str, bool], want: Action
) -> None:
    action, reason = action_for(causes, **known)
    assert action is want
    assert reason.endswith(".")


def test_the_words_of_the_states_are_those_of_the_frames() -> None:
    assert [each.value for each in State] == list(STATES)


def test_a_stable_model_is_asked_about_less_than_once_in_two_years() -> None:
    charts = charted(model_weeks(ctr_models(runs=300, weeks=104), as_of=FAR), n_streams=2)
    check_frame(charts, CHARTED_WEEKS)
    assert charts["is_eligible"].mean() > 0.99
    asked = [len(each.requests) for each in histories(charts)]
    assert np.mean(asked) < 0.1


def test_a_fifth_too_much_is_asked_about_within_four_weeks_and_at_most_twice() -> None:
    made = ctr_models(runs=60, weeks=50, shifts_at=30, seed=2)
    found = histories(charted(model_weeks(made, as_of=FAR), n_streams=2))
    requests = [each.requests for each in found]
    delays = np.array([(each[0].week - monday(29)).days / 7 for each in requests if each])
    # At these volumes a fifth is over two standard deviations: CUSUM's median delay there is 4.
    assert len(delays) == 60
    assert delays.min() >= 1
    assert np.median(delays) <= 4
    assert (delays <= 4).mean() >= 0.95
    assert max(len(each) for each in requests) <= 2
    assert all(
        next(iter(each[0].causes.values())) <= {Cause.CHANGE, Cause.CALIBRATION}
        for each in requests
    )


def test_one_odd_week_is_no_drift() -> None:
    made = ctr_models(runs=20, weeks=30, seed=4)
    odd = made["matures_on"] == monday(20) + timedelta(days=2)
    made.loc[odd, "predicted_ctr"] *= 1.6
    charts = charted(model_weeks(made, as_of=FAR), n_streams=2)
    assert charts.loc[charts["week"] == monday(20), "z"].min() > 3
    assert [each.requests for each in histories(charts)] == [[]] * 20
