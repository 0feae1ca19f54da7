"""The page says what the tables say, to the digit, and nothing that came in can run in it."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import queries
from actuals_pipeline.serving.report import reading, wording
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import in_script, script_text
from actuals_pipeline.serving.report.story import story_of
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline_tests.serving.conftest import Command, Insert, sentence_of
from actuals_pipeline_tests.serving.report.conftest import DAYS, HOSTILE, Render, data_of

ATTESTED = {
    "protocol": "headline", "prediction_accuracy": 92.46, "prediction_accuracy_low": 90.8,
    "prediction_accuracy_high": 94.1, "baseline_accuracy": 88.4, "noise_ceiling": 93.0,
    "n_pairs": 148, "n_predicted": 150, "coverage_spend": 0.97, "n_clusters": 12,
}  # fmt: skip


class Seen(HTMLParser):
    """The elements of a page, and its text outside of scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] not in {"script", "style"}:
            self.text.append(data)


def test_the_figures_are_those_of_the_tables_to_the_digit(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    # A single ad's fetch on a day on which its account was never fetched whole counts nowhere.
    insert("ad_actuals", account_id="44", ad_id="ad-44", spend=Decimal(999), report_date=DAYS[0])
    contents = contents_of(reading.read(warehouse))
    window = DayWindow.inclusive(DAYS[0], DAYS[-1])
    euros, yen = queries.money(warehouse, window)
    assert (euros.spend, yen.spend) == (Decimal("0.70"), Decimal("0.70"))
    tiles = {tile.key: tile for tile in contents.tiles}
    x330 = "3.30\N{MULTIPLICATION SIGN}"
    assert list(tiles["spend"].values) == ["0.70 EUR", "1 JPY"]
    assert list(tiles["revenue"].values) == ["2.31 EUR", "2 JPY"]
    assert list(tiles["roas"].values) == [f"{x330} in EUR", f"{x330} in JPY"]
    assert (euros.roas, euros.cpa) == (Decimal("3.3"), Decimal("0.1"))
    assert list(tiles["cpa"].values) == ["0.10 EUR", "0 JPY"]
    # Four of seven equal days are young.
    assert tiles["revenue"].note.startswith("57 % in EUR, 57 % in JPY of the spend")
    assert (tiles["reconciled"].values[0], tiles["reconciled"].state) == ("No", "bad")
    assert "gap 0.27 EUR" in tiles["reconciled"].note
    days = contents.data["days"]
    assert sum(map(Decimal, map(str, days["spend"]))) == euros.spend + yen.spend
    assert sum(days["settled"]) == 6
    assert contents.data["ads"]["id"] == ["ad-42", "ad-43"]


def test_money_has_the_digits_of_its_currency_and_the_unknown_a_word() -> None:
    assert wording.amount(Decimal("1234567.005"), "EUR") == "1,234,567.00 EUR"
    assert wording.amount(Decimal("-1234.5"), "JPY") == "\N{MINUS SIGN}1,234 JPY"
    assert wording.amount(Decimal("0.1234"), "KWD") == "0.123 KWD"
    assert wording.amount(None, "EUR") == wording.share(None) == wording.multiple(None) == "unknown"
    assert wording.share(Decimal("0.975")) == "98 %"


def test_nothing_that_came_in_with_a_name_can_run(render: Render, week: None) -> None:
    html = render(stories={"ad-42": {"parts": [], "payload": {"ad_name": HOSTILE}}})
    seen = Seen(html)
    scripts = [attributes for tag, attributes in seen.elements if tag == "script"]
    assert [each.get("type") for each in scripts] == ["application/json", None, None]
    assert not [tag for tag, _ in seen.elements if tag in {"b", "iframe", "object", "img"}]
    handlers = [name for _, each in seen.elements for name in each if name.startswith("on")]
    assert not handlers
    # It is all there all the same.
    assert HOSTILE in "".join(seen.text)
    data = data_of(html)
    assert data["ads"]["name"][0] == data["stories"]["ad-42"]["payload"]["ad_name"] == HOSTILE


def test_no_cell_of_a_csv_file_is_a_formula_to_a_spreadsheet() -> None:
    script = script_text()
    # The script's own expression, which means the same to Python.
    (expression,) = re.findall(
        r"const safe = /(.*?)/\.test\(text\) \? `'\$\{text\}` : text;", script
    )
    for text in ("=1+1", "+1", "-1+1", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n=1", "\t1"):
        assert re.search(expression, text), text
    for text in ("Spring", "2026-03-01", "act_42", "a=b"):
        assert not re.search(expression, text), text
    # Each cell of each row, the names of the columns included.
    assert script.count("cellOf") == 2
    assert 'row.map(cellOf).join(",")' in script
    assert script.count('"text/csv"') == 1


def test_json_in_a_script_ends_no_element_and_begins_no_comment() -> None:
    text = str(in_script({"<!--</script>&\u2028\u2029": "ä"}))
    assert not re.search("[<>&\u2028\u2029]", text)
    assert "ä" in text


def test_the_page_asks_nobody_and_its_policy_lets_no_other_script_run(
    render: Render, week: None
) -> None:
    html = render()
    addresses = {
        value
        for _, attributes in Seen(html).elements
        for name, value in attributes.items()
        if name in {"src", "href", "action", "srcset"}
    }
    assert {value for value in addresses if not str(value).startswith("#")} == {"data:,"}
    policy = next(
        each["content"] or ""
        for tag, each in Seen(html).elements
        if tag == "meta" and each.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == directives["connect-src"] == "'none'"
    bodies = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    hashes = {
        f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'"
        for body in bodies
    }
    assert len(bodies) == 2
    assert set(directives["script-src"].split()) == hashes


def test_the_same_tables_make_the_same_page(render: Render, week: None) -> None:
    assert render() == render()


def test_an_empty_database_says_why_and_what_to_do(render: Render) -> None:
    text = " ".join("".join(Seen(render()).text).split())
    assert "Nothing was fetched yet." in text
    assert "actuals sync" in text
    assert "actuals doctor" in text


def test_what_may_be_quoted_comes_with_its_interval_and_what_was_possible(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    insert("model_accuracy", **(ATTESTED | {"protocol": "headline_unattested", "n_pairs": 999}))
    headline = contents_of(reading.read(warehouse)).headline
    assert not headline.may_be_quoted
    assert headline.sentence == "No accuracy may be quoted yet: none is both final and attested."
    assert "before the launch" in headline.advice
    insert("model_accuracy", **ATTESTED)
    headline = contents_of(reading.read(warehouse)).headline
    assert headline.may_be_quoted
    assert headline.sentence == (
        "On 148 matured, pre-registered ad predictions (97 % of the spend) the accuracy of "
        "ranker 1 was 92.5 % (95 % interval 90.8 to 94.1 %), against 88.4 % for the account's "
        "own average and 93.0 % for a perfect forecaster at these volumes."
    )


@pytest.mark.parametrize("is_final", [False, True])
def test_a_pair_is_final_where_its_window_is_over(
    is_final: bool, warehouse: Warehouse, week: None, insert: Insert
) -> None:
    insert("model_accuracy")
    if is_final:
        insert(
            "prediction_accuracy", ad_id="ad-42", account_id="42", campaign_id="c42", video_id="v",
            prediction_id="p", status="eligible", ctr_status="ok", roas_status="ok",
            protocol="launch_d7", predicted_ctr=0.02, actual_ctr=0.0123, impressions=900,
            predicted_at="2026-02-27T00:00:00Z", matures_on=DAYS[-1],
        )  # fmt: skip
    pairs = contents_of(reading.read(warehouse)).data["pairs"]
    assert pairs["ad"] == ["ad-42"]
    assert pairs["ctr_final"] == [int(is_final)]
    assert pairs["ctr_was"] == [0.0123 if is_final else 0.02]
    assert (pairs["roas_final"], pairs["roas_was"]) == ([0], [3.3])


def test_what_was_known_of_a_day_adds_up_over_its_revisions(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    for ad_id, known, revenue in (("1", 2, 10), ("2", 2, 5), ("1", 4, 12), ("2", 5, None)):
        insert(
            "ad_actuals_revisions", account_id="42", ad_id=ad_id, report_date=DAYS[0],
            as_of_date=date(2026, 3, known), currency=revenue and "EUR",
            is_listed=revenue is not None, impressions=revenue and 1, revenue=revenue,
            spend=revenue and Decimal(1),
        )  # fmt: skip
    rows = reading.read(warehouse)["restated"]
    assert [(row["as_of_date"].day, row["revenue"]) for row in rows] == [(2, 15), (4, 17), (5, 12)]


def test_an_ads_story_has_its_days_revisions_and_what_meta_answered(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    insert("raw_meta_insights", account_id="42", ad_id="ad-42", payload='{"spend": "0.10"}')
    story = story_of(warehouse, "ad-42", 3)
    assert story is not None
    predictions, compared, days, revisions = story["parts"]
    assert (predictions["rows"], revisions["rows"]) == ([], [])
    assert [row["predicted_ctr"] for row in compared["rows"]] == [0.02]
    assert [row["report_date"] for row in days["rows"]] == [
        "2026-03-07",
        "2026-03-06",
        "2026-03-05",
    ]
    assert (days["rows"][0]["spend"], days["rows"][0]["is_settled"]) == ("0.10", "no")
    assert days["note"] == "The newest 3 of them."
    assert (story["payload"], story["payload_day"]) == ({"spend": "0.10"}, "2026-03-07")
    assert story_of(warehouse, "no such ad") is None


def test_the_command_writes_a_page_of_the_days_asked_for(
    command: Command, week: None, tmp_path: Path, drawing_home: Path
) -> None:
    out = tmp_path / "page.html"
    home = {"ACTUALS_HOME": str(drawing_home)}
    result = command(
        "report", "--since", "2026-03-02", "--until", "2026-03-03", "--out", str(out), **home
    )
    assert result.exit_code == 0, result.output
    assert "open it in a browser" in result.stdout
    data = data_of(out.read_text("utf-8"))
    assert (data["since"], data["until"]) == ("2026-03-02", "2026-03-03")
    assert sorted(data["stories"]) == ["ad-42", "ad-43"]
    assert list(tmp_path.glob(".*.html.*")) == []
    nowhere = command("report", "--out", str(tmp_path / "no" / "page.html"), **home)
    assert "name another file with --out" in sentence_of(nowhere)
    unknown = command("report", "--ad", "7", "--out", str(out), **home)
    assert "check the id given with --ad" in sentence_of(unknown)


def test_a_winners_row_has_its_rate_and_the_chance_that_it_is_the_best(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    for ad_id, chance in (("ad-42", 0.873), ("ad-44", 0.127)):
        insert(
            "winners", as_of_date=DAYS[-1], adset_id="s", metric="ctr", ad_id=ad_id, n_days=12,
            rate=0.03, low=0.02, high=0.04, p_best=chance, missing="more days",
            basis="observational", computed_at=datetime(2026, 3, 8, tzinfo=UTC),
        )  # fmt: skip
    table = contents_of(reading.read(warehouse)).tables["winners"]
    (row,) = table.rows
    told = dict(zip(table.head, row, strict=True))
    assert told == {
        "Ad": HOSTILE, "Metric": "CTR", "Rate": "3.00 %", "95 % interval": "2.00 % to 4.00 %",
        "P(best)": "87.3 %", "Days": "12", "Verdict": "not yet: it lacks more days",
    }  # fmt: skip


def test_each_accounts_last_fetch_is_told_with_how_it_ended(
    warehouse: Warehouse, week: None, insert: Insert
) -> None:
    for outcome, hour in (("failed", 6), ("complete", 7), ("refused", 8)):
        insert(
            "fetch_log", account_id="42", outcome=outcome, calls=3, rows=1234,
            started_at=datetime(2026, 3, 8, hour, tzinfo=UTC), throttled_seconds=61.0,
            account_quota_percent=12.5, app_quota_percent=40.0, error_message=outcome,
        )  # fmt: skip
    contents = contents_of(reading.read(warehouse))
    (row,) = contents.tables["fetches"].rows
    assert list(row[1:]) == [
        *("2026-03-08 08:00 UTC", "refused", "1,234", "3", "61 s", "12.5 %", "40.0 %", "refused")
    ]
    tile = next(each for each in contents.tiles if each.key == "fetched")
    assert tile.state == "bad"
    assert "42 failed" in tile.note
