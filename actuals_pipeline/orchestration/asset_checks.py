"""What a check of an asset is, and how a step makes those of what it has stored.

A step checks its own tables, because a step of its own for each check took Dagster longer than the
check: four events with a transaction each, and the upstream's newest versions looked up again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from actuals_pipeline.orchestration.resources import WarehouseResource


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a check passed, how much it matters if not, and what else there is to say."""

    passed: bool
    severity: dg.AssetCheckSeverity
    metadata: Mapping[str, dg.MetadataValue[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence about the table of an asset, and what finds out whether it holds.

    A blocking check that fails with ERROR keeps everything downstream of its asset as it was.
    """

    asset: str
    name: str
    description: str
    examine: Callable[[dg.AssetExecutionContext, WarehouseResource], Verdict]
    is_blocking: bool = False

    @property
    def spec(self) -> dg.AssetCheckSpec:
        """The check as its asset declares it."""
        return dg.AssetCheckSpec(
            self.name, asset=self.asset, description=self.description, blocking=self.is_blocking
        )

    def result(
        self, context: dg.AssetExecutionContext, postgres: WarehouseResource
    ) -> dg.AssetCheckResult:
        """What came of it, on the partitions of the run."""
        verdict = self.examine(context, postgres)
        return dg.AssetCheckResult(
            asset_key=self.asset,
            check_name=self.name,
            passed=verdict.passed,
            severity=verdict.severity,
            metadata=verdict.metadata,
        )


def results(
    checks: Sequence[Check], context: dg.AssetExecutionContext, postgres: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """What came of those checks that the run asks for."""
    for check in checks:
        if check.spec.key in context.selected_asset_check_keys:
            yield check.result(context, postgres)
