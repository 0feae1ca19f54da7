"""A run that is killed, at whatever instant, leaves each account's day wholly old or wholly new.

`make test` kills a dozen, `make slow` two hundred and more.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from actuals_pipeline.orchestration.descriptions import META_POOL
from actuals_pipeline.report_days import DayWindow
from actuals_pipeline_tests.crashes.generations import Generations
from actuals_pipeline_tests.crashes.killing import Instant, Killer, told
from actuals_pipeline_tests.crashes.restated_world import RestatedWorld
from actuals_pipeline_tests.crashes.victims import KILLED, SUCCEEDED, Tier, Victims

Windows = tuple[tuple[Tier, int], ...]

QUICK: Windows = (("sync", 3), ("sync", 3), ("sync", 8), ("sync", 8), ("backfill", 33))
"""Trailing days of the runs: tiers of the schedule, and a backfill in two pieces."""

THOROUGH: Windows = (*QUICK, ("sync", 31), ("backfill", 93))

KILLS_BETWEEN_HEALINGS = 5


@dataclass
class Assault:
    """Runs that are killed one after the other while Meta goes on restating."""

    victims: Victims
    world: RestatedWorld
    generations: Generations
    killer: Killer
    chance: Random
    windows: Windows
    usual_seconds: float = 0

    def kill(self, number: int) -> Counter[str]:
        """Kill so many runs, look at the database after each, and heal now and then."""
        window = self._next_window(8)
        self.usual_seconds = self.victims.run(window, "sync")
        kills: Counter[str] = Counter()
        while kills.total() < number:
            tier, days = self.chance.choice(self.windows)
            was_at = self._kill_one(tier, self._next_window(days))
            if was_at is not None:
                kills[was_at] += 1
                if kills.total() % KILLS_BETWEEN_HEALINGS == 0:
                    self._heal(8)
        return kills

    def end(self) -> None:
        """A last run over every day that was ever asked for brings all of them up to date."""
        days = max(days for _, days in self.windows) + (self.world.now - self.world.born).days + 1
        self._heal(days)
        assert self.generations.forgotten(self.killer.database) == []

    def _next_window(self, days: int) -> DayWindow:
        """So many trailing days of a world that has moved on."""
        self.world.now += timedelta(hours=self.chance.randint(1, 9))
        window = DayWindow.trailing(self.world.now.date(), days)
        self.generations.remember(window)
        return window

    def _kill_one(self, tier: Tier, window: DayWindow) -> str | None:
        usual = self.usual_seconds * (3 if tier == "backfill" else 1)
        victim = self.victims.start(window, tier)
        was_at = self.killer.kill(victim, Instant.drawn(self.chance, usual))
        exit_code = victim.exit_code()
        # It may have ended by itself between the look at it and the kill.
        assert exit_code == SUCCEEDED or (exit_code == KILLED and was_at is not None)
        self._look()
        return was_at if exit_code == KILLED else None

    def _heal(self, days: int) -> None:
        window = self._next_window(days)
        self.victims.run(window, "sync")
        assert self.generations.behind(self.killer.database, window) == []
        self._look()

    def _look(self) -> None:
        assert self.generations.broken_laws(self.killer.database) == []
        self.generations.believe(self.killer.database)


@pytest.mark.parametrize(
    ("seed", "number", "windows"),
    [
        (1, 12, QUICK),
        *(pytest.param(seed, 45, THOROUGH, marks=pytest.mark.slow) for seed in range(2, 7)),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_a_killed_run_leaves_each_account_day_wholly_old_or_wholly_new(
    seed: int,
    number: int,
    windows: Windows,
    victims: Victims,
    world: RestatedWorld,
    generations: Generations,
    database: str,
    dagster_instance: dg.DagsterInstance,
) -> None:
    chance = Random(seed)  # noqa: S311 - instants, not secrets
    assault = Assault(victims, world, generations, Killer(database), chance, windows)
    kills = assault.kill(number)
    assault.end()
    # Shown when something fails, and by `make slow`.
    sys.stdout.write(f"seed {seed}, {told(kills)}\n")
    assert kills.total() - kills[""] >= number / 6, "kills that hit nothing prove nothing"

    statuses = Counter(run.status for run in dagster_instance.get_runs())
    assert set(statuses) == {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}
    pool = dagster_instance.event_log_storage.get_concurrency_info(META_POOL)
    assert (pool.claimed_slots, pool.pending_steps) == ([], [])
