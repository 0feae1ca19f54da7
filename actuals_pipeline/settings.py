"""Every environment variable: name, type, unit, default, meaning.

A secret's variable may end in `_FILE` and name a file that holds it.
`Settings.from_environment()` validates and never connects; the `require_...` methods say in one
sentence which variable a command still needs.  `.env` is read by the command line only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from actuals_pipeline.currencies import CURRENCIES
from actuals_pipeline.errors import InputError, SettingsError
from actuals_pipeline.report_days import (
    MOST_RETENTION_MONTHS,
    RETENTION_MONTHS,
    SETTLED_AFTER_DAYS,
    parse_day,
    time_zone,
)

PROJECT_ROOT = Path(__file__).resolve().parent.parent

LONGEST_QUOTE = 24
"""Characters up to which a mistaken value is quoted: Meta's tokens and app secrets are longer, and
may have been put into the wrong variable."""


IN_FILE = "_FILE"
"""Behind the name of a secret's variable: the file that holds the secret."""

MOST_SECRET_BYTES = 65_536
"""Chosen: more than any secret, less than a device that never ends."""

LEAST_SECRET = 16
"""Characters of a secret that signs messages; a shorter one could be tried out."""


class Amount(NamedTuple):
    """An amount of money."""

    currency: str
    """ISO 4217 code."""
    amount: Decimal
    """Major units, above zero."""

    def __str__(self) -> str:
        return f"{self.currency} {self.amount:,f}"


