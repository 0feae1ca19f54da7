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
        match error:
            case ActualsError():
                return cls(name, "problem", "could not be checked", str(error), subject)
            case OSError():
                where = f" ({error.filename})" if error.filename else ""
                reason = error.strerror or type(error).__name__
                advice = f"Give this user access to it, or repair it: {reason}{where}."
            case _:
                # Its text may hold anything, a secret too.
                advice = f"This is a bug ({type(error).__name__}): report it."
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


def each_apart(checks: Iterable[tuple[str, Callable[[], Finding]]]) -> Iterator[Finding]:
    """The finding of every check; one that raises is a problem and does not stop the others."""
    for name, check in checks:
        yield from apart(name, lambda check=check: [check()])  # type: ignore[misc]


def apart(name: str, checks: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What `checks` find, or the one problem that they did not get to an end.

    Whatever it is that they raise: who asks about health must hear of everything else.
    """
    try:
        return list(checks())
    except Exception as error:  # noqa: BLE001
        return [Finding.of_error(name, error)]


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict; ok when there is none."""
    verdicts = {finding.verdict for finding in findings}
    if "problem" in verdicts:
        return "problem"
    return "warning" if "warning" in verdicts else "ok"
