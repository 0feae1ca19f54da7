"""Nothing that Meta, a file or a person named is shown by Dagster's UI as Markdown or as a page."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from actuals_pipeline.settings import PROJECT_ROOT

RENDERED = {"md", "notebook", "url", "MarkdownMetadataValue", "UrlMetadataValue"}
"""What the UI does not show as the text that it is: Markdown may hold links, images and pages."""


OF_OURS = {
    # An image drawn here, under a name written there; Dagster shows no picture in any other way.
    "report.py: dg.MarkdownMetadataValue",
    "report.py: dg.MetadataValue.md",
    # One address, of the operator's settings.
    "report.py: dg.MetadataValue.url",
    "descriptions.py: dg.MetadataValue.url",
}
"""What is rendered all the same, because not a letter of it came in from anywhere."""


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Everything in the orchestration, with the name of its file."""
    for path in sorted((PROJECT_ROOT / "actuals_pipeline" / "orchestration").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path.name, node


def test_the_orchestration_makes_no_metadata_that_is_rendered() -> None:
    strays = [
        f"{name}: {ast.unparse(node)}"
        for name, node in nodes()
        if isinstance(node, ast.Attribute)
        and node.attr in RENDERED
        and "MetadataValue" in ast.unparse(node)
    ]
    # Each once, so that no second one comes in under its name.
    assert sorted(strays) == sorted(OF_OURS)


def test_results_have_no_description_which_would_be_markdown_made_of_data() -> None:
    strays = [
        f"{name}: {ast.unparse(node.func)}"
        for name, node in nodes()
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("AssetCheckResult", "MaterializeResult", "Output"))
        and "description" in {word.arg for word in node.keywords}
    ]
    assert not strays
