from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actuals_pipeline.errors import UnexpectedPayload
from actuals_pipeline.meta import fields
from actuals_pipeline.meta.parse import parse_insights, parse_totals, sums_by_day

FETCHED_AT = datetime(2026, 3, 8, 12, 30, tzinfo=UTC)

INSIGHTS_COLUMNS = {
    "account_id": "str",
    "ad_id": "str",
    "report_date": "object",
    "campaign_id": "str",
    "campaign_name": "str",
    "adset_id": "str",
    "adset_name": "str",
    "ad_name": "str",
    "currency": "str",
    "attribution_setting": "str",
    "purchase_action_type": "str",
    "impressions": "Int64",
    "clicks": "Int64",
    "link_clicks": "Int64",
    "reach": "Int64",
    "spend": "object",
    "conversions": "Int64",
    "revenue": "object",
    "fetched_at": "datetime64[us, UTC]",
}
TOTALS_COLUMNS = [
    "account_id",
    "report_date",
    "currency",
    "impressions",
    "clicks",
    "reach",
    "spend",
    "conversions",
    "revenue",
    "purchase_action_type",
]
CLICK_WINDOWS = ["revenue_1d_click", "revenue_7d_click", "revenue_28d_click"]


def omni(_account_id: str) -> str:
    return "omni_purchase"


def payload(**values: object) -> dict[str, Any]:
    return {
        "account_id": "42",
        "account_currency": "EUR",
        "ad_id": "6142546123068",
        "date_start": "2026-03-07",
        "date_stop": "2026-03-07",
    } | values


def parsed(*payloads: dict[str, Any]) -> pd.DataFrame:
    return parse_insights(payloads, purchase_action_type=omni, fetched_at=FETCHED_AT)


def first(frame: pd.DataFrame) -> dict[str, Any]:
    return {str(name): frame[name].iloc[0] for name in frame.columns}


def test_a_row_seen_in_public_gives_its_figures() -> None:
    row = payload(
        spend="13899.48",
        impressions="32479",
        reach="20926",
        clicks="1293",
        actions=[
            {"action_type": "link_click", "value": "1311"},
            {"action_type": "omni_purchase", "value": "10", "7d_click": "9", "1d_view": "1"},
        ],
        action_values=[{"action_type": "omni_purchase", "value": "15742.14"}],
    )
    got = first(parsed(row))
    assert got["report_date"] == date(2026, 3, 7)
    assert (got["impressions"], got["clicks"], got["reach"]) == (32479, 1293, 20926)
    assert (got["spend"], got["conversions"]) == (Decimal("13899.48"), 10)
    assert got["revenue"] == Decimal("15742.14")


@pytest.mark.parametrize("payloads", [[], [payload(spend="1.00")]], ids=["none", "one"])
def test_columns_and_types_do_not_depend_on_the_rows(payloads: list[dict[str, Any]]) -> None:
    frame = parsed(*payloads)
    assert {str(name): str(kind) for name, kind in frame.dtypes.items()} == INSIGHTS_COLUMNS
    assert list(frame.columns) == list(INSIGHTS_COLUMNS)
    totals = parse_totals(payloads, purchase_action_type=omni)
    assert list(totals.columns) == [*TOTALS_COLUMNS, *CLICK_WINDOWS]
    assert {str(totals[name].dtype) for name in CLICK_WINDOWS} == {"object"}
    assert all(str(totals[name].dtype) == INSIGHTS_COLUMNS[name] for name in TOTALS_COLUMNS)


def test_a_count_that_meta_left_out_is_zero_but_reach_is_unknown() -> None:
    got = first(parsed(payload()))
    assert [got[name] for name in ("impressions", "clicks", "link_clicks", "conversions")] == [
        0
    ] * 4
    assert (got["spend"], got["revenue"]) == (Decimal(0), Decimal(0))
    assert got["reach"] is pd.NA


def test_a_whole_number_may_be_written_with_a_decimal_point() -> None:
    got = first(parsed(payload(impressions="12.0", actions=[omni_purchases("3.00")])))
    assert (got["impressions"], got["conversions"]) == (12, 3)


def omni_purchases(value: str) -> dict[str, str]:
    return {"action_type": "omni_purchase", "value": value}


def test_one_purchase_under_seven_names_is_one_purchase() -> None:
    aliases = fields.PURCHASE_ACTION_TYPES
    row = payload(
        actions=[{"action_type": alias, "value": "10"} for alias in aliases],
        action_values=[{"action_type": alias, "value": "15742.14"} for alias in aliases],
    )
    got = first(parsed(row))
    assert (got["conversions"], got["revenue"]) == (10, Decimal("15742.14"))


def test_click_windows_are_not_added_to_the_ad_sets_own_setting() -> None:
    entry = {"action_type": "omni_purchase", "1d_click": "1", "7d_click": "2", "28d_click": "3"}
    assert first(parsed(payload(actions=[entry])))["conversions"] == 0
    assert first(parsed(payload(actions=[entry | {"value": "2"}])))["conversions"] == 2


