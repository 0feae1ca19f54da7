"""The page in a real browser: what is chosen reaches all of it, and anybody can use it."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Position, expect

from actuals_pipeline.report_days import DayWindow
from actuals_pipeline.serving import answers
from actuals_pipeline.serving.report import columns, reading, story
from actuals_pipeline.serving.report.contents import contents_of
from actuals_pipeline.serving.report.page import page_of
from actuals_pipeline.settings import Settings
from actuals_pipeline.warehouse.connection import Warehouse
from actuals_pipeline.warehouse.embedded import EmbeddedPostgres
from actuals_pipeline_tests.browser import small_world
from actuals_pipeline_tests.browser.chromium import accessibility_violations
from actuals_pipeline_tests.browser.conftest import Open
from actuals_pipeline_tests.browser.small_world import ADS, DAYS, HOSTILE, NOW, spend
from actuals_pipeline_tests.conftest import copied
from actuals_pipeline_tests.serving.conftest import insert_row
from actuals_pipeline_tests.serving.http.conftest import serving

SHOES = [ad for ad in ADS if not ad.is_of_hats]
HATS = [ad for ad in ADS if ad.is_of_hats]
ALL_DAYS = range(len(DAYS))

TALL = {"width": 1280, "height": 9000}
PHONE = {"width": 360, "height": 14_000}
"""Both so tall that each chart is near enough to be drawn."""


@pytest.fixture(scope="module")
def filled(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    """A database with the small world in it, that no test changes."""
    with copied(postgres_server, database_template) as url:
        small_world.fill(url)
        yield url


@pytest.fixture(scope="module")
def address(filled: str, drawing_home: Path) -> Iterator[str]:
    """Where the page of the small world is served."""
    with serving({"DATABASE_URL": filled, "ACTUALS_HOME": str(drawing_home)}) as api:
        yield f"{api.url}/"


@pytest.fixture
def shown(open_page: Open, address: str) -> Page:
    """The page on a usual screen, of whose charts those are drawn that are near."""
    return visit(open_page(), address)


@pytest.fixture
def drawn(open_page: Open, address: str) -> Page:
    """The page on a screen on which all of it is drawn."""
    page = visit(open_page(viewport=TALL), address)
    all_drawn(page)
    return page


def visit(page: Page, address: str, now: datetime = NOW) -> Page:
    """Open the page at an instant, and wait until it can be used."""
    page.clock.set_fixed_time(now)
    page.goto(address)
    expect(page.locator("#filters:not([hidden])")).to_be_attached()
    return page


def all_drawn(page: Page) -> None:
    """Wait until every chart is there."""
    there = ".drawing canvas, .drawing svg, .drawing.nothing"
    expect(page.locator(f"figure[data-chart]:not(:has({there}))")).to_have_count(0)


def texts(rows: Locator) -> list[list[str]]:
    """The cells of the rows that are shown."""
    return [row.locator("th, td").all_inner_texts() for row in rows.all() if row.is_visible()]


def table(page: Page, key: str) -> list[list[str]]:
    return texts(page.locator(f"#table-{key} tbody tr"))


def tile(page: Page, key: str) -> list[str]:
    return page.locator(f"#tile-{key} .value, #tile-{key} .other").all_inner_texts()


def euros(amount: Decimal) -> str:
    return f"{amount:,.2f} EUR"


def yen(amount: Decimal) -> str:
    return f"{amount:,.0f} JPY"


def test_what_was_spent_whether_it_reconciles_and_how_good_the_model_is_comes_first(
    shown: Page,
) -> None:
    leads = shown.locator(".leads .tile .value").all_inner_texts()
    assert leads == ["5,000.00 EUR", "No", "92.5 %"]
    assert tile(shown, "accuracy") == ["92.5 %", "95 % interval 90.5 to 94.5 %"]
    assert "of the spend) the accuracy of ranker 2 was 92.5 %" in shown.inner_text(".sentence")
    assert tile(shown, "spend") == [euros(spend(SHOES, ALL_DAYS)), yen(spend(HATS, ALL_DAYS))]
    assert tile(shown, "fetched") == ["30 min ago"]
    assert not shown.locator("#stale").is_visible()


def test_an_account_is_chosen_in_every_section_and_cleared_again(shown: Page) -> None:
    told = shown.locator("#main .tile, #main td, #main tbody th")
    whole = told.all_inner_texts()
    shown.select_option("select[name=account]", label="Hats (43)")
    assert tile(shown, "spend") == [yen(spend(HATS, ALL_DAYS))]
    for key in ("invested", "accuracy", "coverage"):
        assert shown.inner_text(f"#tile-{key} .note").endswith("; of all accounts")
    assert tile(shown, "reconciled") == ["No"]
    assert "15 of the 16 account-days" in shown.inner_text("#tile-reconciled .note")
    total = yen(spend(HATS, ALL_DAYS))
    meta = yen(spend(HATS, ALL_DAYS) + 5)
    (account,) = table(shown, "reconciled")
    assert account == ["Hats (43)", meta, total, account[3], "15 of 16", "1"]
    ((day, *_),) = table(shown, "gaps")
    assert day == str(DAYS[4])
    assert [row[0] for row in table(shown, "pacing")] == ["Budget of c3"]
    assert [row[0] for row in table(shown, "winners")] == ["Ad 30"]
    assert [row[0] for row in table(shown, "fetches")] == ["Hats (43)"]
    assert [row[0] for row in table(shown, "ads")] == ["Ad 30", "Ad 29"]
    assert shown.locator("#choices summary").text_content() == "Filters: Hats (43)"
    shown.select_option("select[name=account]", label="Shoes (42)")
    assert tile(shown, "reconciled") == ["To the cent"]
    # Nothing of it is in the table of gaps, which says so.
    assert table(shown, "gaps") == []
    shown.get_by_role("button", name="Clear").click()
    assert told.all_inner_texts() == whole


def test_a_campaign_and_a_model_are_chosen(shown: Page) -> None:
    shown.select_option("select[name=campaign]", label="Summer")
    summer = [ad for ad in SHOES if ad.row["campaign_name"] == "Summer"]
    assert tile(shown, "spend") == [euros(spend(summer, ALL_DAYS))]
    assert [row[0] for row in table(shown, "pacing")] == ["Budget of c2"]
    assert [row[0] for row in table(shown, "winners")] == ["Ad 27"]
    assert len(table(shown, "ads")) == len(summer)
    shown.select_option("select[name=model]", label="ranker 1")
    assert [row[0] for row in table(shown, "models")] == ["ranker 1"]
    assert tile(shown, "accuracy") == ["71.0 %", "95 % interval 69.0 to 73.0 %"]
    said = f"{len(summer)} predictions score 75.0 % on average"
    assert said in shown.inner_text("#chosen")
    title = shown.locator("#chart-ctr_scatter")
    title.scroll_into_view_if_needed()
    expect(title).to_have_text("Of 14 predictions of CTR 14 are too high")


def test_what_is_not_kept_by_campaign_says_of_what_it_is(shown: Page) -> None:
    notes = shown.locator("[data-wider]:not([hidden])")
    expect(notes).to_have_count(0)
    shown.select_option("select[name=campaign]", label="Summer")
    whats = ("Accuracy over time and the scores of the models are", "This is", "Reconciliation is")
    of_all = [f"{what} of all accounts, not only of what you chose." for what in whats]
    assert notes.all_inner_texts() == [
        *of_all,
        "Fetches are of all accounts, not only of what you chose.",
    ]
    assert shown.inner_text("#tile-reconciled .note").endswith("; of all accounts")
    shown.select_option("select[name=account]", label="Shoes (42)")
    assert notes.all_inner_texts() == of_all[:1]
    assert not shown.inner_text("#tile-reconciled .note").endswith("account")
    shown.select_option("select[name=campaign]", label="Summer")
    of_account = [
        f"{what} of the whole account, not only of what you chose."
        for what in (*whats[1:], "Fetches are")
    ]
    assert notes.all_inner_texts() == [*of_all[:1], *of_account]
    assert shown.inner_text("#tile-reconciled .note").endswith("; of the whole account")
    shown.get_by_role("button", name="Clear").click()
    expect(notes).to_have_count(0)


def test_days_are_chosen_in_the_ads_too_and_the_address_keeps_them(
    shown: Page, address: str
) -> None:
    shown.fill("input[name=since]", str(DAYS[2]))
    shown.fill("input[name=until]", str(DAYS[4]))
    three = [2, 3, 4]
    chosen = [euros(spend(SHOES, three)), yen(spend(HATS, three))]
    assert tile(shown, "spend") == chosen
    first, *_ = table(shown, "ads")
    assert first[:3] == [HOSTILE, euros(spend([ADS[27]], three)), euros(ADS[27].revenue(3))]
    assert [row[4] for row in table(shown, "reconciled")] == ["3 of 3", "2 of 3"]
    # Whoever is sent the address sees the same.
    kept = shown.url
    assert kept.startswith(f"{address}#")
    again = visit(shown.context.new_page(), kept)
    assert tile(again, "spend") == chosen
    assert again.input_value("input[name=until]") == str(DAYS[4])
    # What is wrong in an address is left out.
    other = visit(shown.context.new_page(), f"{address}#since=1999-01-01&account=7&model=&x=1")
    assert tile(other, "spend")[0] == euros(spend(SHOES, ALL_DAYS))


def test_a_page_of_very_many_ads_leads_to_that_of_the_chosen_days(
    open_page: Open, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MOST_AD_DAYS", 100)
    # Of days that no other test has asked for, so that it is made now.
    page = visit(open_page(), f"{address}?since={DAYS[1]}&until={DAYS[-1]}")
    expect(page.locator("#days-of-ads")).to_be_hidden()
    page.fill("input[name=since]", str(DAYS[2]))
    page.fill("input[name=until]", str(DAYS[4]))
    page.get_by_role("link", name=f"the page of {DAYS[2]} to {DAYS[4]}").click()
    expect(page.locator("#window")).to_contain_text(f"{DAYS[2]} to {DAYS[4]}")
    expect(page.locator("#table-ads tbody td").first).to_have_text(
        euros(spend([ADS[27]], [2, 3, 4]))
    )
    page.get_by_role("link", name="the newest days").click()
    expect(page.locator("#window")).to_have_text(f"{DAYS[0]} to {DAYS[-1]}")


def test_each_tile_leads_to_its_section_and_the_choice_stays(shown: Page) -> None:
    shown.select_option("select[name=account]", label="Hats (43)")
    kept = shown.url
    led = {}
    for each in shown.locator(".tile").all():
        each.get_by_role("link").click()
        led[each.get_attribute("id")] = shown.evaluate("document.activeElement.id")
    assert led == {
        "tile-invested": "budgets", "tile-spend": "money", "tile-reconciled": "reconciliation",
        "tile-accuracy": "predicted", "tile-revenue": "money", "tile-roas": "money",
        "tile-cpa": "money", "tile-coverage": "predicted", "tile-fetched": "health",
    }  # fmt: skip
    assert shown.url == kept


def test_each_chart_says_in_its_title_what_it_shows(drawn: Page) -> None:
    titles = {
        figure.get_attribute("data-chart"): figure.locator("h3").inner_text()
        for figure in drawn.locator("figure[data-chart]").all()
    }
    # Without the newest day, which is not over.
    now, before = spend(SHOES, range(8, 15)), spend(SHOES, range(1, 8))
    more = f"{100 * (now - before) / before:.0f} % more than in the 7 before"
    assert titles["spend"] == f"{euros(now / 7)} spent a day in the 7 days to 15 Mar, {more}"
    assert titles["revenue"].endswith(
        " earned a day in the 7 days to 15 Mar; late purchases still come"
    )
    assert re.fullmatch(
        r"ROAS of \d\.\d\d\N{MULTIPLICATION SIGN} in the 7 days to 15 Mar, "
        r"1\.\d\d\N{MULTIPLICATION SIGN} over all 16 days",
        titles["roas"],
    )
    assert titles["ctr_scatter"] == "Of 60 predictions of CTR 30 are right, 30 are too high"
    assert titles["roas_scatter"] == "Of 60 predictions of ROAS 60 cannot be told yet"
    assert titles["calibration"] == (
        "ranker 1 predicts 1.40 clicks for each that came; "
        "ranker 2 predicts 1.02 clicks for each that came"
    )
    assert titles["accuracy"] == (
        "ranker 2 scores 92.5 % of the 95.0 % that are possible (final, attested)"
    )
    assert titles["development"] == (
        "A day's revenue is known to 50 % on the day itself and to 80 % after 3 days"
    )
    assert titles["pacing"] == "Of 3 budgets 1 spends too much, 1 spends too little, 1 is on track"
    assert titles["quota"] == "At most 21.0 % of Meta's call limits was used up (the app's)"
    assert re.search("had 50.0 % of today's revenue", titles["restated"])
    drawn.select_option("select[name=account]", label="Hats (43)")
    expect(drawn.locator("#chart-pacing")).to_have_text("Of 1 budget 1 spends too little")
    # No title and no drawing is of what was not chosen.
    drawn.select_option("select[name=account]", label="Shoes (42)")
    expect(drawn.locator("#chart-pacing")).to_have_text(
        "Of 2 budgets 1 spends too much, 1 is on track"
    )
    expect(drawn.locator("#chart-quota")).to_have_text(
        "At most 12.5 % of Meta's call limits was used up (the account's)"
    )
    drawn.locator("[data-chart=quota] summary").click()
    ((_, account, *limits, _, _, _, _),) = texts(drawn.locator("[data-chart=quota] tbody tr"))
    assert (account, limits) == ("Shoes", ["12.5", "4"])


def test_one_row_is_told_first_by_the_tile_the_chart_and_the_summary(
    open_page: Open, database: str, drawing_home: Path, tmp_path: Path
) -> None:
    warehouse = Warehouse(database)

    small_world.fill(database)
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM actuals.model_accuracy")
    page = open_page(viewport=TALL)

    def told_first() -> tuple[str, str, str]:
        """The row as the summary has it, the tile's number and the chart's title."""
        file = tmp_path / "page.html"
        file.write_text(page_of(contents_of(reading.read(warehouse)), drawing_home).html, "utf-8")
        visit(page, file.as_uri())
        title = page.locator("#chart-accuracy")
        expect(title).to_contain_text("scores")
        window = DayWindow.inclusive(DAYS[-1], DAYS[-1])
        answer = answers.summary(warehouse, window, Settings.from_environment({}), NOW)
        row = answer["ml_accuracy"]
        accuracy = f"{row['prediction_accuracy']:.1f} %"
        said = f"{row['model_name']} {row['model_version']} scores {accuracy} of the 99.0 % that"
        assert said in title.inner_text()
        assert tile(page, "accuracy")[0] == accuracy
        return accuracy, page.inner_text("#tile-accuracy .note"), page.inner_text(".headline")

    def score(protocol: str, version: str, value: float, n_pairs: int) -> None:
        row = {
            "as_of_date": DAYS[-1], "protocol": protocol, "model_version": version,
            "prediction_accuracy": value, "noise_ceiling": 99.0, "n_pairs": n_pairs,
        }  # fmt: skip
        with psycopg.connect(database) as connection:
            insert_row(connection, "model_accuracy", row)

    unquoted = "No accuracy may be quoted yet: none is both final and attested."
    # Neither the best score nor the most ads come before what a figure is worth.
    score("launch_to_date", "1", 81.0, 40)
    score("launch_to_date", "2", 80.0, 60)
    accuracy, note, headline = told_first()
    assert (accuracy, note) == ("80.0 %", "ranker 2, since launch, provisional, on 60 ads")
    assert unquoted in headline
    assert "Provisional, since launch: ranker 2 80.0 %" in headline
    score("headline_unattested", "1", 60.0, 30)
    score("headline_unattested", "2", 95.0, 20)
    accuracy, note, headline = told_first()
    assert (accuracy, note) == ("60.0 %", "ranker 1, final, imported, unattested, on 30 ads")
    assert unquoted in headline
    assert "Final, imported, unattested: ranker 1 60.0 %" in headline
    score("headline", "2", 50.0, 10)
    accuracy, note, headline = told_first()
    assert (accuracy, note) == ("50.0 %", "ranker 2, final, attested, on 10 ads")
    assert unquoted not in headline


def test_an_ads_story_opens_with_its_evidence_and_gives_the_focus_back(shown: Page) -> None:
    opener = shown.get_by_role("button", name=HOSTILE)
    opener.focus()
    shown.keyboard.press("Enter")
    dialog = shown.get_by_role("dialog")
    expect(dialog.locator("pre")).to_be_visible()
    assert dialog.locator("h2").inner_text() == HOSTILE
    assert dialog.locator("h3").all_inner_texts() == [
        "Predictions, as they were received",
        "Predicted against actual",
        "Day by day",
        "What was known, and since when",
        f"As Meta answered, {DAYS[-1]}",
    ]
    predictions, compared, days, revisions = dialog.locator("table").all()
    assert len(texts(predictions.locator("tbody tr"))) == 2
    assert len(texts(compared.locator("tbody tr"))) == 2
    assert len(texts(days.locator("tbody tr"))) == len(DAYS)
    assert len(texts(revisions.locator("tbody tr"))) == 2 * len(DAYS)
    assert json.loads(dialog.locator("pre").inner_text()) == {"spend": "7"}
    assert accessibility_violations(shown, inside="dialog") == []
    shown.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_mark_of_a_chart_opens_the_story_of_its_ad(drawn: Page) -> None:
    canvas = drawn.locator("[data-chart=ctr_scatter] canvas")
    # The highest mark that is drawn as too high; what is no mark is paler.
    place = canvas.evaluate(
        """(canvas) => {
            const ink = getComputedStyle(document.documentElement).getPropertyValue('--over');
            const [red, green, blue] = ink.match(/[0-9a-f]{2}/g).map((two) => parseInt(two, 16));
            const { width, height } = canvas;
            const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
            const near = (at) => Math.abs(data[at] - red) + Math.abs(data[at + 1] - green)
                + Math.abs(data[at + 2] - blue) < 40 && data[at + 3] > 120;
            for (let at = 0; at < data.length; at += 4) if (near(at)) return at / 4;
        }"""
    )
    width = canvas.evaluate("(canvas) => canvas.width")
    at: Position = {"x": place % width, "y": place // width + 3}
    canvas.hover(position=at)
    expect(drawn.locator("#tooltip")).to_contain_text("Ad 30")
    expect(drawn.locator("#tooltip")).to_contain_text("5.60 %")
    canvas.click(position=at)
    expect(drawn.get_by_role("dialog").locator("h2")).to_have_text("Ad 30")


def downloaded(page: Page, button: Locator) -> bytes:
    with page.expect_download() as started:
        button.click()
    return Path(started.value.path()).read_bytes()


def test_what_is_shown_can_be_taken_along(drawn: Page) -> None:
    drawn.select_option("select[name=account]", label="Shoes (42)")
    figure = drawn.locator("[data-chart=spend]")
    text = downloaded(drawn, figure.get_by_role("button", name="CSV")).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["day"] for row in rows] == [str(day) for day in DAYS]
    assert [Decimal(row["spend"]) for row in rows] == [spend(SHOES, [day]) for day in ALL_DAYS]
    assert {row["state"] for row in rows[:6]} == {"settled"}
    text = downloaded(drawn, drawn.get_by_role("button", name="The ads as CSV")).decode("utf-8-sig")
    ads = list(csv.DictReader(io.StringIO(text)))
    assert len(ads) == len(SHOES)
    # A spreadsheet computes nothing of it.
    assert ads[0]["name"] == f"'{HOSTILE}"
    picture = downloaded(drawn, figure.get_by_role("button", name="PNG"))
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > 1500
    assert height > 400


def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    open_page: Open, address: str
) -> None:
    page = visit(open_page(viewport={"width": 1280, "height": 800}), address)
    seen = []
    for _ in range(18):
        page.keyboard.press("Tab")
        focus = page.evaluate(
            """() => {
                const at = document.activeElement;
                const box = at.getBoundingClientRect();
                const style = getComputedStyle(at);
                return {
                    name: at.name || at.hash || at.textContent.trim(),
                    outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
                    inside: box.bottom > 0 && box.top < innerHeight && box.right > 0,
                };
            }"""
        )
        assert focus["outlined"], focus
        assert focus["inside"], focus
        seen.append(focus["name"])
    assert seen[0] == "#main"
    assert seen[1:10] == [
        *("#answers", "#money", "#predicted", "#maturing", "#reconciliation", "#budgets"),
        *("#best", "#all-ads", "#health"),
    ]
    # A date has three parts to tab through.
    assert list(dict.fromkeys(seen[10:])) == [
        "account", "campaign", "model", "currency", "since", "until",
    ][: len(dict.fromkeys(seen[10:]))]  # fmt: skip
    page.focus("a[href='#all-ads']")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "all-ads"
    sort = page.locator("#table-ads").get_by_role("button", name="Purchases")
    sort.focus()
    page.keyboard.press("Space")
    expect(page.locator("#table-ads th[aria-sort]")).to_have_text("Purchases")
    page.get_by_label("Find").fill("ad 07")
    assert [row[0] for row in table(page, "ads")] == ["Ad 07"]
    expect(page.locator("#announced")).to_have_text("1 ad")


def test_nothing_stands_in_the_way_of_anybody(open_page: Open, address: str) -> None:
    page = visit(open_page(viewport=TALL, color_scheme="dark"), address)
    all_drawn(page)
    page.locator("[data-chart=spend] summary").click()
    page.select_option("select[name=model]", label="ranker 1")
    assert accessibility_violations(page) == []


def test_a_phone_shows_all_of_it_without_scrolling_sideways(open_page: Open, address: str) -> None:
    page = visit(open_page(viewport=PHONE, has_touch=True), address)
    all_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert not page.locator("select[name=account]").is_visible()
    page.locator("#choices summary").click()
    page.select_option("select[name=account]", label="Hats (43)")
    assert tile(page, "spend") == [yen(spend(HATS, ALL_DAYS))]
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert accessibility_violations(page) == []


def test_bars_become_weeks_where_days_would_be_too_thin(drawn: Page) -> None:
    figure = drawn.locator("[data-chart=spend]")
    expect(figure.locator("figcaption p")).to_have_text("Spend by day, EUR.")
    drawn.set_viewport_size({"width": 160, "height": 20_000})
    expect(figure.locator("figcaption p")).to_have_text("Spend by week, EUR.")
    figure.locator("summary").click()
    expect(figure.locator("details table")).to_be_visible()
    weeks = [row[:3] for row in texts(figure.locator("details tbody tr"))]
    spans = [range(2), range(2, 9), range(9, 16)]
    assert weeks == [
        [str(DAYS[span[0]]), str(DAYS[span[-1]]), f"{spend(SHOES, span).normalize():f}"]
        for span in spans
    ]


def test_old_figures_say_so_and_what_to_do(open_page: Open, address: str) -> None:
    page = visit(open_page(), address, NOW + timedelta(hours=3))
    banner = page.locator("#stale")
    expect(banner).to_contain_text("Stale: the newest figures are 4 h old.")
    expect(banner).to_contain_text("actuals status")
    assert page.locator("#tile-fetched").get_attribute("data-state") == "bad"


def test_an_empty_installation_says_why_and_what_to_do(
    open_page: Open, database: str, drawing_home: Path
) -> None:
    with serving({"DATABASE_URL": database, "ACTUALS_HOME": str(drawing_home)}) as api:
        page = open_page()
        page.goto(f"{api.url}/")
        assert "Nothing was fetched yet." in page.inner_text("main")
        assert "actuals sync" in page.inner_text("main")
        assert accessibility_violations(page) == []


def test_a_day_is_the_accounts_whatever_the_readers_time_zone(
    open_page: Open, address: str
) -> None:
    for zone in ("America/Los_Angeles", "Pacific/Kiritimati"):
        page = visit(open_page(viewport=TALL, timezone_id=zone), address)
        all_drawn(page)
        page.locator("[data-chart=spend] summary").click()
        expect(page.locator("[data-chart=spend] details table")).to_be_visible()
        rows = texts(page.locator("[data-chart=spend] details tbody tr"))
        assert [row[0] for row in rows] == [str(day) for day in DAYS]
        assert page.input_value("input[name=since]") == str(DAYS[0])


def test_a_file_needs_nobody_and_says_what_it_has_not(
    open_page: Open, filled: str, drawing_home: Path, tmp_path: Path
) -> None:
    warehouse = Warehouse(filled)
    read = reading.read(warehouse)
    stories = {"6028": story.story_of(warehouse, "6028")}
    file = tmp_path / "page.html"
    file.write_text(page_of(contents_of(read), drawing_home, stories=stories).html, "utf-8")
    page = visit(open_page(viewport=TALL), file.as_uri(), datetime(2026, 4, 1, tzinfo=UTC))
    expect(page.locator("#stale")).to_contain_text("Make a new one with actuals report.")
    page.get_by_role("button", name=HOSTILE).click()
    expect(page.get_by_role("dialog").locator("pre")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Ad 27").click()
    expect(page.get_by_role("dialog")).to_contain_text("actuals report --ad 6027")
