"""The parts of the documentation that are made from the code: `make docs` writes them.

`test_docs.py` fails when what is written differs from what this makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster import AssetKey
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql.base import PGDialect

import actuals_pipeline
from actuals_pipeline.alerts.rules import RULES
from actuals_pipeline.definitions import defs
from actuals_pipeline.meta import failures
from actuals_pipeline.settings import PROJECT_ROOT, SECRETS, Settings
from actuals_pipeline.warehouse.tables import product, warehouse
from actuals_pipeline_tests.guards.imports import files, imported, ours, packages

DOCS = PROJECT_ROOT / "docs"
README = PROJECT_ROOT / "README.md"
ENV_EXAMPLE = PROJECT_ROOT / ".env.example"

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_INTERNAL = {"ACTUALS_STAND_IN"}
"""Set by the program itself; nobody needs to write it into a file."""


def tables() -> str:
    """One line a table, in the order of their declaration, which is that of the flow."""
    lines = ["| table | one row is | key |", "|---|---|---|"]
    lines += [
        f"| [`{table.name}`](#{table.name}) | {_one_row_is(table)} | {_key(table)} |"
        for table in warehouse.tables.values()
    ]
    return "\n".join(lines)


def columns() -> str:
    """A section a table, a line a column."""
    declared = [*warehouse.tables.values(), *product.tables.values()]
    return "\n\n".join(_dictionary_of(table) for table in declared)


def _dictionary_of(table: Table) -> str:
    place = "" if table.schema == warehouse.schema else f"{table.schema}."
    lines = [
        f"### {place}{table.name}",
        "",
        f"One row is {_one_row_is(table)}  Key: {_key(table)}.",
        "",
        "| column | type | may be null | meaning |",
        "|---|---|---|---|",
    ]
    postgres = PGDialect()  # type: ignore[no-untyped-call]  # SQLAlchemy annotates no dialect
    for column in table.columns:
        written = column.type.compile(dialect=postgres).lower()
        said = str(column.comment or "").replace("|", "\\|")
        null = "yes" if column.nullable else ""
        lines.append(f"| `{column.name}` | {written} | {null} | {said} |")
    return "\n".join(lines)


def _one_row_is(table: Table) -> str:
    return str(table.comment).removeprefix("One row is ")


def _key(table: Table) -> str:
    return ", ".join(f"`{column.name}`" for column in table.primary_key.columns)


def package_graph() -> str:
    """Who imports whom, drawn from the imports themselves."""
    arrows = [f"    {user} --> {used}" for user, used in sorted(set(_imports()))]
    return "\n".join(["```mermaid", "flowchart LR", *arrows, "```"])


def _imports() -> Iterator[tuple[str, str]]:
    for package in packages():
        used = {ours(module) for path in files(package) for module in imported(path)}
        yield from ((package, name) for name in packages() & used - {package})


def asset_graph() -> str:
    """Which asset is made of which, in the groups of Dagster's UI."""
    graph = defs.resolve_asset_graph()
    lines = ["```mermaid", "flowchart LR"]
    for group in dict.fromkeys(graph.get(key).group_name for key in graph.toposorted_asset_keys):
        lines.append(f"    subgraph {group}")
        members = [key for key in graph.toposorted_asset_keys if graph.get(key).group_name == group]
        lines += [f"        {_name(key)}" for key in members]
        lines.append("    end")
    for key in graph.toposorted_asset_keys:
        parents = sorted(_name(parent) for parent in graph.get(key).parent_keys)
        lines += [f"    {parent} --> {_name(key)}" for parent in parents]
    return "\n".join([*lines, "```"])


def _name(key: AssetKey) -> str:
    return "_".join(key.path)


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


_PARTS = {
    "tables": tables,
    "columns": columns,
    "settings": settings,
    "map": map_of_the_package,
    "packages": package_graph,
    "assets": asset_graph,
    "alerts": alert_rules,
}


def written() -> dict[Path, str]:
    """Every file that is made, in whole or in parts, from the code, and what has to be in it."""
    pages = {path: path.read_text("utf-8") for path in [README, *sorted(DOCS.glob("*.md"))]}
    with_parts = {path: page for path, page in pages.items() if _PART.search(page)}
    return {
        **{path: with_generated_parts(page) for path, page in with_parts.items()},
        DOCS / "failures.md": failures_page(),
        ENV_EXAMPLE: env_example(),
    }


def with_generated_parts(page: str) -> str:
    """`page` with its generated parts made anew."""
    return _PART.sub(lambda part: f"{part[1]}{_PARTS[part[2]]()}\n{part[3]}", page)


def _variables() -> list[tuple[str, str, str]]:
    fields = Settings.model_fields.values()
    return [(str(field.alias), str(field.description), _default(field.default)) for field in fields]


def _default(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.relative_to(PROJECT_ROOT))
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
    return "" if text in {"", "()", "False", "None"} else text


def main() -> None:
    """Write them."""
    for path, text in written().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
