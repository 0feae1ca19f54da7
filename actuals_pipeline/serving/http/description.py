"""The page `/docs`: the routes as they are described in OpenAPI, without a script from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""The page needs nothing but itself."""

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
code { font-size: 0.95em } h2 { font-size: 1.1em; margin-top: 2em }
table { border-collapse: collapse } td, th { text-align: left; padding: 0.2em 1em 0.2em 0 }
"""


def page(openapi: Mapping[str, Any]) -> str:
    """The HTML page of an OpenAPI description."""
    title = escape(openapi["info"]["title"])
    routes = "".join(
        _route(method.upper(), path, route)
        for path, methods in openapi["paths"].items()
        for method, route in methods.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(openapi['info']['description'])} "
        f'For programs: <a href="openapi.json">openapi.json</a>.</p>{routes}</html>'
    )


def _route(method: str, path: str, route: Mapping[str, Any]) -> str:
    said = "".join(
        f"<p>{escape(part)}</p>" for part in route.get("description", "").split("\n\n") if part
    )
    rows = "".join(_parameters(route))
    head = "<tr><th>parameter</th><th>default</th><th>meaning</th></tr>"
    table = f"<table>{head}{rows}</table>" if rows else ""
    return f"<h2><code>{method} {escape(path)}</code></h2>{said}{table}"


def _parameters(route: Mapping[str, Any]) -> Iterator[str]:
    for parameter in route.get("parameters", []):
        default = parameter.get("schema", {}).get("default")
        shown = "required" if parameter.get("required") else "" if default is None else str(default)
        cells = (parameter["name"], shown, parameter.get("description", ""))
        yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
