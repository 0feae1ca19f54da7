"""Contents, charts, style and scripts put together into one page that asks nobody for anything.

Its Content-Security-Policy names the hash of each script and of the style, so that nothing which
came in with a name from Meta can ever run; charts are computed by Vega's interpreter, which needs
no `eval`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from actuals_pipeline.serving.report import charts, vega, wording
from actuals_pipeline.serving.report.contents import Contents

_FILES = Path(__file__).with_name("template")

_SCRIPTS = (
    *("data", "wording", "datasets", "statements", "drawing", "exports", "tiles", "tables", "ads"),
    *("story", "filters"),
)
"""The files of the page's script; the last begins."""


@dataclass(frozen=True, slots=True)
class Page:
    """The HTML, and the policy that a server sends with it."""

    html: str
    policy: str


def page_of(
    contents: Contents, home: Path, *, stories: dict[str, Any] | None = None, is_live: bool = False
) -> Page:
    """The page; `stories` are those of ads that a file brings along, a live one asks for them.

    Bundling the charts' script takes seconds the first time and is kept under `home`.
    """
    style, script, drawing = template_text("page.css"), script_text(), vega.bundled(home)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(drawing)} {_hash(script)}",
            # Vega sets styles on its own elements; no address can be reached from any of them.
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            f"connect-src {chr(39)}self{chr(39)}" if is_live else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    html = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            contents=contents,
            policy=policy,
            style=Markup(style),  # noqa: S704 - a file of ours
            script=Markup(script),  # noqa: S704 - a file of ours
            drawing=Markup(drawing),  # noqa: S704 - out of a wheel that the lock names by its hash
            data=in_script(
                {
                    "live": is_live,
                    "fetched_at": contents.fetched_at,
                    "charts": charts.specs(),
                    "stories": stories or {},
                    **contents.data,
                }
            ),
        )
    )
    return Page(html, f"{policy}; frame-ancestors 'none'")


def in_script(value: Any) -> Markup:
    """JSON for a script element: no character in it ends the element or begins a comment."""
    text = json.dumps(value, default=_written, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def _written(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _coded(text: str) -> Markup:
    """A sentence whose commands, between backticks, are set as code."""
    parts = text.split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FILES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["percent"] = wording.percent
    environment.filters["coded"] = _coded
    return environment


def script_text() -> str:
    """The page's own script: its files one after the other, in a scope of their own."""
    files = "\n".join(template_text(f"script/{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{files}}})();\n'


def template_text(name: str) -> str:
    """A file of the page that is ours."""
    return (_FILES / name).read_text("utf-8")
