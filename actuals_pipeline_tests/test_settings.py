from __future__ import annotations

import os
import traceback
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from actuals_pipeline.errors import SettingsError
from actuals_pipeline.settings import PROJECT_ROOT, SECRETS, Amount, Settings

TOKEN = "EAAB-not-for-you"
LONG_TOKEN = f"{TOKEN}-as-long-as-they-are"


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.from_environment({})
    assert settings.model_dump() == {
        "meta_access_token": SecretStr(""),
        "meta_ad_account_ids": (),
        "meta_app_id": "",
        "meta_app_secret": SecretStr(""),
        "meta_api_version": "v26.0",
        "meta_graph_url": "https://graph.facebook.com",
        "database_url": SecretStr(""),
        "home": PROJECT_ROOT / ".actuals",
        "start_date": date(2025, 1, 1),
        "time_zone_name": "UTC",
        "purchase_action_type": "omni_purchase",
        "status_filter": "all",
        "recent_days": 2,
        "week_days": 7,
        "month_days": 30,
        "min_age_hours": 24,
        "max_age_days": 30,
        "evaluation_days": 365,
        "ctr_tolerance": 0.2,
        "roas_tolerance": 0.15,
        "order_value_cv": 0.8,
        "reconciliation_tolerance": Decimal("0.005"),
        "backfill_days": None,
        "raw_retention_months": 37,
        "investment_budget": None,
        "investment_start": None,
        "exchange_rate_days": 7,
        "pacing_tolerance": Decimal("0.1"),
        "webhook_minutes": 15,
        "webhook_verify_token": SecretStr(""),
        "retrain_webhook": SecretStr(""),
        "retrain_secret": SecretStr(""),
        "alert_urls": SecretStr(""),
        "alert_repeat_hours": 24,
        "heartbeat_url": SecretStr(""),
        "api_token": SecretStr(""),
        "api_requests_per_minute": 600,
        "ui_password": SecretStr(""),
        "ui_read_only": False,
        "report_url": "http://127.0.0.1:8003/",
        "is_stand_in": False,
    }
    assert (PROJECT_ROOT / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("META_ACCESS_TOKEN", TOKEN, "meta_access_token", SecretStr(TOKEN)),
        ("META_AD_ACCOUNT_ID", "act_42", "meta_ad_account_ids", ("42",)),
        ("META_AD_ACCOUNT_ID", "43, act_42,,act_43 ,", "meta_ad_account_ids", ("43", "42")),
        ("META_APP_ID", "17", "meta_app_id", "17"),
        ("META_APP_SECRET", TOKEN, "meta_app_secret", SecretStr(TOKEN)),
        ("META_API_VERSION", "v27.0", "meta_api_version", "v27.0"),
        ("META_GRAPH_URL", "http://[::1]:80/x/", "meta_graph_url", "http://[::1]:80/x"),
        ("DATABASE_URL", "postgres://h/d", "database_url", SecretStr("postgres://h/d")),
        ("ACTUALS_HOME", "~/a", "home", Path.home() / "a"),
        ("ACTUALS_HOME", "a", "home", Path.cwd() / "a"),
        ("ACTUALS_START_DATE", "2024-02-29", "start_date", date(2024, 2, 29)),
        ("ACTUALS_TIMEZONE", "Asia/Tokyo", "time_zone_name", "Asia/Tokyo"),
        ("ACTUALS_PURCHASE_ACTION_TYPE", "purchase", "purchase_action_type", "purchase"),
        ("ACTUALS_RECENT_DAYS", "1", "recent_days", 1),
        ("ACTUALS_WEEK_DAYS", "90", "week_days", 90),
        ("ACTUALS_MONTH_DAYS", "35", "month_days", 35),
        ("ACTUALS_MIN_AGE_HOURS", "0", "min_age_hours", 0),
        ("ACTUALS_MAX_AGE_DAYS", "1", "max_age_days", 1),
        (
            "ACTUALS_RECONCILIATION_TOLERANCE",
            "0.001",
            "reconciliation_tolerance",
            Decimal("0.001"),
        ),
        ("ACTUALS_BACKFILL_DAYS", "4", "backfill_days", 4),
        ("ACTUALS_RAW_RETENTION_MONTHS", "1200", "raw_retention_months", 1200),
        (
            "ACTUALS_INVESTMENT_BUDGET",
            "EUR 5,000,000",
            "investment_budget",
            Amount("EUR", Decimal(5_000_000)),
        ),
        (
            "ACTUALS_INVESTMENT_BUDGET",
            " USD 5000000.50 ",
            "investment_budget",
            Amount("USD", Decimal("5000000.50")),
        ),
        ("ACTUALS_INVESTMENT_START", "2026-01-01", "investment_start", date(2026, 1, 1)),
        ("ACTUALS_EXCHANGE_RATE_DAYS", "0", "exchange_rate_days", 0),
        (
            "ACTUALS_RETRAIN_WEBHOOK",
            "https://h:8443/retrain/x?token=y",
            "retrain_webhook",
            SecretStr("https://h:8443/retrain/x?token=y"),
        ),
        ("ACTUALS_RETRAIN_SECRET", LONG_TOKEN, "retrain_secret", SecretStr(LONG_TOKEN)),
        ("ACTUALS_API_TOKEN", LONG_TOKEN, "api_token", SecretStr(LONG_TOKEN)),
        ("ACTUALS_STAND_IN", "1", "is_stand_in", True),
    ],
)
def test_each_variable_sets_one_thing(variable: str, text: str, name: str, value: object) -> None:
    settings = Settings.from_environment({variable: text, "SOMETHING_ELSE": "x"})
    assert settings.model_dump() == Settings.from_environment({}).model_dump() | {name: value}


