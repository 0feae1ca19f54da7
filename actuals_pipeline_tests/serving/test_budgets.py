"""Planned budgets from a file, and what readers are told of all budgets."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from actuals_pipeline_tests.serving.conftest import Command, Insert, Stored

HEADER = "name,meta_account_id,meta_campaign_id,currency,amount,start_date,end_date\n"
SPRING = "Spring,act_42,,EUR,25000.50,2026-03-01,2026-05-31\n"

PLANNED = ("name", "meta_account_id", "meta_campaign_id", "currency", "amount", "start_date")


@pytest.fixture
def import_budgets(command: Command, in_own_folder: None) -> Any:
    def run(text: str) -> tuple[int, Any]:
        Path("budgets.csv").write_text(text, encoding="utf-8")
        result = command("budgets", "import", "budgets.csv", "--json")
        return result.exit_code, json.loads(result.stdout)

    return run


def counts(answer: dict[str, Any]) -> dict[str, int]:
    return {name: n for name, n in answer.items() if n and name != "bad_rows"}


def test_a_file_is_stored_and_the_same_again_changes_nothing(
    import_budgets: Any, stored: Stored
) -> None:
    year = "Whole year,,,EUR,400000,2026-01-01,2026-12-31\n"
    assert counts(import_budgets(HEADER + SPRING + year)[1]) == {"inserted": 2}
    assert {tuple(row.values()) for row in stored("budgets", *PLANNED)} == {
        ("Spring", "42", None, "EUR", Decimal("25000.50"), date(2026, 3, 1)),
        ("Whole year", None, None, "EUR", Decimal(400000), date(2026, 1, 1)),
    }
    assert counts(import_budgets(HEADER + SPRING + year)[1]) == {"unchanged": 2}
    more = SPRING.replace("25000.50", "30000")
    assert counts(import_budgets(HEADER + more + year)[1]) == {"updated": 1, "unchanged": 1}
    assert len(stored("budgets")) == 2


def test_bad_rows_are_named_and_good_ones_kept(import_budgets: Any, stored: Stored) -> None:
    bad = (
        "a,,,eur,1,2026-03-01,2026-05-31\n"
        'b,,,EUR,"1,000",2026-03-01,2026-05-31\n'
        "c,,,EUR,-1,2026-03-01,2026-05-31\n"
        "d,,,EUR,1,2026-05-31,2026-03-01\n"
        "e,,,EUR,1,31.3.2026,2026-05-31\n"
        "f,berlin,,EUR,1,2026-03-01,2026-05-31\n"
    )
    code, answer = import_budgets(HEADER + bad + SPRING + SPRING)
    assert code == 2
    assert [(row["line"], row["reason"]) for row in answer["bad_rows"]] == [
        (2, "currency 'eur' is no currency such as EUR"),
        (3, "amount '1,000' is no amount in EUR such as 25000.00"),
        (4, "amount '-1' is no amount in EUR such as 25000.00"),
        (5, "it ends (2026-03-01) before it starts (2026-05-31)"),
        (6, "start_date '31.3.2026' is no day such as 2026-03-07"),
        (7, "meta_account_id 'berlin' is no id of Meta's"),
        (9, "it is the same as line 8, which is kept"),
    ]
    assert [row["name"] for row in stored("budgets")] == ["Spring"]


def test_readers_are_told_what_to_look_at_first(command: Command, insert: Insert) -> None:
    none = command("budgets", "list")
    assert "actuals budgets import" in none.stdout
    insert("meta_account_totals")
    usual: dict[str, Any] = {"level": "adset", "kind": "daily", "budget": 700, "spend": 500}
    for at, verdict in enumerate(("on_track", "overspending", "paused")):
        reason = "a_day_beyond_its_limit" if verdict == "overspending" else "as_planned"
        insert(
            "budget_pacing",
            **usual,
            budget_id=str(at),
            name=f"[bold]Set {at}",
            verdict=verdict,
            reason=reason,
            highest_day_share=2.5,
        )
    insert(
        "budget_pacing", level="plan", kind="plan", budget_id="p", name="Spring", verdict="on_track"
    )
    listed = command("budgets", "list").stdout
    assert listed.index("Set 1") < listed.index("Spring") < listed.index("Set 2")
    assert "overspending: a day beyond its limit" in " ".join(listed.split())
    said = " ".join(command("summary").stdout.split())
    assert "1 overspending, 0 underspending, 2 on track, 1 paused, 0 unknown" in said
    assert "Overspent: ad set [bold]Set 1, EUR 500 spent, a day 2.50 times its budget" in said
    answer = json.loads(command("summary", "--json").stdout)["budgets"]
    assert answer["verdicts"] == {
        "overspending": 1, "underspending": 0, "on_track": 2, "paused": 1, "unknown": 0,
    }  # fmt: skip
    assert [(row["level"], row["id"]) for row in answer["listed"]] == [
        ("adset", "1"),
        ("plan", "p"),
    ]
    before = command("budgets", "list", "--as-of", "2020-01-01", "--json")
    assert json.loads(before.stdout) == {"as_of": None, "budgets": []}
