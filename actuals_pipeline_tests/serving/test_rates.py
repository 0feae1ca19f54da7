"""Exchange rates from a file: all of it or nothing, and the last word on a day holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result

from actuals_pipeline_tests.serving.conftest import Command, Stored, sentence_of

Import = Callable[..., Result]

HEADER = "date,from,to,rate,source\n"


@pytest.fixture
def import_rates(command: Command, in_own_folder: None) -> Import:
    """Import the text of a file of rates."""

    def run(text: str, *options: str) -> Result:
        Path("rates.csv").write_text(text, "utf-8")
        return command("rates", "import", "rates.csv", *options)

    return run


def test_rates_are_stored_with_all_their_digits(import_rates: Import, stored: Stored) -> None:
    result = import_rates(HEADER + "2026-03-02,USD,EUR,0.923400000001,ECB\n2026-03-02,JPY,EUR,1,\n")
    assert (result.exit_code, result.stdout) == (0, "2 inserted, 0 updated, 0 unchanged\n")
    columns = ("rate_date", "from_currency", "to_currency", "rate", "source")
    assert [tuple(row.values()) for row in stored("exchange_rates", *columns)] == [
        (date(2026, 3, 2), "JPY", "EUR", Decimal(1), None),
        (date(2026, 3, 2), "USD", "EUR", Decimal("0.923400000001"), "ECB"),
    ]


def test_the_same_file_changes_nothing_and_another_rate_replaces(
    import_rates: Import, stored: Stored
) -> None:
    text = "date,from,to,rate\n2026-03-02,USD,EUR,0.92\n2026-03-03,USD,EUR,0.93\n"
    import_rates(text)
    before = stored("exchange_rates")
    again = json.loads(import_rates(text, "--json").stdout)
    assert again == {"inserted": 0, "updated": 0, "unchanged": 2}
    assert stored("exchange_rates") == before
    other = json.loads(import_rates(text.replace("0.93", "0.94"), "--json").stdout)
    assert other == {"inserted": 0, "updated": 1, "unchanged": 1}
    assert [row["rate"] for row in stored("exchange_rates", "rate")] == [
        Decimal("0.92"),
        Decimal("0.94"),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-3-2,USD,EUR,0.92", "'2026-3-2' is not a day; write it as YYYY-MM-DD"),
        (",USD,EUR,0.92", "'' is not a day"),
        ("2026-02-30,USD,EUR,0.92", "'2026-02-30' is not a day"),
        ("2026-03-02,usd,EUR,0.92", "from 'usd' is no currency such as EUR"),
        ("2026-03-02,USD,EURO,0.92", "to 'EURO' is no currency such as EUR"),
        ("2026-03-02,XXQ,EUR,0.92", "from 'XXQ' is no currency such as EUR"),
        ("2026-03-02,EUR,EUR,1", "from and to are both EUR, which needs no rate"),
        ("2026-03-02,USD,EUR,", "rate '' is no number above 0 such as 0.9234"),
        ("2026-03-02,USD,EUR,0", "rate '0' is no number above 0"),
        ("2026-03-02,USD,EUR,0.000", "rate '0.000' is no number above 0"),
        ("2026-03-02,USD,EUR,-1", "rate '-1' is no number above 0"),
        ("2026-03-02,USD,EUR,NaN", "rate 'NaN' is no number above 0"),
        ("2026-03-02,USD,EUR,1e3", "rate '1e3' is no number above 0"),
        ('2026-03-02,USD,EUR,"0,92"', "rate '0,92' is no number above 0"),
        ("2026-03-02,USD,EUR,0." + 19 * "1", "is no number above 0"),
        ("2026-03-01,USD,EUR,0.92", "it is of the same day and currencies as line 2"),
        ("2026-03-02,USD,EUR,0.92,a\0b", "source holds a NUL character"),
        ("2026-03-02,USD", "to '' is no currency"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_stored(
    import_rates: Import, stored: Stored, row: str, reason: str
) -> None:
    result = import_rates(f"{HEADER}2026-03-01,USD,EUR,0.91,\n{row}\n2026-03-04,USD,EUR,0.9,\n")
    sentence = sentence_of(result)
    assert sentence.startswith("rates.csv line 3: ")
    assert reason in sentence
    assert sentence.endswith("; nothing was stored.")
    assert stored("exchange_rates") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "rates.csv has no column date, from, rate, to"),
        ("date,from,to\n", "rates.csv has no column rate"),
    ],
)
def test_a_file_without_its_columns_is_refused(
    import_rates: Import, text: str, reason: str
) -> None:
    assert sentence_of(import_rates(text)).startswith(reason)


def test_what_was_imported_is_listed(import_rates: Import, command: Command) -> None:
    assert command("rates", "list").stdout == (
        "There are no exchange rates: bring some in with `actuals rates import`.\n"
    )
    import_rates(HEADER + "2026-03-02,USD,EUR,0.9230,[ECB]\n2026-03-01,JPY,EUR,0.0061,\n")
    (first, second) = json.loads(command("rates", "list", "--json").stdout)["rates"]
    assert (first["date"], first["from"], first["source"]) == ("2026-03-01", "JPY", None)
    assert (second["to"], second["rate"], second["source"]) == ("EUR", 0.923, "[ECB]")
    shown = " ".join(command("rates", "list").stdout.split())
    assert "2026-03-01 JPY 0.0061 EUR not said 2026-03-02 USD 0.9230 EUR [ECB]" in shown