def test_a_total_tells_its_click_windows_apart() -> None:
    entry = {"action_type": "omni_purchase", "value": "9", "1d_click": "1.5", "7d_click": "2"}
    other = {"action_type": "purchase", "value": "9", "28d_click": "3"}
    got = parse_totals([payload(action_values=[entry, other])], purchase_action_type=omni)
    assert first(got[CLICK_WINDOWS]) == dict(
        zip(CLICK_WINDOWS, [Decimal("1.5"), Decimal(2), Decimal(0)], strict=True)
    )
    with pytest.raises(UnexpectedPayload, match=r"action_values\[omni_purchase\].1d_click is 7"):
        parse_totals([payload(action_values=[entry | {"1d_click": 7}])], purchase_action_type=omni)


def test_several_entries_of_the_chosen_type_add_up_exactly() -> None:
    entries = [
        {"action_type": "omni_purchase", "value": value} for value in ("0.1", "0.2", "-0.05")
    ]
    assert first(parsed(payload(action_values=entries)))["revenue"] == Decimal("0.25")


def test_sums_keep_more_digits_than_python_would() -> None:
    large, small = "123456789012345678.9", "0.000000000000000001"
    exact = Decimal("123456789012345678.900000000000000001")
    entries = [{"action_type": "omni_purchase", "value": value} for value in (large, small)]
    assert first(parsed(payload(action_values=entries)))["revenue"] == exact
    rows = [payload(spend=large), payload(spend=small)]
    assert sums_by_day(rows, purchase_action_type=omni)["2026-03-07"].spend == exact


def test_each_account_counts_its_own_purchase_type() -> None:
    actions = [
        {"action_type": "omni_purchase", "value": "5"},
        {"action_type": "offsite_conversion.custom.7", "value": "2"},
    ]
    chosen = {"42": "omni_purchase", "43": "offsite_conversion.custom.7"}
    rows = [payload(actions=actions), payload(account_id="43", actions=actions)]
    frame = parse_insights(rows, purchase_action_type=chosen.__getitem__, fetched_at=FETCHED_AT)
    assert frame["conversions"].tolist() == [5, 2]
    assert frame["purchase_action_type"].tolist() == list(chosen.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("impressions", "12.5"),
        ("impressions", "-1"),
        ("impressions", "1e5"),
        ("impressions", "1_000"),
        ("impressions", ""),
        ("impressions", 12),
        ("impressions", "9" * 19),
        ("impressions", "\N{ARABIC-INDIC DIGIT FIVE}"),
        ("clicks", "NaN"),
        ("inline_link_clicks", " 3"),
        ("reach", "3.0x"),
        ("spend", "NaN"),
        ("spend", "Infinity"),
        ("spend", "1e5"),
        ("spend", "-0.01"),
        ("spend", "1,000.00"),
        ("spend", "12.34\n"),
        ("spend", 12.34),
        ("account_currency", "eur"),
        ("account_currency", "EURO"),
        ("account_currency", None),
        ("date_start", "2026-02-30"),
        ("date_stop", "2026-03-08"),
        ("ad_id", 6142546123068),
        ("ad_name", 7),
        ("actions", {"action_type": "omni_purchase"}),
        ("actions", ["omni_purchase"]),
        ("actions", {}),
        ("action_values", ""),
        ("action_values", 0),
    ],
)
def test_a_malformed_value_is_refused_by_name(field: str, value: object) -> None:
    stop = {"date_stop": value} if field == "date_start" else {}
    with pytest.raises(UnexpectedPayload) as caught:
        parsed(payload(**{field: value}, **stop))
    message = str(caught.value)
    assert field in message
    assert repr(value)[:80] in message
    assert "act_42" in message
    assert caught.value.account_id == "42"


def test_a_malformed_purchase_is_refused_by_its_type() -> None:
    row = payload(actions=[{"action_type": "omni_purchase", "value": "1.5"}])
    with pytest.raises(UnexpectedPayload, match=r"ad 6142546123068, day 2026-03-07: actions\[omni"):
        parsed(row)


def test_names_that_postgres_cannot_store_are_made_storable() -> None:
    name = json.loads(r'"a\u0000b\ud83d and \ud83d\ude00, \u202etxt"')
    got = first(parsed(payload(ad_name=name)))["ad_name"]
    assert got == "a\ufffdb? and \N{GRINNING FACE}, \u202etxt"


def test_each_row_may_have_its_own_fetch_time() -> None:
    later = FETCHED_AT.replace(hour=13)
    frame = parse_insights(
        [payload(), payload()], purchase_action_type=omni, fetched_at=[FETCHED_AT, later]
    )
    assert frame["fetched_at"].tolist() == [FETCHED_AT, later]


def test_a_naive_fetch_time_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        parse_insights([payload()], purchase_action_type=omni, fetched_at=datetime(2026, 3, 8))  # noqa: DTZ001


