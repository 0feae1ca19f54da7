"""What a person reads: who made the figures, every digit, and names that cannot break out."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from actuals_pipeline.serving.printing import (
    print_ad,
    print_stats,
    print_status,
    print_summary,
    print_sync,
)
from actuals_pipeline.serving.terminal import one_line

WINDOW = {"since": "2026-03-01", "until": "2026-03-07"}
NOTICES = {"stand-in": "STAND-IN DATA: made up", "mixed": "PARTLY STAND-IN DATA: some of it"}

HOSTILE = "[red]sale[/red] \x1b[2J\x1b]0;title\x07\nevil \u202e [link=http://a.invalid]"
TAMED = "[red]sale[/red] �[2J�]0;title� evil � [link=http://a.invalid]"

Show = Callable[..., str]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Show:
    """What is printed of an answer where lines have 80 characters."""
    monkeypatch.setenv("COLUMNS", "80")

    def printed(printer: Callable[[Any], None], answer: dict[str, Any]) -> str:
        printer(answer)
        return capsys.readouterr().out

    return printed


def lines_of(printed: str) -> list[str]:
    """The lines, with one blank where columns are filled up with several."""
    return [" ".join(line.split()) for line in printed.splitlines()]


def money(**values: Any) -> dict[str, Any]:
    return {
        "currency": "EUR", "spend": 250, "revenue": 800.5, "roas": 3.2, "conversions": 45,
        "cpa": 5.56, "impressions": 50_000, "clicks": 750, "ctr_percent": 1.5,
        "settled_spend_share": 0.5,
    } | values  # fmt: skip


def model(**values: Any) -> dict[str, Any]:
    return {
        "model_name": "ranker", "model_version": "1", "prediction_accuracy": 92.4,
        "ctr_mae": 0.25, "roas_mae": 0.15, "n_ads": 2, "coverage_ads": 0.5, "as_of": "2026-03-07",
        "excluded": {"leaky": 1, "too_old": 0}, "is_provisional": True, "is_attested": None,
        "prediction_accuracy_ci95": [90.8, 94.1], "noise_ceiling": 93.0,
        "baseline_accuracy": 88.4, "accuracy_of_achievable": 0.87, "n_clusters": 12,
        "coverage_spend": None, "ctr_calibration": None,
    } | values  # fmt: skip


def summary(**values: Any) -> dict[str, Any]:
    return {
        "status": "success", "source": "meta", "window": WINDOW, "missing": [],
        "by_currency": [money()],
        "models": [model()],
        "reconciliation": [
            {"currency": "EUR", "verdict": "exact", "account_days": 7, "spend_difference": 0}
        ],
        "advice": None,
        "provisional": [], "overall": None, "daily": [], "investment": None,
    "budgets": None,
    } | values  # fmt: skip


SYNCED = {
    "total_ads": 1, "successful": 1, "failed": 0, "rate_limited": 0, "no_data": 0,
    "total_spend": 250, "total_revenue": None, "duration_seconds": 1.5,
}  # fmt: skip
STATS = {"total_fetches": 3, "success_rate": None, "spend_tracked_by_currency": {"EUR": 1234.5}}
SYNC = {"source": "meta", "window": WINDOW, "by_currency": [], "summary": SYNCED}
AD = {"source": "meta", "ad_id": "6001", "window": WINDOW, "actuals": {"ctr": 1.5, "reach": None}}
NO_AD = {"source": "meta", "window": WINDOW, "actuals": None, "message": "Not delivered yet."}
STATUS = {
    "source": "meta",
    "status": "unhealthy",
    "problems": ["Mend it."],
    "alerts": [
        {"rule": "drift", "severity": "warning", "message": "It drifts.", "advice": "Look."},
        {"rule": "stale_actuals", "severity": "critical", "message": "Mend", "advice": "it."},
    ],
    "scheduler": {"is_running": True, "last_summary": SYNCED, "fetcher_stats": STATS},
    "meta_events": {"last_24_hours": 0, "newest": []},
    "processes": [
        {"name": "daemon", "pid": 7, "since": "2026-03-08T06:00:00+00:00", "restarts": 0},
        {"name": "ui", "pid": None, "since": "2026-03-08T07:00:00+00:00", "restarts": 2},
    ],
}
ANSWERS: tuple[tuple[Callable[[Any], None], dict[str, Any]], ...] = (
    (print_summary, summary()),
    (print_sync, SYNC),
    (print_ad, AD),
    (print_ad, NO_AD),
    (print_status, STATUS),
    (print_stats, {"source": "meta", "stats": STATS}),
)


@pytest.mark.parametrize(
    ("printer", "answer"), ANSWERS, ids=["summary", "sync", "ad", "no ad", "status", "stats"]
)
def test_every_answer_begins_with_who_made_its_figures(
    printer: Callable[[Any], None], answer: dict[str, Any], show: Show
) -> None:
    for source, notice in NOTICES.items():
        assert show(printer, answer | {"source": source}).startswith(notice)
    for silent in ("meta", None):
        assert "STAND-IN" not in show(printer, answer | {"source": silent})


def test_a_summary_in_words_and_numbers(show: Show) -> None:
    lines = lines_of(show(print_summary, summary()))
    assert "EUR 250 800.50 3.20x 45 5.56 1.50 % 50%" in lines
    assert "ranker 1 92.4 % 0.250 pp 0.15x 2 50%" in lines
    said = (
        "ranker 1: on 2 provisional predictions (50% of the ads) accuracy was 92.4 % (95 %: 90.8 "
        "to 94.1), against 88.4 % for the account's own rates without a model and 93.0 % for a "
        "perfect forecaster at these volumes: 87% of the way."
    )
    assert said in " ".join(lines)
    assert "ranker 1 leaves out: 1 predicted after the launch." in lines
    assert "Spend reconciles with Meta's own totals to the cent on 7 account-days." in lines


def test_what_is_final_comes_first_and_is_told_as_the_sentence_that_may_be_quoted(
    show: Show,
) -> None:
    final = model(
        model_version="2", is_provisional=False, is_attested=True, n_ads=148, coverage_spend=0.97,
        ctr_calibration=1.018,
    )  # fmt: skip
    alike = final | {"model_version": "3", "prediction_accuracy_ci95": None}
    printed = show(print_summary, summary(models=[model(), final, alike]))
    lines, text = lines_of(printed), " ".join(lines_of(printed))
    assert "ranker 2: on 148 final predictions (97% of the spend) accuracy was 92.4 %" in text
    assert "Predicted over observed clicks were 1.02." in text
    assert "ranker 3: on 148 final predictions (97% of the spend) accuracy was 92.4 % (no" in text
    assert text.index("final and attested, as of") < text.index("since launch, provisional, as of")
    assert "ranker 2, ranker 3 each leave out: 1 predicted after the launch." in lines
    assert "provisional predictions" not in text


def test_a_difference_in_spend_is_shown_by_currency(show: Show) -> None:
    rows = [
        {"currency": "EUR", "verdict": "exact", "account_days": 6, "spend_difference": 0},
        {"currency": "EUR", "verdict": "gap", "account_days": 1, "spend_difference": 1234.5},
        {"currency": "JPY", "verdict": "within_tolerance", "account_days": 2,
         "spend_difference": 3},
    ]  # fmt: skip
    advice = "Try `none`."
    text = " ".join(lines_of(show(print_summary, summary(reconciliation=rows, advice=advice))))
    assert f"difference 3 JPY. {advice}" in text
    assert "on some of 9 account-days: 1 gap, difference 1,234.50 EUR; 2 within tolerance" in text


def test_of_many_accounts_that_may_still_change_the_extremes_are_told(show: Show) -> None:
    def young(n: int) -> list[dict[str, Any]]:
        return [
            {"account_id": str(at), "days": 28, "revenue_completeness": Decimal(at + 50) / 100,
             "conversions_completeness": None}
            for at in range(n)
        ]  # fmt: skip

    text = " ".join(lines_of(show(print_summary, summary(provisional=young(3)))))
    assert text.count("may still change: by now an expected") == 3
    text = " ".join(lines_of(show(print_summary, summary(provisional=young(40)))))
    assert "1120 days of 40 accounts may still change: by now an expected 50% to 89% of" in text
    assert "act_" not in text


def test_nothing_fetched_is_said_and_not_shown_as_no_delivery(show: Show) -> None:
    nothing = summary(status="empty", source=None, by_currency=[], models=[], reconciliation=[])
    assert show(print_summary, nothing | {"window": None}).startswith("Nothing was fetched yet")
    assert "of 2026-03-01 to 2026-03-07: run `actuals sync`" in show(print_summary, nothing)
    assert "no delivery" not in show(print_summary, nothing)
    assert "no delivery" in show(print_summary, summary(by_currency=[]))


def test_what_is_unknown_is_called_so_without_a_unit_and_currencies_are_not_added(
    show: Show,
) -> None:
    lines = lines_of(show(print_status, STATUS))
    assert "success rate unknown" in lines
    assert "spend tracked by currency 1,234.50 EUR" in lines
    assert "is running yes" in lines
    assert not [line for line in lines if line.startswith("total revenue")]
    assert [line for line in lines if "Mend it." in line] == ["Mend it."], "said once"
    assert "Look at drift: It drifts. Look." in lines
    assert "daemon runs as process 7 since 2026-03-08 06:00 UTC." in lines
    assert "ui is down since 2026-03-08 07:00 UTC, started again 2 times." in lines
    unknown = money(roas=None, cpa=None, ctr_percent=None, settled_spend_share=None)
    lines = lines_of(show(print_summary, summary(by_currency=[unknown])))
    assert "EUR 250 800.50 unknown 45 unknown unknown unknown" in lines


@pytest.mark.parametrize("columns", ["80", "40"])
def test_no_figure_is_cut_however_large_it_is(
    columns: str, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    yen = money(
        currency="JPY", spend=123_456_789_012, revenue=Decimal("3636753000000.0000000001"),
        conversions=32_500_000, cpa=360_424.24,
    )  # fmt: skip
    printed = show(print_summary, summary(by_currency=[yen]))
    row = "JPY 123,456,789,012 3,636,753,000,000.00 3.20x 32,500,000 360,424.24 1.50 % 50%"
    assert row in lines_of(printed)
    assert "…" not in printed
    revenue = {"revenue": Decimal("3636753000000.0000000001"), "currency": "EUR"}
    assert "3,636,753,000,000.0000000001 EUR" in show(print_ad, AD | {"actuals": revenue})


def test_a_name_is_printed_as_it_is_and_obeyed_by_nobody(show: Show) -> None:
    assert one_line(HOSTILE) == TAMED
    printed = show(print_summary, summary(models=[model(model_name=HOSTILE)]))
    assert f"{TAMED} 1 leaves out: 1 predicted after the launch." in " ".join(lines_of(printed))
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in printed
    # A long name takes more lines of its own, and its figures stay together.
    (row,) = [line for line in lines_of(printed) if "92.4 % 0.250 pp" in line]
    assert row.startswith("[red]sale[/red]")
    assert row.endswith(" 92.4 % 0.250 pp 0.15x 2 50%")


def test_a_sentence_of_meta_is_printed_as_it_is_and_obeyed_by_nobody(show: Show) -> None:
    printed = show(print_status, STATUS | {"problems": [HOSTILE]})
    assert TAMED in " ".join(lines_of(printed))
    printed = show(print_ad, NO_AD | {"message": HOSTILE})
    assert " ".join(lines_of(printed)) == TAMED
    named = {"source": "meta", "stats": {"last_error": HOSTILE}}
    assert TAMED in " ".join(lines_of(show(print_stats, named)))


def test_a_summary_says_when_no_accuracy_may_be_quoted(show: Show) -> None:
    sentence = "No accuracy may be quoted yet: none is both final and attested."
    final = {"is_provisional": False, "is_attested": True}
    for models, says_so in (
        ([model()], True),
        ([model(is_provisional=False, is_attested=False)], True),
        ([model(**final, n_ads=0)], True),
        ([model(), model(**final)], False),
        ([], False),
    ):
        assert (sentence in lines_of(show(print_summary, summary(models=models)))) == says_so