class Settings(BaseModel):
    """The settings of one installation, as read from the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meta_access_token: SecretStr = Field(
        SecretStr(""), alias="META_ACCESS_TOKEN", description="System user token with `ads_read`."
    )
    meta_ad_account_ids: tuple[str, ...] = Field(
        (),
        alias="META_AD_ACCOUNT_ID",
        description="Ad accounts, comma-separated, with or without `act_`.",
    )
    meta_app_id: str = Field("", alias="META_APP_ID", description="The app that the token is of.")
    meta_app_secret: SecretStr = Field(
        SecretStr(""), alias="META_APP_SECRET", description="Signs each call (`appsecret_proof`)."
    )
    meta_api_version: str = Field(
        "v26.0", alias="META_API_VERSION", description="Marketing API version."
    )
    meta_graph_url: str = Field(
        "https://graph.facebook.com", alias="META_GRAPH_URL", description="Graph API host."
    )
    webhook_verify_token: SecretStr = Field(
        SecretStr(""),
        alias="META_WEBHOOK_VERIFY_TOKEN",
        description=(
            "What is entered as verify token in the app's webhook settings at Meta, at least 16 "
            "characters; empty: `/webhooks/meta` confirms no subscription."
        ),
    )
    webhook_minutes: int = Field(
        15,
        alias="ACTUALS_WEBHOOK_MINUTES",
        ge=1,
        le=1440,
        description="Least minutes between two early fetches of an account that webhooks ask for.",
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        alias="DATABASE_URL",
        description="Postgres, in any usual spelling; empty means the embedded server.",
    )
    home: Path = Field(
        PROJECT_ROOT / ".actuals",
        alias="ACTUALS_HOME",
        description="Embedded Postgres data, Dagster state and logs.",
    )
    start_date: date = Field(
        date(2025, 1, 1), alias="ACTUALS_START_DATE", description="First daily partition; fixed."
    )
    time_zone_name: str = Field(
        "UTC", alias="ACTUALS_TIMEZONE", description="Time zone of the schedule and of 'today'."
    )
    purchase_action_type: str = Field(
        "omni_purchase",
        alias="ACTUALS_PURCHASE_ACTION_TYPE",
        description=(
            "The one action type counted as a purchase; another for one account by "
            "`omni_purchase,act_42=offsite_conversion.fb_pixel_purchase`."
        ),
    )
    status_filter: Literal["all", "none"] = Field(
        "all",
        alias="ACTUALS_STATUS_FILTER",
        description=(
            "`all` names every status of ads in requests, so that archived and deleted ones are "
            "listed; `none` sends no such filter.  `spend_reconciliation` shows which is complete."
        ),
    )
    recent_days: int = Field(
        2, alias="ACTUALS_RECENT_DAYS", ge=1, le=90, description="Days refreshed every hour."
    )
    week_days: int = Field(
        7, alias="ACTUALS_WEEK_DAYS", ge=1, le=90, description="Days refreshed every six hours."
    )
    month_days: int = Field(
        # Two more than Meta restates: a day is fetched once more when it has stopped moving.
        SETTLED_AFTER_DAYS + 2,
        alias="ACTUALS_MONTH_DAYS",
        ge=1,
        le=90,
        description="Days refreshed once a day.",
    )
    min_age_hours: int = Field(
        24,
        alias="ACTUALS_MIN_AGE_HOURS",
        ge=0,
        description="A video younger than this is not compared yet (hours).",
    )
    max_age_days: int = Field(
        30,
        alias="ACTUALS_MAX_AGE_DAYS",
        ge=1,
        description="A video older than this is not compared any more (days).",
    )
    evaluation_days: int = Field(
        365,
        alias="ACTUALS_EVALUATION_DAYS",
        ge=28,
        description="An ad first shown longer ago is in no launch window and no headline (days).",
    )
    ctr_tolerance: float = Field(
        0.20,
        alias="ACTUALS_CTR_TOLERANCE",
        ge=0,
        le=10,
        description="How far off a CTR, over the prediction, is as good as right.",
    )
    roas_tolerance: float = Field(
        0.15,
        alias="ACTUALS_ROAS_TOLERANCE",
        ge=0,
        le=10,
        description="How far off a ROAS, over the prediction, is as good as right.",
    )
    order_value_cv: float = Field(
        0.8,
        alias="ACTUALS_ORDER_VALUE_CV",
        ge=0,
        le=100,
        description="Standard deviation of a purchase's value over its mean, an assumption.",
    )
    reconciliation_tolerance: Decimal = Field(
        Decimal("0.005"),
        alias="ACTUALS_RECONCILIATION_TOLERANCE",
        ge=0,
        le=1,
        description="Share of Meta's total by which the ads may differ before it is an error.",
    )
    backfill_days: int | None = Field(
        None,
        alias="ACTUALS_BACKFILL_DAYS",
        ge=1,
        description="Most days in one run of a Dagster backfill; empty: all in one run.",
    )
    raw_retention_months: int = Field(
        RETENTION_MONTHS,
        alias="ACTUALS_RAW_RETENTION_MONTHS",
        ge=1,
        le=MOST_RETENTION_MONTHS,
        description="Months of payloads that `actuals db prune` keeps; figures stay for ever.",
    )
    investment_budget: Amount | None = Field(
        None,
        alias="ACTUALS_INVESTMENT_BUDGET",
        description=(
            "The investment that all spend counts against: currency and amount, such as "
            "`EUR 5,000,000`; empty: none, and no projected end."
        ),
    )
    investment_start: date | None = Field(
        None,
        alias="ACTUALS_INVESTMENT_START",
        description="First day that counts against it; empty: the first day with spend.",
    )
    exchange_rate_days: int = Field(
        7,
        alias="ACTUALS_EXCHANGE_RATE_DAYS",
        ge=0,
        le=31,
        description="Days for which an exchange rate holds when no newer one was imported.",
    )
    pacing_tolerance: Decimal = Field(
        Decimal("0.1"),
        alias="ACTUALS_PACING_TOLERANCE",
        ge=0,
        le=1,
        description="Share of a budget by which spend may differ before it is worth a word.",
    )
    retrain_webhook: SecretStr = Field(
        SecretStr(""),
        alias="ACTUALS_RETRAIN_WEBHOOK",
        description=(
            "Address that gets a signed message when something is to be done about a model; "
            "empty: the run of `retrain_request` is the message."
        ),
    )
    retrain_secret: SecretStr = Field(
        SecretStr(""),
        alias="ACTUALS_RETRAIN_SECRET",
        description="Shared secret that signs these messages, at least 16 characters.",
    )
    alert_urls: SecretStr = Field(
        SecretStr(""),
        alias="ALERT_URLS",
        description=(
            "Where alerts go: addresses of apprise, comma-separated, such as `slack://...`, "
            "`mailto://...`, `json://...`; empty: the log."
        ),
    )
    alert_repeat_hours: int = Field(
        24,
        alias="ACTUALS_ALERT_REPEAT_HOURS",
        ge=1,
        le=24 * 365,
        description="Hours after which an alert that is still open is told again.",
    )
    heartbeat_url: SecretStr = Field(
        SecretStr(""),
        alias="ACTUALS_HEARTBEAT_URL",
        description=(
            "Address that is asked (GET) after each good hourly run, so that whoever listens "
            "raises the alarm when it falls silent; empty: none."
        ),
    )
    api_token: SecretStr = Field(
        SecretStr(""),
        alias="ACTUALS_API_TOKEN",
        description=(
            "Bearer token that `actuals serve` asks of its callers, at least 16 characters; empty: "
            "it asks for none and serves this computer only."
        ),
    )
    api_requests_per_minute: int = Field(
        600,
        alias="ACTUALS_API_REQUESTS_PER_MINUTE",
        ge=1,
        le=1_000_000,
        description="Requests a minute that `actuals serve` answers one address; then 429.",
    )
    ui_password: SecretStr = Field(
        SecretStr(""),
        alias="ACTUALS_UI_PASSWORD",
        description=(
            "Password that the Dagster UI of `actuals up` asks for, at least 16 characters; empty: "
            "it asks for none and serves this computer only."
        ),
    )
    ui_read_only: bool = Field(
        default=False,
        alias="ACTUALS_UI_READ_ONLY",
        description="`1`: nothing can be launched, changed or removed in the Dagster UI.",
    )
    report_url: str = Field(
        "http://127.0.0.1:8003/",
        alias="ACTUALS_REPORT_URL",
        pattern=r"^https?://[^\s<>\"']+$",
        description="Address of the report's page, which Dagster's UI links to; set by `up`.",
    )
    is_stand_in: bool = Field(
        default=False,
        alias="ACTUALS_STAND_IN",
        description="Set by `actuals demo`: the data comes from the local Graph API stand-in.",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read `environment` (the process's own by default); `SettingsError` names the variable."""
        source = os.environ if environment is None else environment
        names = {str(field.alias) for field in cls.model_fields.values()}
        # An empty value in a .env file means "not set", so that defaults apply.
        given = {name: source[name] for name in names if source.get(name)}
        given |= _secrets_in_files(source)
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            variable = str(first["loc"][0]) if first["loc"] else "environment"
            reason = first["msg"].removeprefix("Value error, ")
            if first["type"] in {"float_parsing", "decimal_parsing"}:
                reason = _no_number(given[variable])
            raise SettingsError(f"{variable} cannot be used: {reason}.") from None

    @field_validator("meta_ad_account_ids", mode="before")
    @classmethod
    def _split_accounts(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        accounts = [part.strip().removeprefix("act_") for part in value.split(",") if part.strip()]
        for account in accounts:
            if not account.isascii() or not account.isdigit():
                raise ValueError(
                    f"{_quoted(account)} is no ad account id; write act_ and digits, such as act_42"
                )
        return tuple(dict.fromkeys(accounts))

    @field_validator("start_date", "investment_start", mode="before")
    @classmethod
    def _check_start(cls, value: object) -> object:
        try:
            return parse_day(value) if isinstance(value, str) else value
        except InputError as error:
            raise ValueError(str(error).rstrip(".")) from error

    @field_validator("investment_budget", mode="before")
    @classmethod
    def _check_investment(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # 5.000.000 is five to some and five million to others, so only the comma groups digits.
        written = re.fullmatch(
            r"([A-Z]{3}) +([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?", value.strip()
        )
        amount = Decimal(written[2].replace(",", "") + (written[3] or "")) if written else None
        if written is None or not amount or written[1] not in CURRENCIES:
            raise ValueError(
                f"{_quoted(value)} is no currency and amount above zero, such as EUR 5,000,000"
            )
        return Amount(written[1], amount)

    @field_validator("meta_api_version")
    @classmethod
    def _check_version(cls, value: str) -> str:
        if not re.fullmatch(r"v\d+\.\d+", value):
            raise ValueError(f"{_quoted(value)} is no API version such as v26.0")
        return value

    @field_validator("meta_graph_url")
    @classmethod
    def _check_graph_url(cls, value: str) -> str:
        # It is told and stored, so it must not bring a password or a token along.
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
            raise ValueError(
                f"{_quoted(value)} is no http(s) address such as https://graph.facebook.com"
            )
        return value.rstrip("/")

    @field_validator("meta_access_token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        if any(character.isspace() for character in value.get_secret_value()):
            raise ValueError("it contains white space; copy the token again")
        if not (value.get_secret_value().isascii() and value.get_secret_value().isprintable()):
            raise ValueError("it contains a character of no token; copy the token again")
        return value

    @field_validator("alert_urls")
    @classmethod
    def _check_alert_urls(cls, value: SecretStr) -> SecretStr:
        # They hold secrets, so they are not quoted.  Whether each can be used is said by apprise.
        if value.get_secret_value().strip() and not re.match(
            r"\s*[\w+-]+://\S", value.get_secret_value()
        ):
            raise ValueError(
                "it does not begin with an address such as slack://...; see "
                "https://appriseit.com/services/"
            )
        return value

    @field_validator("retrain_webhook", "heartbeat_url")
    @classmethod
    def _check_webhook(cls, value: SecretStr) -> SecretStr:
        # It may hold a secret itself, so it is not quoted.
        if value.get_secret_value() and not re.fullmatch(
            r"https?://[^\s/?#@]+([/?][^\s#]*)?", value.get_secret_value()
        ):
            raise ValueError("it is no http(s) address such as https://example.com/path")
        return value

    @field_validator("retrain_secret", "ui_password", "webhook_verify_token")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if secret and (len(secret) < LEAST_SECRET or secret != secret.strip()):
            raise ValueError(
                f"it has fewer than {LEAST_SECRET} characters, or spaces at an end; make one with "
                "`openssl rand -hex 32`"
            )
        return value

    @field_validator("api_token")
    @classmethod
    def _check_api_token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        # What a header can carry as one word (RFC 6750, section 2.1).
        if token and not re.fullmatch(rf"[\w.~+/-]{{{LEAST_SECRET},}}=*", token, re.ASCII):
            raise ValueError(
                f"it has fewer than {LEAST_SECRET} characters, or some that no bearer token has; "
                "make one with `openssl rand -hex 32`"
            )
        return value

    @field_validator("meta_app_id")
    @classmethod
    def _check_app(cls, value: str) -> str:
        # Dagster stores and shows it, so it must not be the secret.
        if value and not (value.isascii() and value.isdigit()):
            raise ValueError("it is no app id; write the app's number")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:
            raise ValueError(f"nobody here has the home {value.parts[0]}") from error

    @field_validator("time_zone_name")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        try:
            time_zone(value)
        except InputError as error:
            raise ValueError(str(error).rstrip(".")) from error
        return value

    @property
    def filter_statuses(self) -> bool:
        """Whether requests name every status of ads."""
        return self.status_filter == "all"

    @property
    def advice_on_gap(self) -> str:
        """What to try where an account's ads do not add up to Meta's total of it."""
        other = "none" if self.status_filter == "all" else "all"
        return (
            f"ACTUALS_STATUS_FILTER={self.status_filter} is in force: `actuals doctor --deep` "
            f"measures whether `{other}` lists more ads; if so, set it and run `actuals backfill` "
            "over these days.  What then remains is money of ads that Meta lists no more."
        )

    @cached_property
    def zone(self) -> ZoneInfo:
        """The schedule's time zone."""
        return time_zone(self.time_zone_name)

    def purchase_action_type_of(self, account_id: str) -> str:
        """The action type that counts as a purchase in `account_id` (digits, no `act_`)."""
        default, *overrides = [part.strip() for part in self.purchase_action_type.split(",")]
        chosen = dict(part.removeprefix("act_").split("=", 1) for part in overrides)
        return chosen.get(account_id, default)

    @field_validator("purchase_action_type")
    @classmethod
    def _check_purchase_types(cls, value: str) -> str:
        default, *overrides = [part.strip() for part in value.split(",")]
        if "=" in default or not default:
            raise ValueError("the first part is the action type for every account")
        for override in overrides:
            if not re.fullmatch(r"(act_)?\d+=\S+", override):
                raise ValueError(f"{override!r} is not of the form act_42=purchase")
        return value

    def require_meta(self) -> Self:
        """These settings, if a Meta account can be asked with them."""
        wanted = {
            "META_ACCESS_TOKEN": (
                self.meta_access_token.get_secret_value(),
                "a system user token with ads_read",
            ),
            "META_AD_ACCOUNT_ID": (self.meta_ad_account_ids, "the ad account, such as act_42,"),
        }
        missing = {name: what for name, (value, what) in wanted.items() if not value}
        if missing:
            raise SettingsError(
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; put "
                f"{' and '.join(missing.values())} in .env or the environment (or try "
                "`actuals demo`)."
            )
        return self


def _no_number(value: str) -> str:
    """Why `value` is no number, and what its share would be if it is one in percent."""
    share = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) *%", value)
    meant = f"{Decimal(share[1]) / 100:f}" if share else "0.2"
    return f"{_quoted(value)} is no number; write {meant}{' for that' if share else ' for 20 %'}"


def _secrets_in_files(source: Mapping[str, str]) -> dict[str, str]:
    """The secrets whose `..._FILE` names a file, as Docker and systemd hand them over."""
    return {
        name: _secret_in_file(name, source) for name in SECRETS if source.get(f"{name}{IN_FILE}")
    }


def _secret_in_file(name: str, source: Mapping[str, str]) -> str:
    variable = f"{name}{IN_FILE}"
    if source.get(name):
        raise SettingsError(f"{name} and {variable} are both set: unset one of them.")
    # The path is not told: somebody may have put the secret itself there.
    try:
        with Path(source[variable]).open("rb") as file:
            held = file.read(MOST_SECRET_BYTES + 1)
        secret = held.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{variable} cannot be used: its file is no text in UTF-8.") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is no path"
        raise SettingsError(
            f"{variable} cannot be used: the file that it names cannot be read ({why})."
        ) from None
    if not secret or len(held) > MOST_SECRET_BYTES:
        what = "holds nothing" if not secret else f"has more than {MOST_SECRET_BYTES} bytes"
        raise SettingsError(f"{variable} cannot be used: the file that it names {what}.")
    return secret


def _quoted(value: str) -> str:
    """A mistaken value for an error, unless it may be a secret."""
    return repr(value) if len(value) <= LONGEST_QUOTE else "what it holds"


SECRETS = frozenset(
    str(field.alias) for field in Settings.model_fields.values() if field.annotation is SecretStr
)
"""The variables that hold secrets."""