def test_every_variable_is_explained_and_an_empty_one_is_as_good_as_none() -> None:
    variables = {str(field.alias): field for field in Settings.model_fields.values()}
    assert all(field.description for field in variables.values())
    assert all(
        name.startswith(("META_", "ACTUALS_", "DATABASE_URL", "ALERT_")) for name in variables
    )
    assert Settings.from_environment(dict.fromkeys(variables, "")) == Settings.from_environment({})


def test_the_processs_own_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "META_APP_ID", "17")
    assert Settings.from_environment().meta_app_id == "17"
    assert Settings.from_environment({}).meta_app_id == ""


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("META_ACCESS_TOKEN", f"{TOKEN} {TOKEN}", "it contains white space; copy the token again"),
        ("META_ACCESS_TOKEN", f"{TOKEN}\n", "it contains white space; copy the token again"),
        ("META_ACCESS_TOKEN", f"{TOKEN}…", "it contains a character of no token"),
        ("META_ACCESS_TOKEN", f"{TOKEN}\x1b", "it contains a character of no token"),
        ("META_APP_ID", TOKEN, "it is no app id; write the app's number"),
        ("META_AD_ACCOUNT_ID", LONG_TOKEN, "what it holds is no ad account id"),
        ("META_API_VERSION", LONG_TOKEN, "what it holds is no API version"),
        ("META_GRAPH_URL", f"https://h/?access_token={TOKEN}", "what it holds is no http(s)"),
        ("META_GRAPH_URL", f"https://u:{TOKEN}@h/v26.0", "what it holds is no http(s)"),
        ("META_AD_ACCOUNT_ID", "act_", "'' is no ad account id; write act_ and digits"),
        ("META_AD_ACCOUNT_ID", "act_42;act_43", "'42;act_43' is no ad account id"),
        ("META_AD_ACCOUNT_ID", "42²", "'42²' is no ad account id"),
        ("META_API_VERSION", "26.0", "'26.0' is no API version such as v26.0"),
        ("META_API_VERSION", "v26.0/me", "'v26.0/me' is no API version"),
        ("META_GRAPH_URL", "graph.facebook.com", "is no http(s) address such as https://"),
        ("META_GRAPH_URL", "https://h/?q=1", "is no http(s) address"),
        ("META_GRAPH_URL", "https:// h", "is no http(s) address"),
        ("ACTUALS_HOME", "~nobody-has-this-name/a", "nobody here has the home ~nobody"),
        ("ACTUALS_START_DATE", "2025-02-29", "'2025-02-29' is not a day; write it as YYYY-MM-DD"),
        ("ACTUALS_START_DATE", "2026-W01-1", "'2026-W01-1' is not a day"),
        ("ACTUALS_TIMEZONE", "Berlin", "'Berlin' is not an IANA time zone such as Europe/Berlin"),
        ("ACTUALS_PURCHASE_ACTION_TYPE", "act_42=purchase", "the first part is the action type"),
        ("ACTUALS_PURCHASE_ACTION_TYPE", ",act_42=purchase", "the first part is the action type"),
        ("ACTUALS_PURCHASE_ACTION_TYPE", "a,b", "'b' is not of the form act_42=purchase"),
        ("ACTUALS_PURCHASE_ACTION_TYPE", "a,act_x=b", "'act_x=b' is not of the form"),
        ("ACTUALS_RECENT_DAYS", "0", "greater than or equal to 1"),
        ("ACTUALS_WEEK_DAYS", "91", "less than or equal to 90"),
        ("ACTUALS_MONTH_DAYS", "many", "valid integer"),
        ("ACTUALS_MIN_AGE_HOURS", "-1", "greater than or equal to 0"),
        ("ACTUALS_MAX_AGE_DAYS", "0", "greater than or equal to 1"),
        ("ACTUALS_RECONCILIATION_TOLERANCE", "1.1", "less than or equal to 1"),
        ("ACTUALS_RECONCILIATION_TOLERANCE", "NaN", "finite number"),
        ("ACTUALS_RECONCILIATION_TOLERANCE", "0.5 %", "'0.5 %' is no number; write 0.005 for that"),
        ("ACTUALS_CTR_TOLERANCE", "20%", "'20%' is no number; write 0.2 for that"),
        ("ACTUALS_ROAS_TOLERANCE", "a fifth", "'a fifth' is no number; write 0.2 for 20 %"),
        ("ACTUALS_BACKFILL_DAYS", "0", "greater than or equal to 1"),
        ("ACTUALS_RAW_RETENTION_MONTHS", "0", "greater than or equal to 1"),
        ("ACTUALS_RAW_RETENTION_MONTHS", "1201", "less than or equal to 1200"),
        ("ACTUALS_INVESTMENT_BUDGET", "5,000,000", "'5,000,000' is no currency and amount above"),
        ("ACTUALS_INVESTMENT_BUDGET", "5,000,000 EUR", "such as EUR 5,000,000"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUR 5.000.000", "'EUR 5.000.000' is no currency"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUR 5,00", "'EUR 5,00' is no currency"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUR 0", "'EUR 0' is no currency and amount above zero"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUR -5", "'EUR -5' is no currency and amount"),
        ("ACTUALS_INVESTMENT_BUDGET", "€ 5", "'€ 5' is no currency and amount"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUD 5", "'EUD 5' is no currency and amount"),
        ("ACTUALS_INVESTMENT_BUDGET", "EUR 5٣", "is no currency and amount"),
        ("ACTUALS_INVESTMENT_BUDGET", LONG_TOKEN, "what it holds is no currency and amount"),
        ("ACTUALS_INVESTMENT_START", "01.01.2026", "'01.01.2026' is not a day"),
        ("ACTUALS_EXCHANGE_RATE_DAYS", "32", "less than or equal to 31"),
        ("ALERT_URLS", f"h/{TOKEN}", "it does not begin with an address such as slack://"),
        ("ACTUALS_ALERT_REPEAT_HOURS", "0", "greater than or equal to 1"),
        ("ACTUALS_HEARTBEAT_URL", f"h/{TOKEN}", "it is no http(s) address such as"),
        ("ACTUALS_RETRAIN_WEBHOOK", f"h/{TOKEN}", "it is no http(s) address such as"),
        ("ACTUALS_RETRAIN_WEBHOOK", f"https://u:{TOKEN}@h/", "it is no http(s) address"),
        ("ACTUALS_RETRAIN_SECRET", TOKEN[:15], "it has fewer than 16 characters, or spaces"),
        ("ACTUALS_API_TOKEN", LONG_TOKEN[:15], "it has fewer than 16 characters, or some"),
        ("ACTUALS_API_TOKEN", f"{LONG_TOKEN} ", "openssl rand -hex 32"),
        ("ACTUALS_RETRAIN_SECRET", f"{LONG_TOKEN} ", "openssl rand -hex 32"),
        ("ACTUALS_STAND_IN", "perhaps", "valid boolean"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_variable(
    variable: str, text: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"META_APP_SECRET": TOKEN, variable: text})
    message = str(caught.value)
    assert message.startswith(f"{variable} cannot be used: ")
    assert reason in message
    assert message.endswith(".")
    assert "\n" not in message
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_secrets_are_not_shown() -> None:
    names = (
        *("META_ACCESS_TOKEN", "META_APP_SECRET", "DATABASE_URL"),
        *("ACTUALS_RETRAIN_SECRET", "ACTUALS_API_TOKEN"),
    )
    address = {
        "ACTUALS_RETRAIN_WEBHOOK": f"https://h/{TOKEN}",
        "ACTUALS_HEARTBEAT_URL": f"https://h/{TOKEN}",
        "ALERT_URLS": f"json://h/{TOKEN}",
    }
    settings = Settings.from_environment(dict.fromkeys(names, TOKEN) | address)
    for shown in (repr(settings), str(settings), str(settings.model_dump()),
                  settings.model_dump_json()):  # fmt: skip
        assert "EAAB" not in shown
    assert settings.meta_access_token.get_secret_value() == TOKEN


def test_settings_do_not_change() -> None:
    settings = Settings.from_environment({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.recent_days = 3


def test_the_zone_is_the_one_named() -> None:
    assert Settings.from_environment({"ACTUALS_TIMEZONE": "Asia/Tokyo"}).zone.key == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("text", "of_42", "of_43"),
    [
        ("omni_purchase", "omni_purchase", "omni_purchase"),
        ("purchase,act_42=lead", "lead", "purchase"),
        (" purchase , 42=lead,act_43=a=b", "lead", "a=b"),
        ("purchase,act_42=lead,act_42=late", "late", "purchase"),
    ],
)
def test_an_account_may_count_another_action_as_a_purchase(
    text: str, of_42: str, of_43: str
) -> None:
    settings = Settings.from_environment({"ACTUALS_PURCHASE_ACTION_TYPE": text})
    assert settings.purchase_action_type_of("42") == of_42
    assert settings.purchase_action_type_of("43") == of_43


META: dict[str, Any] = {"META_ACCESS_TOKEN": TOKEN, "META_AD_ACCOUNT_ID": "42"}


@pytest.mark.parametrize("missing", META)
def test_a_command_that_asks_meta_says_what_it_lacks(missing: str) -> None:
    settings = Settings.from_environment(META | {missing: ""})
    with pytest.raises(SettingsError, match=rf"^{missing} is missing; put .*\.$"):
        settings.require_meta()


def test_a_token_and_an_account_are_all_that_meta_needs() -> None:
    settings = Settings.from_environment(META)
    assert settings.require_meta() is settings


def test_each_secret_may_be_in_a_file(tmp_path: Path) -> None:
    assert {"DATABASE_URL", "META_ACCESS_TOKEN", "META_APP_SECRET", "ACTUALS_API_TOKEN"} < SECRETS
    words = {name: f"https://example.com/{name}" for name in SECRETS - {"ACTUALS_API_TOKEN"}}
    words["ACTUALS_API_TOKEN"] = "0123456789abcdef"
    environment = {}
    for name, word in words.items():
        # As an editor leaves it, which ends each line.
        (tmp_path / name).write_text(f"{word}\n")
        environment[f"{name}_FILE"] = str(tmp_path / name)
    assert Settings.from_environment(environment) == Settings.from_environment(words)


def test_a_secret_in_two_places_or_in_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / LONG_TOKEN
    named = {"META_ACCESS_TOKEN_FILE": str(path)}
    unusable = "META_ACCESS_TOKEN_FILE cannot be used: the file that it names "

    def refused(environment: dict[str, str]) -> str:
        with pytest.raises(SettingsError) as told:
            Settings.from_environment(environment)
        assert TOKEN not in str(told.value)
        return str(told.value)

    assert refused(named) == f"{unusable}cannot be read (No such file or directory)."
    assert (
        refused({"META_ACCESS_TOKEN_FILE": "\0"}) == f"{unusable}cannot be read (this is no path)."
    )
    path.mkdir()
    assert refused(named) == f"{unusable}cannot be read (Is a directory)."
    path.rmdir()
    for held, why in (
        (b"", "the file that it names holds nothing."),
        (b"\n", "the file that it names holds nothing."),
        (b"\xff", "its file is no text in UTF-8."),
        (b"x" * 65_537, "the file that it names has more than 65536 bytes."),
    ):
        path.write_bytes(held)
        assert refused(named) == f"META_ACCESS_TOKEN_FILE cannot be used: {why}"
    path.write_text(LONG_TOKEN)
    both = refused({**named, "META_ACCESS_TOKEN": LONG_TOKEN})
    assert both == "META_ACCESS_TOKEN and META_ACCESS_TOKEN_FILE are both set: unset one of them."
    # What it holds is as good, or not, as in the variable.
    path.write_text(f"{TOKEN} {TOKEN}")
    assert "it contains white space" in refused(named)
    assert not Settings.from_environment(
        {"META_ACCESS_TOKEN_FILE": ""}
    ).meta_access_token.get_secret_value()
