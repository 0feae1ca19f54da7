"""From an empty database to figures that equal Meta's to the cent, by the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actuals_pipeline.graph_stand_in.world import World
from actuals_pipeline_tests.conftest import Actuals


@pytest.mark.usefixtures("product")
def test_a_sync_brings_exactly_what_meta_has(actuals: Actuals, world: World) -> None:
    done = actuals("sync", "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["status"] == "success"
