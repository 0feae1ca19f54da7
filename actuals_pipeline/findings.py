"""What a health check found: one line that says ok, or what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from actuals_pipeline.errors import ActualsError

Verdict = Literal["ok", "warning", "problem"]
"""`warning`: works today, look at it; `problem`: figures are missing, wrong, or soon will be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: what was `seen`, and what to do about it, empty when ok.

    `name` is the check, the same in every version; `subject` is the account it is about, if any.
    """

    name: str
    verdict: Verdict
    seen: str
    advice: str = ""
    subject: str = ""

    @classmethod
    def of_error(cls, name: str, error: Exception, *, subject: str = "") -> Finding:
        """The problem that a check met instead of an answer; our errors say what to do."""
        advice = str(error) if isinstance(error, ActualsError) else f"{type(error).__name__}."
        return cls(name, "problem", "could not be checked", advice, subject)


def ok(name: str, seen: str, *, subject: str = "") -> Finding:
    """A check that found nothing to do."""
    return Finding(name, "ok", seen, subject=subject)


def warning(name: str, seen: str, advice: str, *, subject: str = "") -> Finding:
    """A check that found something to look at."""
    return Finding(name, "warning", seen, advice, subject)


def problem(name: str, seen: str, advice: str, *, subject: str = "") -> Finding:
    """A check that found something broken."""
    return Finding(name, "problem", seen, advice, subject)


def each_apart(
    checks: Iterable[tuple[str, Callable[[], Finding]]], caught: tuple[type[Exception], ...]
) -> Iterator[Finding]:
    """The finding of every check; one that raises is a problem and does not stop the others."""
    for name, check in checks:
        try:
            found = check()
        except caught as error:
            found = Finding.of_error(name, error)
        yield found


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict; ok when there is none."""
    verdicts = {finding.verdict for finding in findings}
    if "problem" in verdicts:
        return "problem"
    return "warning" if "warning" in verdicts else "ok"
