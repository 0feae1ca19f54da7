"""Many callers at once, who remember what they were answered, and when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from statistics import quantiles

from actuals_pipeline_tests.serving.http.conftest import FETCH, Answer, Api


@dataclass(frozen=True)
class Asked:
    """One request: where, what came back, how many seconds it took."""

    path: str
    answer: Answer
    seconds: float

    @property
    def is_fetch(self) -> bool:
        return self.path.startswith(FETCH)


@dataclass
class Load:
    """`callers` ask for `paths` in turn, each from another one on, until they are stopped."""

    api: Api
    paths: Sequence[str]
    callers: int
    asked: list[Asked] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)

    def run(self, meanwhile: Callable[[], None]) -> None:
        """Let them ask for as long as `meanwhile` takes."""
        done = threading.Event()
        threads = [
            threading.Thread(target=self._caller, args=(number, done))
            for number in range(self.callers)
        ]
        for thread in threads:
            thread.start()
        try:
            meanwhile()
        finally:
            done.set()
            for thread in threads:
                thread.join(90)
        assert not any(thread.is_alive() for thread in threads)

    def _caller(self, number: int, done: threading.Event) -> None:
        turns = islice(cycle(self.paths), 7 * number, None)
        while not done.is_set():
            path, begun = next(turns), time.perf_counter()
            try:
                answer = self.api.asked("POST" if path.startswith(FETCH) else "GET", path)
            except Exception as error:  # noqa: BLE001 - the test's own thread says it
                self.broken.append(error)
                return
            self.asked.append(Asked(path, answer, time.perf_counter() - begun))
            if answer.status == 503:
                # Not the whole Retry-After, so that the moment of return is not missed.
                done.wait(0.2)

    def by_status(self) -> Mapping[tuple[int, str], int]:
        """How many answers there were of each status and code of an error."""
        return Counter(
            (each.answer.status, each.answer.body["error"]["code"] if _is_error(each) else "")
            for each in self.asked
        )

    def report(self) -> str:
        """A line of figures for each kind of request, and the count of each status."""
        lines = [f"{'request':<10}{'answers':>9}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}"]
        for name, is_fetch in (("fetch", True), ("read", False)):
            taken = [1000 * each.seconds for each in self.asked if each.is_fetch == is_fetch]
            points = quantiles(taken, n=100)
            middle = "".join(f"{points[percent - 1]:>8.0f}" for percent in (50, 95, 99))
            lines.append(f"{name:<10}{len(taken):>9}{middle}")
        return "\n".join([*lines, str(dict(self.by_status()))])


def _is_error(asked: Asked) -> bool:
    return asked.answer.status >= 400
