"""The parts of the documentation that are made from the code: `make docs` writes them.

`test_docs.py` fails when what is written differs from what this makes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import actuals_pipeline
from actuals_pipeline.alerts.rules import RULES
from actuals_pipeline.meta import failures
from actuals_pipeline.settings import PROJECT_ROOT, SECRETS, Settings
from actuals_pipeline.warehouse.tables import warehouse

README = PROJECT_ROOT / "README.md"
ENV_EXAMPLE = PROJECT_ROOT / ".env.example"
FAILURES = PROJECT_ROOT / "docs" / "failures.md"
OPERATIONS = PROJECT_ROOT / "docs" / "operations.md"

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_INTERNAL = {"ACTUALS_STAND_IN"}
"""Set by the program itself; nobody needs to write it into a file."""


def tables() -> str:
    """One line a table, in the order of their declaration, which is that of the flow."""
    lines = ["| table | one row is | key |", "|---|---|---|"]
    for table in warehouse.tables.values():
        said = str(table.comment).removeprefix("One row is ")
        key = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
        lines.append(f"| `{table.name}` | {said} | {key} |")
    return "\n".join(lines)


def settings() -> str:
    """One line a variable, with its default."""
    lines = ["| variable | meaning | default |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {meaning} | {f'`{default}`' if default else ''} |"
        for name, meaning, default in _variables()
    ]
    return "\n".join(lines)


def alert_rules() -> str:
    """One line a rule of `alerts/rules.py`."""
    lines = ["| alert | severity | about | when | what to do |", "|---|---|---|---|---|"]
    for rule in RULES:
        unit = rule.unit if rule.unit == "%" else f" {rule.unit}" if rule.unit else ""
        limit = f"{rule.fires} {rule.limit:g}{unit}: " if rule.unit else ""
        lines.append(
            f"| `{rule.name}` | {rule.severity} | {rule.subject} | {limit}{rule.reads} | "
            f"{rule.advice} |"
        )
    return "\n".join(lines)


def map_of_the_package() -> str:
    """The map from the package's docstring."""
    mapped = re.findall(r"^    (\S.*)$", actuals_pipeline.__doc__ or "", re.MULTILINE)
    return "\n".join(["```text", *mapped, "```"])


def env_example() -> str:
    """`.env.example`: every variable, commented out, with its meaning and default."""
    parts = ["# Copy to .env, remove the leading # and fill in what you need.  Never commit .env."]
    for name, meaning, default in _variables():
        if name not in _INTERNAL:
            parts.append(f"\n# {meaning}\n#{name}={'' if name in SECRETS else default}")
    return "\n".join(parts) + "\n"


def failures_page() -> str:
    """`docs/failures.md`: what each failure means, what the client does, what a person should."""
    lines = [
        "# Failures of Meta's API, and what is done about them",
        "",
        "Made by `make docs` from `actuals_pipeline/meta/failures.py`.  A failure that is not",
        "listed is a bug: it is not repeated, and told in Meta's own words.",
        "",
        "| code/subcode | meaning | reaction | what a person should do |",
        "|---|---|---|---|",
    ]
    for (code, subcode), rule in failures.RULES.items():
        if not (code in _PERMISSION_CODES and code != _PERMISSION_CODES[0]):
            lines.append(_failure(_written(code, subcode), rule))
    for (code, subcode), rule in failures.OF_A_NEW_RUN.items():
        lines.append(_failure(f"{code}/{subcode}, of a report run younger than a minute", rule))
    for code, words, rule in failures.BY_MESSAGE:
        lines.append(_failure(f'{code}, with "{words}" in its message', rule))
    lines.append(_failure("HTTP 429 without a code", failures.TOO_MANY_REQUESTS))
    lines.append(_failure("HTTP 5xx, no answer, an answer that is no JSON", failures.OUTAGE))
    return "\n".join(lines) + "\n"


_PERMISSION_CODES = range(200, 300)


def _written(code: int, subcode: int | None) -> str:
    if code == _PERMISSION_CODES[0]:
        return f"{_PERMISSION_CODES[0]}-{_PERMISSION_CODES[-1]}"
    return f"{code}/{subcode}" if subcode is not None else str(code)


def _failure(case: str, rule: failures.Rule) -> str:
    return f"| {case} | {rule.meaning} | {rule.reaction} | {rule.advice} |"


def with_generated_parts(readme: str) -> str:
    """`readme` with its generated parts made anew."""
    parts = {
        "tables": tables,
        "settings": settings,
        "map": map_of_the_package,
        "alerts": alert_rules,
    }
    return _PART.sub(lambda part: f"{part[1]}{parts[part[2]]()}\n{part[3]}", readme)


def _variables() -> list[tuple[str, str, str]]:
    fields = Settings.model_fields.values()
    return [(str(field.alias), str(field.description), _default(field.default)) for field in fields]


def _default(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.relative_to(PROJECT_ROOT))
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
    return "" if text in {"", "()", "False", "None"} else text


def main() -> None:
    """Write the generated parts."""
    README.write_text(with_generated_parts(README.read_text("utf-8")), "utf-8")
    ENV_EXAMPLE.write_text(env_example(), "utf-8")
    OPERATIONS.write_text(with_generated_parts(OPERATIONS.read_text("utf-8")), "utf-8")
    FAILURES.parent.mkdir(exist_ok=True)
    FAILURES.write_text(failures_page(), "utf-8")


if __name__ == "__main__":
    main()