READABLE: dict[str, dict[Any, Any]] = {
    "impressions": {None: 0, "0": 0, "12": 12, "3.0": 3, "007": 7, "9" * 18: int("9" * 18)},
    "reach": {None: None, "0": 0, "12": 12, "4.00": 4},
    "spend": {None: "0", "0": "0", "12.50": "12.50", "1": "1", "0.001": "0.001"},
    "ad_name": {None: None, "": "", "a\nb": "a\nb", "\0": "\ufffd"},
}
NO_NUMBERS: tuple[Any, ...] = (
    *("", "1\n2", "1\n", "\n1", " 1", "-1", "1e5", "NaN", "9" * 19, "\N{ARABIC-INDIC DIGIT FIVE}"),
    *(5, True, ["1"], {}),
)
UNREADABLE: dict[str, tuple[Any, ...]] = {
    "impressions": (*NO_NUMBERS, "1.5"),
    "reach": (*NO_NUMBERS, "1.5"),
    "spend": (*NO_NUMBERS, "1.", ".5"),
    "ad_name": (5, 0.5, False, ["a"], {"a": "b"}),
}


@pytest.mark.parametrize("field", READABLE)
@given(data=st.data())
def test_in_a_column_each_cell_is_read_as_if_it_stood_alone(
    field: str, data: st.DataObject
) -> None:
    meant = READABLE[field]
    cells = data.draw(st.lists(st.sampled_from(list(meant)), min_size=1, max_size=9))
    rows = [payload(ad_id=str(ad), **{field: cell}) for ad, cell in enumerate(cells)]
    read = [None if pd.isna(cell) else cell for cell in parsed(*rows)[field]]
    assert list(map(str, read)) == [str(meant[cell]) for cell in cells]

    ad = data.draw(st.integers(0, len(rows) - 1))
    for later in data.draw(st.sets(st.integers(ad, len(rows) - 1))) | {ad}:
        rows[later][field] = data.draw(st.sampled_from(UNREADABLE[field]))
    with pytest.raises(UnexpectedPayload) as caught:
        parsed(*rows)
    assert f"ad {ad}, day 2026-03-07: {field} is {rows[ad][field]!r}," in str(caught.value)


def test_many_payloads_may_come_one_by_one_and_the_offender_among_them_is_named() -> None:
    def payloads(last: str) -> Iterator[dict[str, Any]]:
        yield from (payload(ad_id=str(ad), clicks=str(ad)) for ad in range(1_234))
        yield payload(ad_id="1234", clicks=last)

    def parsed_one_by_one(last: str) -> pd.DataFrame:
        return parse_insights(payloads(last), purchase_action_type=omni, fetched_at=FETCHED_AT)

    frame = parsed_one_by_one("1234")
    assert frame["clicks"].tolist() == list(range(1_235))
    assert frame["ad_id"].tolist() == list(map(str, range(1_235)))
    with pytest.raises(UnexpectedPayload, match=r"ad 1234, day .*: clicks is 'x', not a whole"):
        parsed_one_by_one("x")


COUNTS = st.integers(0, 10**15)
AMOUNTS = st.decimals(0, 10**9, places=2)
REVENUES = st.decimals(-(10**9), 10**9, places=2)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
FIGURES = st.fixed_dictionaries(
    {
        "account_id": st.integers(1, 10**18).map(str),
        "ad_id": st.integers(1, 10**18).map(str),
        "report_date": st.dates(date(2020, 1, 1)),
        "campaign_name": NAMES,
        "ad_name": NAMES,
        "currency": st.from_regex(r"[A-Z]{3}", fullmatch=True),
        "impressions": COUNTS,
        "clicks": COUNTS,
        "link_clicks": COUNTS,
        "reach": st.none() | COUNTS,
        "spend": AMOUNTS,
        "conversions": COUNTS,
        "revenue": REVENUES,
    }
)


def rendered(figures: dict[str, Any]) -> dict[str, Any]:
    """The payload in which Meta would send `figures`: text, zeros and unknowns left out."""
    metrics = {
        "impressions": figures["impressions"],
        "clicks": figures["clicks"],
        "inline_link_clicks": figures["link_clicks"],
        "spend": figures["spend"],
    }
    row = payload(
        account_id=figures["account_id"],
        ad_id=figures["ad_id"],
        account_currency=figures["currency"],
        date_start=figures["report_date"].isoformat(),
        date_stop=figures["report_date"].isoformat(),
        campaign_name=figures["campaign_name"],
        ad_name=figures["ad_name"],
        **{name: str(value) for name, value in metrics.items() if value},
        **({} if figures["reach"] is None else {"reach": str(figures["reach"])}),
    )
    for field, value in (("actions", "conversions"), ("action_values", "revenue")):
        if figures[value]:
            number = str(figures[value])
            row[field] = [
                {"action_type": alias, "value": number} for alias in fields.PURCHASE_ACTION_TYPES
            ]
    return row


@settings(max_examples=50)
@given(st.lists(FIGURES, max_size=4))
def test_what_is_rendered_is_parsed_back(rows: list[dict[str, Any]]) -> None:
    payloads = json.loads(json.dumps([rendered(row) for row in rows]))
    frame = parsed(*payloads)
    for position, want in enumerate(rows):
        for name, value in want.items():
            got = frame[name].iloc[position]
            assert got is pd.NA if value is None else got == value
            if isinstance(value, Decimal) and value:
                assert str(got) == str(value)
