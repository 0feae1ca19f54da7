"""Who imports whom, read from the files themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from actuals_pipeline.settings import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "actuals_pipeline"


def packages() -> set[str]:
    """The names of the packages right below ours."""
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file that is."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(package: str) -> list[Path]:
    found = sorted((PACKAGE / package).rglob("*.py"))
    assert found
    return found


def ours(module: str) -> str | None:
    """The first part of a module of ours below the package, or None for a library's."""
    parts = module.split(".")
    return parts[1] if parts[0] == "actuals_pipeline" and len(parts) > 1 else None
