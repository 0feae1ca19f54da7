from __future__ import annotations

import inspect
import pickle
import re
import traceback

import pytest

from actuals_pipeline import errors
from actuals_pipeline.errors import ActualsError, MetaError

CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, ActualsError)
]


def drawn_tree() -> dict[str, str]:
    """Each class of the tree that the module's docstring draws, with the one that it is under."""
    lines = re.findall(r"(?m)^( {4,})([A-Z]\w+)(?=  |$)", str(errors.__doc__))
    parents: dict[str, str] = {}
    branch: list[tuple[int, str]] = [(0, "Exception")]
    for indent, name in lines:
        while branch[-1][0] >= len(indent):
            branch.pop()
        parents[name] = branch[-1][1]
        branch.append((len(indent), name))
    return parents


def test_the_tree_that_is_drawn_is_the_one_that_is() -> None:
    assert drawn_tree() == {each.__name__: each.__mro__[1].__name__ for each in CLASSES}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_without_a_message_an_error_says_what_its_class_means(error: type[ActualsError]) -> None:
    meaning = str(error.__doc__)
    assert re.fullmatch(r"[A-Z][^\n]+\.", meaning)
    assert str(error()) == meaning
    assert str(error("The day is wrong.")) == "The day is wrong."
    # Inherited, it would say what the parent means.
    assert meaning != error.__mro__[1].__doc__


FACTS = {
    "account_id": "42",
    "code": 190,
    "subcode": 463,
    "http_status": 400,
    "request_id": "AbC",
    "retry_after": 61.5,
}


@pytest.mark.parametrize(
    "error", [each for each in CLASSES if issubclass(each, MetaError)], ids=lambda e: e.__name__
)
def test_what_meta_said_is_kept_as_facts_and_survives_another_process(
    error: type[MetaError],
) -> None:
    raised = pickle.loads(pickle.dumps(error("Refused.", **FACTS)))  # type: ignore[arg-type]  # noqa: S301
    assert type(raised) is error
    assert str(raised) == "Refused."
    assert {name: getattr(raised, name) for name in FACTS} == FACTS
    assert {getattr(error(), name) for name in FACTS} == {None}


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_an_error_shows_its_message_and_none_of_its_facts(error: type[ActualsError]) -> None:
    raised = error("Refused.")
    # A fact may come from a request, and a request carries the token.
    vars(raised)["request_id"] = "EAAB-not-for-you"
    told = "".join(traceback.format_exception(raised))
    assert told == f"actuals_pipeline.errors.{error.__name__}: Refused.\n"
    assert repr(raised) == f"{error.__name__}('Refused.')"
