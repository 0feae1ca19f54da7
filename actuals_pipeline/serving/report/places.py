"""What can be chosen on the page, each account, campaign and model version by its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from actuals_pipeline.serving.report.reading import Reading, Row

NOWHERE = -1
"""The place of what cannot be chosen, such as an account that was never fetched whole."""


@dataclass(frozen=True, slots=True)
class Places:
    """Places by id, in the order of the page's choices; a model version's id is its name."""

    accounts: Mapping[str, int]
    campaigns: Mapping[str, int]
    models: Mapping[str, int]

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """The places of what was read."""
        scored = (
            row
            for name in ("models", "accuracy", "drift", "states", "pairs")
            for row in reading[name]
        )
        return cls(
            places_of(row["account_id"] for row in reading["accounts"]),
            places_of(row["campaign_id"] for row in reading["campaigns"]),
            places_of(model_of(row) for row in scored),
        )

    def account(self, row: Row) -> int:
        """The place of a row's account."""
        return self.accounts.get(row["account_id"], NOWHERE)

    def campaign(self, row: Row) -> int:
        """The place of a row's campaign, if it has one."""
        return self.campaigns.get(row.get("campaign_id", ""), NOWHERE)

    def model(self, row: Row) -> int:
        """The place of a row's model version."""
        return self.models[model_of(row)]


def places_of(names: Iterable[str]) -> dict[str, int]:
    """Each name's place in the order in which they came first."""
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def model_of(row: Row) -> str:
    """A model version, as it is shown."""
    return f"{row['model_name']} {row['model_version']}"
